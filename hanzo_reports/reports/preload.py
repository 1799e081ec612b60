"""Preloads modules in a report's kernel while the runner connects."""

from __future__ import annotations

import gc
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

PRELOADED_MODULES = ("hanzo_reports.dashboards.overview", "hanzo_reports.store.delta", "ibis.backends.duckdb")


def preload(shell: InteractiveShell) -> None:
    """Imports common modules in a background thread that the first cell waits for."""
    thread = Thread(target=_import_modules)
    thread.start()
    shell.events.register("pre_run_cell", lambda _cell: thread.join())


def _import_modules() -> None:
    """Imports the modules with garbage collection off, and excludes them from later collections.

    Garbage collection would add 10% to the imports and a third of a second to the end of the kernel.
    """
    gc.disable()
    for module in PRELOADED_MODULES:
        import_module(module)
    gc.freeze()
    gc.enable()
