"""Several processes on one Postgres store, some of them killed, and the server killed under one."""

import subprocess
import sys
import time

import pytest
from postgres_server import server
from writers import ROWS, count_events, release_writers, start_writer

from hanzo_reports import store
from hanzo_reports.errors import StoreError
from hanzo_reports.store import postgres_load


def test_writers_of_the_same_rows_keep_each_once_while_others_read(database):
    new_store = store.open(database, create=True)
    writers = [start_writer(database) for _ in range(3)]
    release_writers(*writers)
    counts = set()
    while any(process.poll() is None for process in writers):
        counts.add(count_events(new_store))
        time.sleep(0.01)
    assert counts <= {0, ROWS}
    assert sorted(int(process.communicate()[0]) for process in writers) == [0, 0, ROWS]
    assert count_events(new_store) == new_store.events().event_id.nunique().to_pyarrow().as_py() == ROWS
    assert [load["accepted"] for load in new_store.loads()] == [ROWS]


def test_processes_that_make_the_same_store_at_once(database):
    code = "import sys; from hanzo_reports import store; store.open(sys.argv[1], create=True).state.dispose()"
    makers = [subprocess.Popen([sys.executable, "-c", code, database], stderr=subprocess.PIPE) for _ in range(4)]
    assert [maker.communicate()[1] for maker in makers] == [b""] * 4
    assert count_events(store.open(database)) == 0


@pytest.fixture
def mortal():
    """A server of this test's own."""
    with server() as running:
        yield running


def test_a_server_killed_in_the_middle_of_a_load_keeps_nothing_of_it(mortal, events, bad_rows, monkeypatch):
    url = mortal.database()
    new_store = store.open(url, create=True)
    new_store.append(events("ab"), {"load_id": "before"})
    rows = events([str(n) for n in range(60_000)])
    write, written = postgres_load.csv.write_csv, []

    def killing(batch, *rest):
        written.append(batch.num_rows)
        if sum(written) > 60_000 + postgres_load.BATCH_ROWS:  # all ids, and some of the rows
            mortal.kill()
        write(batch, *rest)

    monkeypatch.setattr(postgres_load.csv, "write_csv", killing)
    with pytest.raises(
        StoreError, match=r"The connection to .* was lost: .*run the same again when the server is back"
    ):
        new_store.append(rows, {"load_id": "killed"})
    monkeypatch.undo()
    with pytest.raises(StoreError, match="cannot be opened"):
        new_store.version  # noqa: B018  # a property that asks
    mortal.start()
    assert count_events(new_store) == 2
    assert [load["load_id"] for load in new_store.loads()] == ["before"]
    assert new_store.append(rows, {"load_id": "again"}).accepted == 60_000
    assert count_events(new_store) == 60_002
    new_store.add_to_quarantine(bad_rows("a"))
    assert new_store.quarantine().count().to_pyarrow().as_py() == 1


def test_a_server_killed_in_the_middle_of_an_answer_is_an_error_not_half_an_answer(mortal, events):
    new_store = store.open(mortal.database(), create=True)
    new_store.append(events([str(n) for n in range(60_000)]), {})
    stream = new_store.events().to_pyarrow_batches(chunk_size=100)
    stream.read_next_batch()
    mortal.kill()
    with pytest.raises(StoreError, match="was lost"):
        stream.read_all()
    mortal.start()
    assert count_events(new_store) == 60_000
