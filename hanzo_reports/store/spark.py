"""The lake read by Spark: questions, exports and reports run on a cluster over the lake's own files.

Loads, the quarantine's rows and the state go the lake's usual way.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime
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

    from pyspark.sql import DataFrame

    from hanzo_reports.store.delta_files import DeltaFiles, File

CONNECT_SECONDS = 5
MASTER_PORT = 7077
_SETTINGS = {
    "spark.app.name": "hanzo-reports",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.debug.maxToStringFields": "1000",  # it warns of a question that it would shorten in its log
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",  # for fewer files a job takes longer than a look
    "spark.dynamicAllocation.enabled": "true",  # cores go back when nothing is asked: a report asks from two processes
    "spark.dynamicAllocation.executorIdleTimeout": "10s",
    "spark.dynamicAllocation.shuffleTracking.timeout": "10s",
}
_FAILED = (PySparkException, Py4JError)


class SparkStore(DeltaStore):
    """A lake whose questions Spark answers.

    Args:
        folder: an existing lake, under the same path on every machine of the cluster.
        master: Spark's master; empty: Spark's own setting, else this machine.
    """

    def __init__(self, folder: Path, master: str) -> None:
        super().__init__(folder)
        Reader.register_options()  # as `ibis.pyspark` would
        self.url = address_for_engine(str(folder), "spark", master)
        self._master = master
        _reached(master)

    @cached_property
    def _session(self) -> SparkSession:
        """This process's, started by the first question: whoever only loads, or starts a report, takes no core."""
        return _session(self._master)

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:
        """The events of the newest version; `start` and `end` leave out the files of days outside them."""
        first = (start or datetime.min.replace(tzinfo=UTC)).astimezone(UTC).date()
        last = (end or datetime.max.replace(tzinfo=UTC)).astimezone(UTC).date()
        files = self._events.files(self._events.table())
        return self._spread(self._events, [file for file in files if first <= file.day <= last])

    def quarantine(self, rows: ibis.Table | None = None) -> ibis.Table:
        """The quarantined rows; given ones are added first."""
        if rows is not None:
            super().quarantine(rows)
        return self._spread(self._quarantine, self._quarantine.files(self._quarantine.table()))

    def _spread(self, table: DeltaFiles, files: list[File]) -> ibis.Table:
        """Some files of a table, in a session of their own: what one question sets or names, another does not see."""
        schema = ibis.schema(table.schema)
        reader = Reader()
        reader.do_connect(self._session.newSession())
        reader.url = self.url
        types = PySparkSchema.from_ibis(ibis.schema({name: t.copy(nullable=True) for name, t in schema.items()}))
        if files:
            frame = reader.session.read.schema(types).parquet(*(str(table.folder / file.path) for file in files))
        else:
            frame = reader.session.createDataFrame([], types)
        name = ibis.util.gen_name(table.folder.name)
        frame.createOrReplaceTempView(name)
        return ops.DatabaseTable(name=name, schema=schema, source=reader).to_expr()


class Reader(Backend):  # type: ignore[misc]  # Ibis ships no types for it
    """Ibis on a session: answers come as Arrow, in the announced types, long ones a part after the other."""

    url = ""

    @property
    def session(self) -> SparkSession:
        """Spark's session."""
        session: SparkSession = self._session
        return session

    def to_pyarrow(self, expr: ibis.Expr, /, *, params: Any = None, limit: Any = None, **_: Any) -> pa.Table:  # noqa: ANN401
        """An answer; Ibis' own way leads through pandas, where whole numbers beside NULL become floats."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()
        try:
            found = self._frame(table, params, limit).toArrow()
        except _FAILED as error:
            raise problem(self.url, error) from error
        return expr.__pyarrow_result__(found.rename_columns(schema.names).cast(schema))

    def to_pyarrow_batches(
        self, expr: ibis.Expr, /, *, params: Any = None, limit: Any = None, chunk_size: int = 1_000_000, **_: Any  # noqa: ANN401
    ) -> pa.RecordBatchReader:  # fmt: skip
        """An answer's rows: one partition at a time is on this machine."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                frame = _exact(self._frame(table, params, limit), schema)
                rows = frame.toLocalIterator(prefetchPartitions=True)
                while chunk := list(islice(rows, chunk_size)):
                    columns = zip(*chunk, strict=True)
                    arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            except _FAILED as error:
                raise problem(self.url, error) from error

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _frame(self, table: ibis.Table, params: Any, limit: Any) -> DataFrame:  # noqa: ANN401
        self._run_pre_execute_hooks(table)
        return self.session.sql(self.compile(table, params=params, limit=limit))


def open_spark(url: str, *, create: bool) -> SparkStore:
    """The lake at a spark+file:// address, made first if asked; see `store.open`."""
    parts = urlsplit(url.removeprefix(f"{SPARK}:"))
    folder = Path(unquote(parts.path))
    open_delta(folder, create=create)
    return SparkStore(folder, dict(parse_qsl(parts.query)).get("master", ""))


def problem(url: str, error: Exception) -> StoreError:
    """What a question failed with, in one line."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return StoreError(f"{url}: Spark could not answer: {said[0][:300]}")


def _session(master: str) -> SparkSession:
    """The process's Spark session, started if there is none."""
    held = SparkSession.getActiveSession()
    if held and master and held.sparkContext.master != master:
        msg = f"this process has a Spark session on {held.sparkContext.master} already; stop it to use {master}"
        raise StoreError(msg)
    builder = SparkSession.builder
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    try:
        return (builder.master(master) if master else builder).getOrCreate()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise problem(master, error) from error
        msg = (
            "Spark needs Java 17 or newer and could not start it; install it (Debian: apt-get install "
            "openjdk-17-jre-headless), or say in JAVA_HOME where it is"
        )
        raise StoreError(msg) from None
    except _FAILED as error:
        raise problem(master, error) from error


def _reached(master: str) -> None:
    """An error where no master listens: Spark itself would try for a minute."""
    scheme, _, rest = master.partition("://")
    if scheme != "spark":
        return
    for place in rest.split(","):
        host, _, port = place.partition(":")
        try:
            socket.create_connection((host, int(port or MASTER_PORT)), CONNECT_SECONDS).close()
        except (OSError, ValueError):
            continue
        return
    msg = f"no Spark master answers at {master}; start it, or set HANZO_REPORTS_SPARK_MASTER to another address"
    raise StoreError(msg)


def _exact(frame: DataFrame, schema: pa.Schema) -> DataFrame:
    """Instants as numbers: as rows, Spark gives them in this machine's zone, where an hour of autumn is two.

    Floats as such: where Ibis writes one into a query, Spark reads a decimal.
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


def _array(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    """Values as Python has them as a column."""
    return pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)
