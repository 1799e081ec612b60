"""A pool of a store's connections: logging in takes longer than many questions."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection(Protocol):
    """Anything that can be closed."""

    def close(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Connection)
MAX_IDLE = 8  # a server does not have many more


class ConnectionPool(Generic[C]):
    """The idle connections of one store, closed when the store is garbage-collected.

    Args:
        store: the owner.
        connect: opens a new connection.
        reset: puts a used connection back into the state of a new one; False if it can no longer be used. Called when
            a connection returns, so that it holds nothing on the server while it is idle, and when it is acquired.
    """

    def __init__(self, store: object, connect: Callable[[], C], reset: Callable[[C], bool] = lambda _: True) -> None:
        self._connect, self._reset = connect, reset
        self._idle: list[C] = []
        self._open = True
        weakref.finalize(store, self.close)

    def acquire(self) -> C:
        """Take an idle connection, or open a new one."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if self._reset(connection):
                return connection
            connection.close()
        return self._connect()

    def release_with(self, connection: C, reader: object) -> None:
        """Return an acquired connection when its reader is garbage-collected."""
        weakref.finalize(reader, self._release, connection)

    def close(self) -> None:
        """Close the idle connections now, and the others when they return."""
        self._open = False
        while self._idle:
            self._idle.pop().close()

    def _release(self, connection: C) -> None:
        if self._open and len(self._idle) < MAX_IDLE and self._reset(connection):
            self._idle.append(connection)
        else:
            connection.close()
