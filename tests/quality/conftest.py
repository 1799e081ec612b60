"""A table with planted faults, and the engines that it is guarded on: the lake's files, and a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import ibis
import psycopg
import pyarrow as pa
import pytest

from hanzo_reports import store
from hanzo_reports.events import SCHEMA
from hanzo_reports.quality.parameters import parameters
from hanzo_reports.quality.suites import suite
from hanzo_reports.store.duck import backend

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture(scope="session")
def suite_of():
    """A function that reads a suite of the package, or one written here, with the usual parameters."""
    return lambda name, **given: suite(str(name), parameters(NOW, {}) | given)


@pytest.fixture
def written(tmp_path, suite_of):
    """A function that reads a suite out of the lines of its expectations."""

    def make(*lines, meta="", **given):
        path = tmp_path / "own.yaml"
        path.write_text("name: own\n" + meta + "expectations:\n" + "".join(f"  - {line}\n" for line in lines))
        return suite_of(path, **given)

    return make


@pytest.fixture(scope="session")
def postgres_tables(postgres):
    """Ibis on a database of its own on a real Postgres server."""
    with psycopg.connect(postgres.database(), autocommit=True) as connection:
        yield ibis.postgres.from_connection(connection)


@pytest.fixture(scope="session")
def arrow():
    """A function that makes an Arrow table of events out of rows, the usual values where a row is silent."""

    def make(rows, **types):
        usual = {
            "service": "gateway", "project": "search", "status": 200, "model": "gpt-4o", "provider": "openai",
            "latency_ms": 900.0, "time_to_first_token_ms": 90.0, "input_tokens": 1000, "output_tokens": 100,
            "cache_read_tokens": 200, "cache_write_tokens": 0, "reasoning_tokens": 10, "bytes_in": 10, "bytes_out": 20,
            "queue_depth": 1, "queue_capacity": 10, "cost": 0.0035, "cost_source": "computed:x",
            "timestamp": NOW - timedelta(hours=1), "ingested_at": NOW,
        }  # fmt: skip
        wide = {name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()} | types
        schema = ibis.schema(wide).to_pyarrow()
        if "cost" not in types:
            usual["cost"] = Decimal("0.0035")
        filled = [usual | row for row in rows]
        return pa.Table.from_pylist([{name: row.get(name) for name in wide} for row in filled], schema=schema)

    return make


@pytest.fixture(scope="session")
def local():
    """A function that puts an Arrow table on a DuckDB connection of its own."""
    return lambda table, name="rows": backend(duckdb.connect()).create_table(name, table)


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)
