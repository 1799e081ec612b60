"""Connections to ClickHouse, and its errors translated into ours."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from ibis.backends.clickhouse import Backend
from urllib3.exceptions import HTTPError

from hanzo_reports.errors import StoreError, UnknownNameError
from hanzo_reports.store.address import redact_password

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import ibis
    from clickhouse_connect.driver.client import Client

CONNECT_SECONDS = 10
CLIENT_ERRORS = (ClickHouseError, HTTPError, OSError)  # HTTPError: the connection broke in the middle of an answer
OPTIONS = ("secure", "cluster")
_SILENT = logging.NullHandler()
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False, "": False}
_UNREACHABLE = (
    " does not answer; is the server running, and is that its HTTP port? "
    "Nothing unfinished is in the store: run the same again when it is back"
)
_INTERRUPTED = " broke off its answer, as it does when a query takes too much memory or time; its log says why"
_LOCKED_FOLDER = " cannot be opened: another process has that folder open, or it cannot be written to"
_ADVICE = (  # by the number of ClickHouse's error
    (("192", "193", "194", "516"), " refuses this user and password; give them as USER:PASSWORD@HOST"),
    (("164", "497"), ": {reason}; whoever runs the server can grant it, see docs/engines.md"),
    (("81",), ": there is no such database; run `hanzo-reports init --store {url}`"),
)


class ClickHouseServer:
    """The database that an address names; no connection is opened before it is needed.

    Args:
        address: ``clickhouse://USER:PASSWORD@HOST:PORT/DATABASE``, with ``?secure=1`` for TLS and ``?cluster=NAME``
            for a Distributed table over its shards; or ``chdb://memory/DATABASE`` or ``chdb:///FOLDER``, the same
            engine inside this process.

    Raises:
        StoreError: the address cannot be parsed.
        UnknownNameError: there is no such option.
    """

    def __init__(self, address: str) -> None:
        self.url = redact_password(address)
        scheme, _, rest = address.partition("://")
        parts = urlsplit(f"//{rest}")
        options = dict(parse_qsl(parts.query))
        for name in options:
            if name not in {*OPTIONS, "password"}:
                raise UnknownNameError("option", name, OPTIONS, self.url)
        if options.get("secure", "") not in _BOOLEANS:
            msg = f"{self.url}: secure is 1 or 0, not {options['secure']!r}"
            raise StoreError(msg)
        self.cluster = options.get("cluster", "")
        memory = scheme == "chdb" and parts.netloc == "memory"
        self.database = "default" if scheme == "chdb" and not memory else unquote(parts.path.strip("/")) or "default"
        secure = _BOOLEANS[options.get("secure", "")]
        if scheme == "chdb":
            self._login: dict[str, Any] = {"interface": "chdb", "path": ":memory:" if memory else parts.path}
        else:
            self._login = {
                "host": parts.hostname or "localhost",
                "port": parts.port or (8443 if secure else 8123),
                "username": unquote(parts.username or "default"),
                "password": unquote(parts.password or "") or options.get("password", ""),
                "secure": secure,
                "connect_timeout": CONNECT_SECONDS,
                "autogenerate_session_id": False,  # a session answers one question at a time
            }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def connect(self, settings: Mapping[str, Any] | None = None, *, database: bool = True) -> Client:
        """Open a connection.

        Args:
            settings: ClickHouse's own, for all its queries.
            database: whether the database exists already.

        Raises:
            StoreError: the server cannot be reached or refuses the login.
        """
        logging.getLogger("clickhouse_connect").addHandler(_SILENT)  # it raises what it logs
        with self.translate_errors():
            return clickhouse_connect.get_client(
                **self._login, database=self.database if database else None, settings=dict(settings or {})
            )

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Raise an error of the server, or of the connection to it, as one of ours."""
        try:
            yield
        except CLIENT_ERRORS as error:
            raise translate_error(self.url, error) from None


class Reader(Backend):  # type: ignore[misc]  # Ibis ships no types for it
    """Ibis on a connection: answers come as Arrow, in the announced types, a stream for each."""

    url = ""

    def to_pyarrow_batches(
        self, expr: ibis.Expr, /, *, params: Any = None, limit: Any = None, chunk_size: int = 0, **_: Any  # noqa: ANN401, ARG002
    ) -> pa.RecordBatchReader:  # fmt: skip
        """Return an answer in batches as the server sends them; it works best with blocks of its own size."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()
        query = self.compile(table, params=params, limit=limit)

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                with self.con.query_arrow_stream(query) as stream:
                    for batch in stream:
                        yield batch.rename_columns(schema.names).cast(schema)
            except (*CLIENT_ERRORS, pa.ArrowException) as error:
                raise translate_error(self.url, error) from None

        return pa.RecordBatchReader.from_batches(schema, batches())


def translate_error(url: str, error: Exception) -> StoreError:
    """Return an error of ours for one of a query, in one line."""
    text = " ".join(str(error).split())
    match = re.search(r"Code: (\d+)\.?(?: DB::Exception:)? ?(.*)", text)
    code, reason = (match[1], match[2].partition(" (version ")[0][:300]) if match else ("", "")
    if isinstance(error, pa.ArrowException):
        advice = _INTERRUPTED
    elif "EmbeddedServer" in text:
        advice = _LOCKED_FOLDER
    elif not code and isinstance(error, OperationalError | HTTPError | OSError):
        advice = _UNREACHABLE
    else:
        advice = next((advice for codes, advice in _ADVICE if code in codes), ": {reason}")
    return StoreError(url + advice.format(reason=reason or text[:300], url=url))
