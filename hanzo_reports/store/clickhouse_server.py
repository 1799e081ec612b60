"""Connections to ClickHouse, and what it says when something goes wrong, as errors of ours."""

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
FAILED = (ClickHouseError, HTTPError, OSError)  # HTTPError: the way broke in the middle of an answer
OPTIONS = ("secure", "cluster")
_SILENT = logging.NullHandler()
_YES = {"1": True, "true": True, "0": False, "false": False, "": False}
_GONE = (
    " does not answer; is the server running, and is that its HTTP port? "
    "What was not finished is not in the store: do the same again when it is back"
)
_BROKEN = " broke off its answer, as it does when a query takes too much memory or time; its log says why"
_HELD = " cannot be opened: another process has that folder open, or it cannot be written to"
_ADVICE = (  # by the number of ClickHouse's error
    (("192", "193", "194", "516"), " lets nobody in with this user and password; give them as USER:PASSWORD@HOST"),
    (("164", "497"), ": {reason}; whoever runs the server can grant it, see docs/engines.md"),
    (("81",), ": there is no such database; run `hanzo-reports init --store {url}`"),
)


class Server:
    """The database that an address names; nothing is opened before it is asked for.

    Args:
        address: ``clickhouse://USER:PASSWORD@HOST:PORT/DATABASE``, with ``?secure=1`` for TLS and ``?cluster=NAME``
            for a Distributed table over its shards; or ``chdb://memory/DATABASE`` or ``chdb:///FOLDER``, the same
            engine inside this process.

    Raises:
        StoreError: the address cannot be read.
        UnknownNameError: an option that there is not.
    """

    def __init__(self, address: str) -> None:
        self.url = redact_password(address)
        scheme, _, rest = address.partition("://")
        parts = urlsplit(f"//{rest}")
        options = dict(parse_qsl(parts.query))
        for name in options:
            if name not in {*OPTIONS, "password"}:
                raise UnknownNameError("option", name, OPTIONS, self.url)
        if options.get("secure", "") not in _YES:
            msg = f"{self.url}: secure is 1 or 0, not {options['secure']!r}"
            raise StoreError(msg)
        self.cluster = options.get("cluster", "")
        memory = scheme == "chdb" and parts.netloc == "memory"
        self.database = "default" if scheme == "chdb" and not memory else unquote(parts.path.strip("/")) or "default"
        secure = _YES[options.get("secure", "")]
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
        return f"Server({self.url!r})"

    def client(self, settings: Mapping[str, Any] | None = None, *, database: bool = True) -> Client:
        """A new connection.

        Args:
            settings: ClickHouse's own, for all its queries.
            database: whether the database is there already.

        Raises:
            StoreError: the server cannot be reached, or lets nobody in.
        """
        logging.getLogger("clickhouse_connect").addHandler(_SILENT)  # what it reports, it also raises
        with self.speaking():
            return clickhouse_connect.get_client(
                **self._login, database=self.database if database else None, settings=dict(settings or {})
            )

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """What the server, or the way to it, says against a query, as an error of ours."""
        try:
            yield
        except FAILED as error:
            raise problem(self.url, error) from None


class Reader(Backend):  # type: ignore[misc]  # Ibis ships no types for it
    """Ibis on a connection: answers come as Arrow, in the announced types, a stream for each."""

    url = ""

    def to_pyarrow_batches(
        self, expr: ibis.Expr, /, *, params: Any = None, limit: Any = None, chunk_size: int = 0, **_: Any  # noqa: ANN401, ARG002
    ) -> pa.RecordBatchReader:  # fmt: skip
        """An answer's rows in batches as the server sends them; it works best with blocks of its own size."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()
        query = self.compile(table, params=params, limit=limit)

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                with self.con.query_arrow_stream(query) as stream:
                    for batch in stream:
                        yield batch.rename_columns(schema.names).cast(schema)
            except (*FAILED, pa.ArrowException) as error:
                raise problem(self.url, error) from None

        return pa.RecordBatchReader.from_batches(schema, batches())


def problem(url: str, error: Exception) -> StoreError:
    """What went wrong with a query, in one line."""
    said = " ".join(str(error).split())
    found = re.search(r"Code: (\d+)\.?(?: DB::Exception:)? ?(.*)", said)
    code, reason = (found[1], found[2].partition(" (version ")[0][:300]) if found else ("", "")
    if isinstance(error, pa.ArrowException):
        advice = _BROKEN
    elif "EmbeddedServer" in said:
        advice = _HELD
    elif not code and isinstance(error, OperationalError | HTTPError | OSError):
        advice = _GONE
    else:
        advice = next((text for codes, text in _ADVICE if code in codes), ": {reason}")
    return StoreError(url + advice.format(reason=reason or said[:300], url=url))
