"""Imports in a report's kernel, done while the runner is still connecting."""

from __future__ import annotations

import gc
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MODULES = ("hanzo_reports.dashboards.overview", "hanzo_reports.store.delta", "ibis.backends.duckdb")


def preload(shell: InteractiveShell) -> None:
    """Imports what most reports need in a thread; the first cell waits for it."""
    loading = Thread(target=_import_modules)
    loading.start()
    shell.events.register("pre_run_cell", lambda _cell: loading.join())


def _import_modules() -> None:
    """Imports the modules with garbage collection off, and excludes them from later collections.

    Collections would add a tenth to the imports and a third of a second to the end of the kernel.
    """
    gc.disable()
    for module in MODULES:
        import_module(module)
    gc.freeze()
    gc.enable()
