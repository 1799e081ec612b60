"""A folder read by Spark: questions, exports and reports run on a cluster over the store's own files.

Loads, additions to the quarantine and the state work as without Spark.
"""

from __future__ import annotations

import socket
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
from ibis.backends.pyspark import Backend
from ibis.backends.pyspark.datatypes import PySparkSchema
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException, PySparkRuntimeError
from pyspark.sql import SparkSession, functions

from hanzo_reports.errors import StoreError
from hanzo_reports.store import SPARK, address_for_engine
from hanzo_reports.store.delta import DeltaStore, open_delta

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pyspark.sql import DataFrame

    from hanzo_reports.store.delta_files import DataFile, DeltaFiles

CONNECT_SECONDS = 5
MASTER_PORT = 7077
_SETTINGS = {
    "spark.app.name": "hanzo-reports",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.debug.maxToStringFields": "1000",  # below, it warns that it shortens questions in its log
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",  # listing fewer is faster without a job
    "spark.dynamicAllocation.enabled": "true",  # idle cores are returned: a report queries from two processes
    "spark.dynamicAllocation.executorIdleTimeout": "10s",
    "spark.dynamicAllocation.shuffleTracking.timeout": "10s",
}
_SPARK_ERRORS = (PySparkException, Py4JError)


class SparkStore(DeltaStore):
    """A folder whose questions Spark answers.

    Args:
        folder: an existing store, under the same path on every machine of the cluster.
        master: Spark's master; empty: Spark's own setting, otherwise this machine.
    """

    def __init__(self, folder: Path, master: str) -> None:
        super().__init__(folder)
        Reader.register_options()  # as `ibis.pyspark` would
        self.url = address_for_engine(str(folder), "spark", master)
        self._master = master
        _check_master(master)

    @cached_property
    def _session(self) -> SparkSession:
        """The session of this process, started by the first question: loading or starting a report takes no core."""
        return _start_session(self._master)

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:
        """Return the events of the newest version, without the files of days outside `start` and `end`."""
        return self._read(self._events, self._list_event_files(start, end))

    def quarantine(self) -> ibis.Table:
        """Return the quarantined rows."""
        return self._read(self._quarantine, self._list_quarantine_files())

    def _read(self, table: DeltaFiles, files: list[DataFile]) -> ibis.Table:
        """Return some files of a table, in a session of their own: questions share no settings and no names."""
        schema = ibis.schema(table.schema)
        reader = Reader()
        reader.do_connect(self._session.newSession())
        reader.url = self.url
        types = PySparkSchema.from_ibis(ibis.schema({name: t.copy(nullable=True) for name, t in schema.items()}))
        if files:
            frame = reader.session.read.schema(types).parquet(*table.resolve_paths(files))
        else:
            frame = reader.session.createDataFrame([], types)
        name = ibis.util.gen_name(table.folder.name)
        frame.createOrReplaceTempView(name)
        return ops.DatabaseTable(name=name, schema=schema, source=reader).to_expr()


class Reader(Backend):  # type: ignore[misc]  # Ibis ships no types for it
    """Ibis on a session: answers come as Arrow, in the types of their schema, long ones in parts."""

    url = ""

    @property
    def session(self) -> SparkSession:
        """Spark's session."""
        session: SparkSession = self._session
        return session

    def to_pyarrow(self, expr: ibis.Expr, /, *, params: Any = None, limit: Any = None, **_: Any) -> pa.Table:  # noqa: ANN401
        """Return an answer; Ibis itself uses pandas, where whole numbers beside NULL become floats."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()
        try:
            answer = self._frame(table, params, limit).toArrow()
        except _SPARK_ERRORS as error:
            raise translate_error(self.url, error) from error
        return expr.__pyarrow_result__(answer.rename_columns(schema.names).cast(schema))

    def to_pyarrow_batches(
        self, expr: ibis.Expr, /, *, params: Any = None, limit: Any = None, chunk_size: int = 1_000_000, **_: Any  # noqa: ANN401
    ) -> pa.RecordBatchReader:  # fmt: skip
        """Return an answer in batches, with one partition at a time on this machine."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                frame = _convert_columns(self._frame(table, params, limit), schema)
                rows = frame.toLocalIterator(prefetchPartitions=True)
                while chunk := list(islice(rows, chunk_size)):
                    columns = zip(*chunk, strict=True)
                    arrays = [_build_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            except _SPARK_ERRORS as error:
                raise translate_error(self.url, error) from error

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _frame(self, table: ibis.Table, params: Any, limit: Any) -> DataFrame:  # noqa: ANN401
        self._run_pre_execute_hooks(table)
        return self.session.sql(self.compile(table, params=params, limit=limit))


def open_spark(url: str, *, create: bool) -> SparkStore:
    """Open the folder at a spark+file:// address, created first if requested; see `store.open`."""
    parts = urlsplit(url.removeprefix(f"{SPARK}:"))
    folder = Path(unquote(parts.path))
    open_delta(folder, create=create)
    return SparkStore(folder, dict(parse_qsl(parts.query)).get("master", ""))


def translate_error(url: str, error: Exception) -> StoreError:
    """Return an error of ours for one of a question, in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return StoreError(f"{url}: Spark could not answer: {lines[0][:300]}")


def _start_session(master: str) -> SparkSession:
    """Return the Spark session of this process, started if there is none."""
    session = SparkSession.getActiveSession()
    if session and master and session.sparkContext.master != master:
        msg = f"This process already has a Spark session on {session.sparkContext.master}; stop it to use {master}"
        raise StoreError(msg)
    builder = SparkSession.builder
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    try:
        return (builder.master(master) if master else builder).getOrCreate()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise translate_error(master, error) from error
        msg = (
            "Spark needs Java 17 or newer and could not start it; install it (Debian: apt-get install "
            "openjdk-17-jre-headless), or set JAVA_HOME to its folder"
        )
        raise StoreError(msg) from None
    except _SPARK_ERRORS as error:
        raise translate_error(master, error) from error


def _check_master(master: str) -> None:
    """Raise an error if no master listens: Spark itself would try for a minute."""
    scheme, _, rest = master.partition("://")
    if scheme != "spark":
        return
    for address in rest.split(","):
        host, _, port = address.partition(":")
        try:
            socket.create_connection((host, int(port or MASTER_PORT)), CONNECT_SECONDS).close()
        except (OSError, ValueError):
            continue
        return
    msg = f"No Spark master answers at {master}; start it, or set HANZO_REPORTS_SPARK_MASTER to another address"
    raise StoreError(msg)


def _convert_columns(frame: DataFrame, schema: pa.Schema) -> DataFrame:
    """Convert instants to numbers, and floats to floats.

    Spark returns instants of rows in this machine's zone, where an hour of autumn is ambiguous. It reads a float that
    Ibis writes into a query as a decimal.
    """
    columns = []
    for name, field in zip(frame.columns, schema, strict=True):
        column = functions.col(f"`{name}`")
        if pa.types.is_timestamp(field.type):
            column = functions.unix_micros(column)
        elif pa.types.is_floating(field.type):
            column = column.cast("double")
        columns.append(column)
    return frame.select(*columns)


def _build_array(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    """Build a column from Python values; instants are microseconds."""
    return pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)
