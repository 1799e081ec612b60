"""One Postgres database: connections to it, and what it says, as errors of ours that hold no secret."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from hanzo_reports.errors import StoreBusyError, StoreError
from hanzo_reports.store.address import redact_password

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = "hanzo_reports"  # the database schema that holds all tables
CONNECT_SECONDS = 10
_SETTINGS = (  # whatever the environment, the role or the database says: texts, floats and times come back as they are
    f"SET TIME ZONE 'UTC'; SET search_path TO {ROOM}; SET datestyle TO ISO; SET intervalstyle TO postgres; "
    "SET extra_float_digits TO 1; SET standard_conforming_strings TO on"
)
_ADVICE = (
    (r"password authentication failed|no password supplied",
     "give the right one by PGPASSWORD, ~/.pgpass or the address"),
    (r'database ".*" does not exist', "make it with `createdb`, or name another"),
    (r"no pg_hba.conf entry|role .* does not exist|not permitted|permission denied", "ask the server's administrator"),
    (r"too many (clients|connections)|remaining connection slots", "try again later, or raise max_connections"),
    (r"starting up|shutting down|recovery mode", "try again in a minute"),
)  # fmt: skip
_SILENT = logging.NullHandler()
_REACHED = "check the address, and that the server is running there"


class Server:
    """A database and how to log in to it; what is not in the address comes from libpq: PGPASSWORD, ~/.pgpass, ...

    Args:
        address: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; all parts may be left out.

    Raises:
        StoreError: it cannot be read.
    """

    def __init__(self, address: str) -> None:
        self.url = redact_password(address)
        try:
            given = conninfo_to_dict(address)
        except psycopg.ProgrammingError:
            msg = f"{self.url} is no address of a Postgres database; write postgresql://USER@HOST:PORT/DATABASE"
            raise StoreError(msg) from None
        usual: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "application_name": "hanzo-reports"}
        self._login = make_conninfo(**{**usual, **given, "client_encoding": "UTF8"})

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    def connect(self) -> psycopg.Connection:
        """A new connection, in UTC, that finds the store's tables by their plain names.

        Raises:
            StoreError: the server cannot be reached or lets nobody in.
        """
        logging.getLogger("psycopg").addHandler(_SILENT)  # what it reports, it also raises
        try:
            connection = psycopg.connect(self._login, autocommit=True)
        except psycopg.Error as error:
            raise StoreError(self._refused(str(error))) from None
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            connection.close()
            msg = f"{self.url} keeps texts as {encoding}; the store needs a database with ENCODING 'UTF8'"
            raise StoreError(msg)
        connection.execute(_SETTINGS)
        connection.autocommit = False
        return connection

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """What the server says against a statement, as an error of ours."""
        try:
            yield
        except psycopg.Error as error:
            raise problem(self.url, error) from error

    def _refused(self, said: str) -> str:
        """Why a connection failed, in one line: the last reason that libpq gives."""
        lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("\t")]
        reason = re.sub(r"^.*?(?:failed: (?=\w)|FATAL: +)(?!.*(?:failed: |FATAL: ))", "", lines[-1]) if lines else said
        advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, reason)), _REACHED)
        return f"{self.url} cannot be opened: {reason}; {advice}"


def reset(connection: psycopg.Connection) -> bool:
    """A connection out of its last transaction, as a new one is; whether it still works, and is in no answer."""
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        return False
    try:
        connection.rollback()
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error:
        return False
    return True


def problem(url: str, error: psycopg.Error) -> StoreError:
    """What a statement failed with, as an error of ours."""
    said = error.diag.message_primary or (str(error).splitlines() or ["no reason given"])[0]
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(f"{url}: {said}; the owner of the schema {ROOM} can grant it, see docs/postgres.md")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return StoreBusyError(f"others are writing to {url}: {said}; try again later")
    if isinstance(error, errors.NotNullViolation):
        return StoreError(f"{error.diag.column_name} is required and some rows have none")
    if isinstance(error, errors.UniqueViolation):
        return StoreBusyError(f"something else wrote the same rows to {url} just now; do the same again")
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P").startswith("57P"):
        return StoreError(
            f"the connection to {url} was lost: {said}; what was not finished is not in the store: "
            "do the same again when the server is back"
        )
    return StoreError(f"{url}: {said}")
