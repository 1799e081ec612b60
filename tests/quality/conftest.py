"""A table with planted faults, and the engines that it is guarded on: the lake's files, and a real Postgres."""

from __future__ import annotations

import duckdb
import ibis
import psycopg
import pytest
from event_fixtures import NOW, arrow, lake, now

from hanzo_reports.quality.parameters import suite_parameters
from hanzo_reports.quality.suites import load_suite
from hanzo_reports.store.duckdb_session import connect_ibis

__all__ = ["arrow", "lake", "now"]


@pytest.fixture(scope="session")
def suite_of():
    """A function that reads a suite of the package, or one written here, with the default parameters."""
    return lambda name, **overrides: load_suite(str(name), suite_parameters(NOW, {}) | overrides)


@pytest.fixture
def written(tmp_path, suite_of):
    """A function that reads a suite out of the lines of its expectations."""

    def make(*lines, meta="", **overrides):
        path = tmp_path / "own.yaml"
        path.write_text("name: own\n" + meta + "expectations:\n" + "".join(f"  - {line}\n" for line in lines))
        return suite_of(path, **overrides)

    return make


@pytest.fixture(scope="session")
def postgres_tables(postgres):
    """Ibis on a database of its own on a real Postgres server."""
    with psycopg.connect(postgres.database(), autocommit=True) as connection:
        yield ibis.postgres.from_connection(connection)


@pytest.fixture(scope="session")
def local():
    """A function that puts an Arrow table on a DuckDB connection of its own."""
    return lambda table, name="rows": connect_ibis(duckdb.connect()).create_table(name, table)
