"""How far a load has come, as the database reports it while it works."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ibis.backends.duckdb import Backend

POLL_INTERVAL = 0.2  # seconds


class Progress:
    """The share of a load that is complete: it rises from 0 to 1 and never falls.

    Args:
        con: the connection that does the work.
        report: called with each new share, from another thread while a step runs; None: nobody listens.
    """

    def __init__(self, con: Backend, report: Callable[[float], None] | None) -> None:
        self._connection, self._report, self._reached = con.con, report, 0.0
        if report:
            self._connection.execute("SET enable_progress_bar = true")
            self._connection.execute("SET enable_progress_bar_print = false")

    @contextmanager
    def until(self, share: float) -> Iterator[None]:
        """A step that ends when this share of the load is complete."""
        if not self._report:
            yield
            return
        start, finished = self._reached, threading.Event()

        def poll() -> None:
            while not finished.wait(POLL_INTERVAL):
                self._reach(start + (share - start) * min(self._connection.query_progress() / 100, 1.0))

        thread = threading.Thread(target=poll, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()
        self._reach(share)

    def _reach(self, share: float) -> None:
        if self._report and share > self._reached:
            self._reached = share
            self._report(share)
