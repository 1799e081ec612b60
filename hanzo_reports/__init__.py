"""Usage, cost, latency and reliability analytics for an AI platform.

`open` a store and ask it, or pass any Ibis table of the event's columns to `usage`, `costs`, `health`, `comparison`
and `movers`. Each name is loaded when it is first used; `__init__.pyi` says the same to type checkers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "errors": ["ReportsError"],
        "metrics.catalog": ["CATALOG"],
        "metrics.compare": ["comparison", "movers"],
        "metrics.cost": ["costs"],
        "metrics.health": ["health"],
        "metrics.usage": ["usage"],
        "result": ["Result"],
        "units": ["Grain"],
        "window": ["Window"],
        "workspace": ["Workspace", "open"],
    },
)
