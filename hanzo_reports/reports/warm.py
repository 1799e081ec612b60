"""What a report's kernel does while its runner is still busy."""

from __future__ import annotations

import gc
from importlib import import_module

MODULES = ("hanzo_reports.reports.board", "hanzo_reports.store.lake", "ibis.backends.duckdb")


def warm() -> None:
    """What most reports need, imported.

    Nothing of it is garbage, ever: a collector that looks at it again and again costs a tenth of the imports, and a
    third of a second when the kernel ends.
    """
    gc.disable()
    for module in MODULES:
        import_module(module)
    gc.freeze()
    gc.enable()
