"""Copies between stores of every kind, and of part of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from hanzo_reports import store
from hanzo_reports.errors import StoreError, UsageError
from hanzo_reports.store import copying
from hanzo_reports.store.copying import copy_store

NOW = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture
def other(tmp_path):
    return store.open(str(tmp_path / "other"), create=True)


def checksum(new_store):
    """A number made of every cell, whatever the order of the rows."""
    rows = new_store.events().to_pyarrow()  # noqa: F841  # DuckDB finds it by its name
    return duckdb.sql("SELECT count(*), sum(hash(COLUMNS(*))::HUGEINT) FROM rows").fetchone()


def filled(new_store, events, bad_rows, days=9):
    ids = [f"é{n}" for n in range(days * 24)]
    cost = [Decimal(n) / 10**9 if n % 3 else None for n in range(days * 24)]
    new_store.append(events(ids, cost=cost, latency_ms=[n / 7 for n in range(days * 24)]), {"source": "litellm"})
    new_store.add_to_quarantine(bad_rows("xyz"))
    return new_store


def test_lake_to_postgres_to_lake_is_the_same_to_the_last_cell(lake, database, other, events, bad_rows):
    middle = store.open(database, create=True)
    first = copy_store(filled(lake, events, bad_rows), middle, now=NOW)
    second = copy_store(middle, other, now=NOW)
    assert (first.accepted, first.skipped, first.equal) == (second.accepted, second.skipped, second.equal)
    assert (first.accepted, first.skipped, first.equal, first.days) == (216, 0, True, [])
    assert checksum(lake) == checksum(middle) == checksum(other)
    assert first.target["quarantined"] == other.quarantine().count().to_pyarrow().as_py() == 3
    assert first.source["cost"] == sum(Decimal(n) / 10**9 for n in range(216) if n % 3)
    [load] = middle.loads()
    assert (load["source"], load["paths"], load["read"], load["accepted"]) == ("copy", lake.url, 216, 216)


def test_a_copy_done_again_copies_nothing(lake, new_store, events, bad_rows):
    if new_store.url == lake.url:
        new_store = store.open(f"{lake.url}-2", create=True)
    copy_store(filled(lake, events, bad_rows), new_store, now=NOW)
    version = new_store.version
    again = copy_store(lake, new_store, now=NOW)
    assert (again.accepted, again.skipped, again.equal, new_store.version) == (0, 216, True, version)


def test_a_copy_that_was_stopped_goes_on_where_it_was(lake, database, events, bad_rows, monkeypatch):
    monkeypatch.setattr(copying, "COMMIT_ROWS", 48)
    middle, append = store.open(database, create=True), store.open(database, create=True).append
    shares = []

    def stops(rows, load, summary=None):
        if len(middle.loads()) == 2:
            raise KeyboardInterrupt
        return append(rows, load, summary)

    monkeypatch.setattr(middle, "append", stops)
    with pytest.raises(KeyboardInterrupt):
        copy_store(filled(lake, events, bad_rows), middle, now=NOW)
    monkeypatch.setattr(middle, "append", append)
    result = copy_store(lake, middle, now=NOW, progress=shares.append)
    assert (result.accepted, result.skipped, result.equal) == (120, 96, True)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(middle.loads()) == 2 + 3


def test_what_differs_is_named_by_its_day(lake, other, events, bad_rows):
    filled(lake, events, bad_rows)
    other.append(events("z", start=datetime(2025, 6, 3, tzinfo=UTC)), {})
    result = copy_store(lake, other, now=NOW)
    assert (result.equal, [str(day) for day in result.days]) == (False, ["2025-06-03"])
    assert result.target["events"] == result.source["events"] + 1


def test_a_day_of_as_many_other_events_is_not_taken_for_the_same(lake, other, events):
    lake.append(events(["a1", "a2"]), {})
    other.append(events(["b1", "b2"]), {})
    result = copy_store(lake, other, now=NOW)
    assert (result.accepted, result.skipped, result.equal, result.target["events"]) == (2, 0, False, 4)


def test_more_in_the_quarantine_of_the_target_is_a_difference(lake, other, events, bad_rows):
    other.add_to_quarantine(bad_rows("w"))
    result = copy_store(filled(lake, events, bad_rows), other, now=NOW)
    assert (result.equal, result.days, result.target["quarantined"]) == (False, [], 4)


def test_made_up_events_stay_marked(lake, other, events):
    lake.append(events("ab"), {"source": "sample"})
    copy_store(lake, other, now=NOW)
    assert [load["source"] for load in other.loads()] == ["sample"]


def test_a_store_without_events(lake, other):
    result = copy_store(lake, other, now=NOW)
    assert (result.accepted, result.equal, result.source["events"], result.source["cost"]) == (0, True, 0, None)


def test_a_day_larger_than_a_piece_is_one_commit(lake, other, events, monkeypatch):
    monkeypatch.setattr(copying, "COMMIT_ROWS", 10)
    lake.append(events(map(str, range(30)), step=timedelta(minutes=1)), {})
    assert copy_store(lake, other, now=NOW).equal
    assert [load["read"] for load in other.loads()] == [30]


def test_a_store_onto_itself(lake):
    with pytest.raises(UsageError, match="is given twice"):
        copy_store(lake, store.open(lake.url), now=NOW)


def test_a_target_that_cannot_be_written_says_so(lake, other, events, monkeypatch):
    def full(*_):
        raise StoreError("disk full")

    lake.append(events("a"), {})
    monkeypatch.setattr(other, "append", full)
    with pytest.raises(StoreError, match="disk full"):
        copy_store(lake, other, now=NOW)


def test_equal_days_between_two_that_differ_are_not_copied_along(lake, other, events):
    lake.append(events("abc", step=timedelta(days=1)), {})
    other.append(events("b", start=datetime(2025, 6, 2, tzinfo=UTC)), {})
    assert copy_store(lake, other, now=NOW).equal
    assert sorted(load["read"] for load in other.loads() if load.get("source") == "copy") == [1, 1]
