"""Usage, cost, latency and reliability analytics for an AI platform.

`open` a store and ask it, or pass any Ibis table of the event's columns to `usage`, `costs`, `health`, `comparison`
and `movers`. Each name is loaded when it is first used; `__init__.pyi` says the same to type checkers.
"""

from importlib import import_module

_HOMES = {
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
__all__ = sorted(_HOMES)  # noqa: PLE0605  # the names that are there


def __getattr__(name: str) -> object:
    """A public name, loaded from its module, or the version of the package."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  # importing the package stays fast

        return version("hanzo-reports")
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
