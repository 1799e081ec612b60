"""Usage, cost, latency and reliability analytics for an AI platform.

`open` a store and ask it, or pass any Ibis table with the event's columns to `usage`, `costs`, `health`, `comparison`
and `movers`. Each name is loaded when it is first used; `__init__.pyi` says the same to type checkers.
"""

from importlib import import_module

# lazy_loader.attach_stub reads the names from the stub, but its parser nearly doubles the time of a bare import.
_MODULES = {
    "CATALOG": "metrics.catalog",
    "Grain": "units",
    "ReportsError": "errors",
    "Result": "result",
    "Window": "window",
    "Workspace": "workspace",
    "comparison": "metrics.compare",
    "costs": "metrics.cost",
    "health": "metrics.health",
    "movers": "metrics.compare",
    "open": "workspace",
    "usage": "metrics.usage",
}
__all__ = sorted(_MODULES)  # noqa: PLE0605  # the public names


def __getattr__(name: str) -> object:
    """A public name from its module, or the version of the installed package."""
    if name == "__version__":
        value: object = import_module("importlib.metadata").version("hanzo-reports")
    elif name in _MODULES:
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
