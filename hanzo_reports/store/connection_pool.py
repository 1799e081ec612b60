"""Connections of readers that are gone, kept for the next ones: to log in anew takes longer than many a question."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection(Protocol):
    """Anything that can be closed."""

    def close(self) -> None:
        """The end of it."""


C = TypeVar("C", bound=Connection)
MOST = 8  # that wait: a server has not many more to give


class ConnectionPool(Generic[C]):
    """The connections of one store that nobody uses; they are closed when the store goes.

    Args:
        store: whose they are.
        fresh: makes a new one.
        usable: whether one that was used can be used again; it sets it back to how a new one is. Asked when it comes
            back, so that it holds nothing on the server while it waits, and when it is lent.
    """

    def __init__(self, store: object, fresh: Callable[[], C], usable: Callable[[C], bool] = lambda _: True) -> None:
        self._fresh, self._usable = fresh, usable
        self._held: list[C] = []
        self._kept = True
        weakref.finalize(store, self.close)

    def lend(self) -> C:
        """One that was given back, or a new one."""
        while self._held:
            try:
                connection = self._held.pop()
            except IndexError:  # another thread took it
                break
            if self._usable(connection):
                return connection
            connection.close()
        return self._fresh()

    def reclaim(self, connection: C, reader: object) -> None:
        """A lent one, given back when its reader goes."""
        weakref.finalize(reader, self._back, connection)

    def close(self) -> None:
        """All of them closed; those that are lent will be as they come back."""
        self._kept = False
        while self._held:
            self._held.pop().close()

    def _back(self, connection: C) -> None:
        if self._kept and len(self._held) < MOST and self._usable(connection):
            self._held.append(connection)
        else:
            connection.close()
