"""The kernel that runs a report: this very Python, whatever kernels the machine has installed."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from hanzo_reports.store.address import public

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "python3"
WARM = "__import__('hanzo_reports.reports.board')"  # what most reports need, imported while the runner is busy too
ARGV = [
    sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}",
    "--HistoryManager.enabled=False", f"--IPKernelApp.exec_lines=[{WARM!r}]",
]  # fmt: skip
PATIENCE = 2.0  # seconds; a kernel that misses its shutdown message, as some do, is terminated after half of them
ENCRYPTED = {"supported_encryption": ["curve"]}  # what is said to it stays between the two


class ThisPython(KernelSpecManager):
    """Knows one kernel: the interpreter that asks.

    Args:
        store: the address of the store that the notebook will open.
    """

    def __init__(self, store: str) -> None:
        super().__init__()
        secret = store != public(store)
        self._environment = {"HANZO_REPORTS_STORE": store.replace("$", "$$")} if secret else {}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002  # there is no other
        """How to start it."""
        return KernelSpec(
            argv=ARGV, env=self._environment, display_name="Python 3", language="python", metadata=ENCRYPTED
        )


@contextmanager
def kernel(store: str = "") -> Iterator[AsyncKernelManager]:
    """A kernel that is starting; whoever asked can do other things meanwhile. At the end it is gone.

    Args:
        store: the address of the notebook's store. One with a password goes into the kernel's environment, where
            `hanzo_reports.open` finds it by the address without.
    """
    manager = AsyncKernelManager(
        kernel_name=NAME,
        kernel_spec_manager=ThisPython(store),
        transport_encryption="required",
        shutdown_wait_time=PATIENCE,
    )
    run_sync(manager.start_kernel)()
    try:
        yield manager
    finally:
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)
