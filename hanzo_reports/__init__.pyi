from .errors import ReportsError
from .metrics.catalog import CATALOG
from .metrics.compare import comparison, movers
from .metrics.cost import costs
from .metrics.health import health
from .metrics.usage import usage
from .result import Result
from .units import Grain
from .window import Window
from .workspace import Workspace, open  # noqa: A004  # hr.open(url), as gzip.open and webbrowser.open

__version__: str

__all__ = [
    "CATALOG",
    "Grain",
    "ReportsError",
    "Result",
    "Window",
    "Workspace",
    "comparison",
    "costs",
    "health",
    "movers",
    "open",
    "usage",
]
