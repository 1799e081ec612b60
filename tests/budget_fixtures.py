"""Fixtures: a store with spend, and budgets in a state database on each engine."""

from __future__ import annotations

import duckdb
import pytest
from ledger import build_events, open_state

from hanzo_reports import store
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.store.duckdb_session import connect_ibis


@pytest.fixture
def spend():
    """A function that makes a table of events from (id, instant, project, cost)."""
    return lambda *charges: build_events(charges, connect_ibis(duckdb.connect()))


@pytest.fixture
def lake(tmp_path, spend):
    """A store, and a function that adds events to it."""
    lake_store = store.open(str(tmp_path / "lake"), create=True)

    def add(*events):
        lake_store.append(spend(*events), {})

    return lake_store, add


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    """The address of an empty state database, on each engine."""
    if request.param == "sqlite":
        return str(tmp_path / "state.db")
    return request.getfixturevalue("database").replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def budgets(address):
    engine = open_state(address)
    yield Budgets(engine)
    engine.dispose()
