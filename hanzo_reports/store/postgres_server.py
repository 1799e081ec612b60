"""Connections to one Postgres database, and its errors translated into ours, which contain no secret."""

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

SCHEMA_NAME = "hanzo_reports"  # the database schema that holds all tables
CONNECT_SECONDS = 10
_SETTINGS = (  # so that settings of the environment, the role or the database change no text, float or time
    f"SET TIME ZONE 'UTC'; SET search_path TO {SCHEMA_NAME}; SET datestyle TO ISO; SET intervalstyle TO postgres; "
    "SET extra_float_digits TO 1; SET standard_conforming_strings TO on"
)
_ADVICE = (
    (r"password authentication failed|no password supplied",
     "give the right one in PGPASSWORD, ~/.pgpass or the address"),
    (r'database ".*" does not exist', "create it with `createdb`, or name another"),
    (r"no pg_hba.conf entry|role .* does not exist|not permitted|permission denied", "ask the server's administrator"),
    (r"too many (clients|connections)|remaining connection slots", "try again later, or raise max_connections"),
    (r"starting up|shutting down|recovery mode", "try again in a minute"),
)  # fmt: skip
_SILENT = logging.NullHandler()
_UNREACHABLE = "check the address, and that the server is running there"


class Server:
    """A database and how to log in to it; libpq supplies what the address lacks: PGPASSWORD, ~/.pgpass, ...

    Args:
        address: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; every part is optional.

    Raises:
        StoreError: the address cannot be parsed.
    """

    def __init__(self, address: str) -> None:
        self.url = redact_password(address)
        try:
            login = conninfo_to_dict(address)
        except psycopg.ProgrammingError:
            msg = f"{self.url} is not an address of a Postgres database; write postgresql://USER@HOST:PORT/DATABASE"
            raise StoreError(msg) from None
        defaults: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "application_name": "hanzo-reports"}
        self._login = make_conninfo(**{**defaults, **login, "client_encoding": "UTF8"})

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    def connect(self) -> psycopg.Connection:
        """Open a connection, in UTC, in which the store's tables need no schema before their names.

        Raises:
            StoreError: the server cannot be reached or refuses the login.
        """
        logging.getLogger("psycopg").addHandler(_SILENT)  # it raises what it logs
        try:
            connection = psycopg.connect(self._login, autocommit=True)
        except psycopg.Error as error:
            raise StoreError(self._describe_refusal(str(error))) from None
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            connection.close()
            msg = f"{self.url} has the encoding {encoding}; the store needs a database with ENCODING 'UTF8'"
            raise StoreError(msg)
        connection.execute(_SETTINGS)
        connection.autocommit = False
        return connection

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Raise an error of a statement as one of ours."""
        try:
            yield
        except psycopg.Error as error:
            raise translate_error(self.url, error) from error

    def _describe_refusal(self, text: str) -> str:
        """Say in one line why a connection failed: the last reason that libpq gives."""
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("\t")]
        reason = re.sub(r"^.*?(?:failed: (?=\w)|FATAL: +)(?!.*(?:failed: |FATAL: ))", "", lines[-1]) if lines else text
        advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, reason)), _UNREACHABLE)
        return f"{self.url} cannot be opened: {reason}; {advice}"


def reset_connection(connection: psycopg.Connection) -> bool:
    """End a connection's transaction; return whether it still works and is not in the middle of an answer."""
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        return False
    try:
        connection.rollback()
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error:
        return False
    return True


def translate_error(url: str, error: psycopg.Error) -> StoreError:
    """Return an error of ours for one of a statement."""
    reason = error.diag.message_primary or (str(error).splitlines() or ["no reason given"])[0]
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(f"{url}: {reason}; the owner of the schema {SCHEMA_NAME} can grant it, see docs/postgres.md")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return StoreBusyError(f"Others are writing to {url}: {reason}; try again later")
    if isinstance(error, errors.NotNullViolation):
        return StoreError(f"{error.diag.column_name} is required, and some rows have none")
    if isinstance(error, errors.UniqueViolation):
        return StoreBusyError(f"Something else has just written the same rows to {url}; run the same again")
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P").startswith("57P"):
        return StoreError(
            f"The connection to {url} was lost: {reason}; nothing unfinished is in the store: "
            "run the same again when the server is back"
        )
    return StoreError(f"{url}: {reason}")
