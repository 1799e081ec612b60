"""What a report's kernel does while its runner is still busy."""

from __future__ import annotations

import gc
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MODULES = ("hanzo_reports.dashboards.overview", "hanzo_reports.store.delta", "ibis.backends.duckdb")


def warm(shell: InteractiveShell) -> None:
    """What most reports need, imported while the kernel and its runner still greet each other; cells wait for it."""
    loading = Thread(target=_load)
    loading.start()
    shell.events.register("pre_run_cell", lambda _cell: loading.join())


def _load() -> None:
    """The modules, of which nothing is garbage, ever.

    A collector that looks at them again and again costs a tenth of the imports, and a third of a second when the
    kernel ends.
    """
    gc.disable()
    for module in MODULES:
        import_module(module)
    gc.freeze()
    gc.enable()
