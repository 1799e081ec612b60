"""A row whose event the store has is a duplicate, whatever the guard would say about it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from hanzo_reports import store
from hanzo_reports.ingest.load import ingest
from hanzo_reports.ingest.release import release
from hanzo_reports.quality.verdict import Status


@pytest.fixture(params=["lake", "postgres", "clickhouse"])
def any_store(request, tmp_path):
    """An empty store of each kind."""
    if request.param == "lake":
        yield store.open(str(tmp_path / "lake"), create=True)
    elif request.param == "postgres":
        yield store.open(request.getfixturevalue("database"), create=True)
    else:
        import clickhouse_connect  # noqa: PLC0415  # slow to load

        client = clickhouse_connect.get_client(dsn="chdb://memory")
        yield store.open("chdb://memory/known", create=True, state=str(tmp_path / "state.db"))
        client.command("DROP DATABASE IF EXISTS known")
        client.close()


@pytest.fixture
def write(tmp_path, now):
    """A function that writes rows, with what every event needs, as JSON lines."""

    def run(*rows):
        usual = {"timestamp": (now - timedelta(hours=1)).isoformat(), "service": "g", "project": "p", "status": 200}
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(usual | row) + "\n" for row in rows))
        return path

    return run


def counts(loaded):
    return loaded.read, loaded.accepted, loaded.duplicates, loaded.quarantined


def complaints(loaded):
    return [] if loaded.verdict is None else [check.id for check in loaded.verdict.checks if check.state == "failed"]


def test_a_reload_of_rows_that_were_loaded_without_the_guard_is_all_duplicates(any_store, write, now):
    future = {"timestamp": (now + timedelta(days=2)).isoformat()}
    slow = {"latency_ms": 1e9}  # a warning
    rows = [{"event_id": "a"}, {"event_id": "b"} | future, {"event_id": "c"} | slow, {"event_id": "d\x00"} | slow]
    path = write(*rows)
    assert counts(ingest(any_store, "events", [path], now=now, suite="")) == (4, 4, 0, 0)
    again = ingest(any_store, "events", [path], now=now)
    assert (counts(again), again.verdict, again.reasons) == ((4, 0, 4, 0), None, {})
    assert any_store.quarantine().count().to_pyarrow().as_py() == 0
    more = ingest(any_store, "events", [write(*rows, {"event_id": "e"}, {"event_id": "f"} | future)], now=now)
    assert (counts(more), complaints(more)) == ((6, 1, 4, 1), ["timestamp_not_future"])
    assert more.verdict.rows == 2
    assert sorted(more.reasons.values()) == [1]


def test_a_reload_of_a_released_row_is_a_duplicate_and_warns_of_nothing(any_store, write, now):
    future = {"timestamp": (now + timedelta(days=2)).isoformat()}
    path = write({"event_id": "a"}, {"event_id": "b"} | future, {"event_id": "b", "user": "copy"} | future)
    assert counts(ingest(any_store, "events", [path], now=now)) == (3, 1, 0, 2)
    assert release(any_store, now=now + timedelta(days=3)).accepted == 1
    again = ingest(any_store, "events", [path], now=now)  # as if its clock were still wrong
    assert (counts(again), complaints(again)) == ((3, 0, 3, 0), [])
    assert any_store.quarantine().count().to_pyarrow().as_py() == 0


def test_a_quarantined_row_whose_event_was_loaded_meanwhile_leaves_as_a_duplicate(any_store, write, now):
    path = write({"event_id": "a", "timestamp": (now + timedelta(days=2)).isoformat()})
    assert counts(ingest(any_store, "events", [path], now=now)) == (1, 0, 0, 1)
    assert counts(ingest(any_store, "events", [path], now=now, suite="")) == (1, 1, 0, 0)
    outcome = release(any_store, now=now)
    assert (outcome.released, outcome.accepted, outcome.duplicates) == (1, 0, 1)
    assert any_store.quarantine().count().to_pyarrow().as_py() == 0


def test_the_record_of_a_load_counts_known_and_repeated_rows_as_before(any_store, write, now):
    future = {"timestamp": (now + timedelta(days=2)).isoformat()}
    ingest(any_store, "events", [write({"event_id": "a"} | future, {"event_id": "b"})], now=now, suite="")
    rows = [{"event_id": "a"} | future, {"event_id": "b"}, {"event_id": "b"}, {"event_id": "c"}, {"event_id": "c"}]
    loaded = ingest(any_store, "events", [write(*rows, {"event_id": "d"} | future)], now=now)
    assert counts(loaded) == (6, 1, 4, 1)
    record = any_store.loads()[0]
    assert [record[name] for name in ("read", "accepted", "known", "repeated", "quarantined")] == [6, 1, 2, 2, 1]
    assert loaded.verdict.status is Status.WARNED
