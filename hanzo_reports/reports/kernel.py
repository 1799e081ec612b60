"""The kernel that runs a report: the current Python, whatever kernels the machine has installed."""

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
WARM = "from hanzo_reports.reports.preload import preload; preload(get_ipython()); del preload"
ARGV = [
    sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}",
    "--HistoryManager.enabled=False", f"--IPKernelApp.exec_lines=[{WARM!r}]",
]  # fmt: skip
POLL_INTERVAL = 0.01  # seconds between checks whether the kernel has ended
SHUTDOWN_TIMEOUT = 2.0  # seconds; a kernel that misses the shutdown message is terminated after half of them
ENCRYPTED = {"supported_encryption": ["curve"]}  # encrypts the connection to the kernel


class CurrentPython(KernelSpecManager):
    """Knows one kernel: the current interpreter.

    Args:
        store: the address of the store that the notebook will open.
    """

    def __init__(self, store: str) -> None:
        super().__init__()
        secret = store != redact_password(store)
        self._environment = {"HANZO_REPORTS_STORE": store.replace("$", "$$")} if secret else {}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002  # only one is known
        """The command and environment that start it."""
        return KernelSpec(
            argv=ARGV, env=self._environment, display_name="Python 3", language="python", metadata=ENCRYPTED
        )


@contextmanager
def start_kernel(store: str = "") -> Iterator[AsyncKernelManager]:
    """Starts a kernel without waiting for it; it is shut down at the end of the block.

    Args:
        store: the address of the notebook's store. If it has a password, it is put into the kernel's environment,
            where `hanzo_reports.open` finds it by the address without the password.
    """
    manager = AsyncKernelManager(
        kernel_name=NAME,
        kernel_spec_manager=CurrentPython(store),
        transport_encryption="required",
        shutdown_wait_time=SHUTDOWN_TIMEOUT,
    )
    run_sync(manager.start_kernel)()
    try:
        yield manager
    finally:
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)


@contextmanager
def kill_on_signal(pid: int) -> Iterator[None]:
    """Within it, SIGINT and SIGTERM kill the kernel and end the run, even where a library swallows the exception.

    An exception raised inside a finalizer, for one, is lost; the notebook would run on. A signal whose disposition is
    not the default is left alone: under `nohup` or cron SIGINT is ignored, and the scheduler ends a run by SIGTERM.

    Args:
        pid: the kernel's process.

    Raises:
        KeyboardInterrupt: SIGINT arrived.
        SystemExit: SIGTERM arrived; its code is 143.
    """
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    handlers = {number: signal.getsignal(number) for number in defaults}
    caught = {number: handler for number, handler in handlers.items() if handler is defaults[number]}
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _raise_for(number)

    for number in caught:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler)
        if received:
            _raise_for(received[0])


def _raise_for(number: int) -> None:
    if number == signal.SIGTERM:
        sys.exit(128 + number)
    raise KeyboardInterrupt


def request_shutdown(manager: AsyncKernelManager) -> None:
    """Asks the kernel to shut down, without waiting for it."""
    if run_sync(manager.is_alive)():
        run_sync(manager.request_shutdown)()


def wait_for_shutdown(manager: AsyncKernelManager) -> None:
    """Waits until the kernel has ended and has written its files."""
    if manager.has_kernel:
        run_sync(manager.finish_shutdown)(pollinterval=POLL_INTERVAL)
        run_sync(manager.cleanup_resources)()
