"""Small tables of events, and a lake to put them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import ibis
import pyarrow as pa
import pytest

from hanzo_reports import store
from hanzo_reports.events import SCHEMA
from hanzo_reports.store.base import QUARANTINE
from hanzo_reports.store.duckdb_session import connect_ibis

START = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def events():
    """A function that makes events, one an hour, on a connection of their own; a column given replaces the usual."""

    def make(ids, *, start=START, step=timedelta(hours=1), flags=None, **columns):
        ids = list(ids)
        values = {
            "event_id": ids,
            "timestamp": [start + step * number for number in range(len(ids))],
            "service": ["gateway"] * len(ids),
            "project": ["search"] * len(ids),
            "status": [200] * len(ids),
            "ingested_at": [START] * len(ids),
            **columns,
        }
        return _table(SCHEMA, values, flags or {})

    return make


@pytest.fixture
def bad_rows():
    """A function that makes quarantined rows with these ids."""

    def make(ids):
        values = {"quarantine_id": list(ids), "quarantined_at": [START] * len(ids)}
        values |= {name: ["x"] * len(ids) for name in ("load_id", "source", "reason", "raw")}
        return _table(QUARANTINE, values, {})

    return make


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)


@pytest.fixture(params=["lake", "postgres", "clickhouse"])
def new_store(request, tmp_path):
    """An empty store of each kind that keeps the whole protocol."""
    if request.param == "lake":
        return store.open(str(tmp_path / "lake"), create=True)
    place = request.getfixturevalue({"postgres": "database"}.get(request.param, request.param))
    return store.open(place, create=True, state=str(tmp_path / "state.db"))


@pytest.fixture
def ids():
    """A function that gives the sorted ids that a store holds."""
    return lambda new_store: sorted(new_store.events().event_id.to_pyarrow().to_pylist())


def _table(schema, values, flags):
    arrow = ibis.schema({name: dtype.removeprefix("!") for name, dtype in schema.items()}).to_pyarrow()
    length = len(next(iter(values.values())))
    columns = {field.name: pa.array(values.get(field.name, [None] * length), field.type) for field in arrow}
    columns |= {name: pa.array(flag, pa.bool_()) for name, flag in flags.items()}
    con = connect_ibis(duckdb.connect())
    return con.create_table("rows", pa.table(columns))
