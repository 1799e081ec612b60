"""The kernel that runs a report: this very Python, whatever kernels the machine has installed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from hanzo_reports.store.address import redact_password

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

NAME = "python3"
WARM = "from hanzo_reports.reports.warm import warm; warm(get_ipython()); del warm"
ARGV = [
    sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}",
    "--HistoryManager.enabled=False", f"--IPKernelApp.exec_lines=[{WARM!r}]",
]  # fmt: skip
POLL = 0.01  # seconds between two looks whether it is gone
PATIENCE = 2.0  # seconds; a kernel that misses its shutdown message, as some do, is terminated after half of them
ENCRYPTED = {"supported_encryption": ["curve"]}  # what is said to it stays between the two


class ThisPython(KernelSpecManager):
    """Knows one kernel: the interpreter that asks.

    Args:
        store: the address of the store that the notebook will open.
    """

    def __init__(self, store: str) -> None:
        super().__init__()
        secret = store != redact_password(store)
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


@contextmanager
def stoppable(pid: int) -> Iterator[None]:
    """Within it Ctrl-C ends the kernel as well, and counts at the end even where a library has swallowed it.

    An interrupt that falls into a finalizer, for one, is lost: the notebook would run on as if nobody had asked.

    Args:
        pid: the kernel's process.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if asked:
            raise KeyboardInterrupt


def leave(manager: AsyncKernelManager) -> None:
    """The kernel told to end; it takes a moment, in which the runner can do other things."""
    if run_sync(manager.is_alive)():
        run_sync(manager.request_shutdown)()


def gone(manager: AsyncKernelManager) -> None:
    """The kernel waited for: what it had to write is written now."""
    if manager.has_kernel:
        run_sync(manager.finish_shutdown)(pollinterval=POLL)
        run_sync(manager.cleanup_resources)()
