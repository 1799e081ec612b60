"""ClickHouse as its users have it: an address, HTTP, other processes; the engine sits behind the tests' own server."""

# ruff: noqa: SLF001  # the server is killed between two of a load's inserts
import subprocess
import sys
import time
from pathlib import Path
from secrets import token_hex

import clickhouse_http
import pytest
from writers import ROWS, count_events, release_writers, start_writer

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.errors import StoreError
from hanzo_reports.store import clickhouse as stores
from hanzo_reports.store.clickhouse_tables import COLUMNS

DATA = Path(__file__).parents[1] / "data"
USER, PASSWORD = "reader", "s3cret"


class Server:
    """A running server that keeps its data in a folder."""

    def __init__(self, folder, options=""):
        self.folder, self.options, self.port = folder, options, 0
        self.start()

    def start(self):
        """Start it, on the port of the time before."""
        arguments = [clickhouse_http.__file__, self.folder, USER, PASSWORD, self.port]
        self.process = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        """End it at once."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def address(self, password=PASSWORD):
        """The URL of a database of it."""
        return f"clickhouse://{USER}:{password}@127.0.0.1:{self.port}/usage{self.options}"


@pytest.fixture
def server(tmp_path, request):
    running = Server(tmp_path / "server", getattr(request, "param", ""))
    yield running
    running.kill()


alone_and_in_a_cluster = pytest.mark.parametrize("server", ["", "?cluster=one"], indirect=True)


@alone_and_in_a_cluster
def test_real_logs_are_loaded_once_and_answered_exported_and_reported_as_from_the_lake(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HANZO_REPORTS_STATE", str(tmp_path / "state.db"))
    question = {"metrics": ["requests", "error_rate", "latency_p50", "latency_p95", "active_users"], "every": "day"}
    answers, files = [], []
    for place in (server.address(), str(tmp_path / "lake")):
        workspace = hr.open(place, now="2026-06-01T00:00:00Z", create=True)
        loads = [workspace.ingest("tool_calls", [DATA / "tool_calls.parquet"]) for _ in range(2)]
        assert [load.accepted for load in loads] == [815, 0]
        answers.append(workspace.usage("all", **question).rows())
        files.append(tmp_path / f"{len(files)}.csv")
        assert workspace.export(files[-1], "csv", "all") == 815
    assert answers[0] == answers[1]
    assert files[0].read_bytes() == files[1].read_bytes()
    workspace = hr.open(server.address(), now="2026-06-01T00:00:00Z")
    run = workspace.report("dashboard", out=tmp_path / "reports", window="all")
    assert run.status == "completed"
    assert all(PASSWORD.encode() not in path.read_bytes() for path in run.folder.rglob("*") if path.is_file())


@alone_and_in_a_cluster
def test_loaders_of_the_same_rows_at_once_keep_each_once(server):
    new_store = store.open(server.address(), create=True)
    writers = [start_writer(server.address()) for _ in range(3)]
    release_writers(*writers)
    while any(process.poll() is None for process in writers):
        assert count_events(new_store) % ROWS == 0  # all of a load or nothing, until the later of two is taken back
        time.sleep(0.01)
    for process in writers:
        assert process.communicate()[0]
    assert count_events(new_store) == new_store.events().event_id.nunique().to_pyarrow().as_py() == ROWS


@alone_and_in_a_cluster
def test_a_server_killed_in_the_middle_of_a_load_has_nothing_of_it_and_the_load_can_be_done_again(
    server, events, monkeypatch
):
    new_store = store.open(server.address(), create=True)
    new_store.append(events("ab"), {"load_id": "before"})
    before, rows = new_store.version, events([str(n) for n in range(3_000)])
    monkeypatch.setattr(stores, "BATCH_ROWS", 1_000)
    insert, sent = new_store._insert, []

    def killing(*arguments):
        sent.append(arguments)
        if len(sent) > 1:
            server.kill()
        insert(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(new_store, "_insert", killing)
        with pytest.raises(StoreError, match=r"does not answer.*run the same again") as caught:
            new_store.append(rows, {"load_id": "killed"})
    assert PASSWORD not in str(caught.value)
    with pytest.raises(StoreError, match="does not answer"):
        new_store.version  # noqa: B018  # a property that asks
    server.start()
    assert (new_store.version, count_events(new_store), len(new_store.loads())) == (before, 2, 1)
    assert new_store.append(rows, {"load_id": "again"}).accepted == 3_000
    assert count_events(new_store) == 3_002


def test_a_wrong_password_is_a_line_without_it(server):
    with pytest.raises(StoreError, match="refuses this user and password") as caught:
        store.open(server.address("wr0ng"))
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("server", ["?cluster=one"], indirect=True)
def test_a_cluster_keeps_quarantined_rows_until_they_are_released_and_merges_its_parts(server, events, bad_rows):
    new_store = store.open(server.address(), create=True)
    new_store.append(events("abc"), {})
    new_store.append(events("bcd"), {})
    new_store.add_to_quarantine(bad_rows("xyz"))
    assert new_store.quarantine().count().to_pyarrow().as_py() == 3
    new_store.release(["x", "z"])
    assert new_store.quarantine().quarantine_id.to_pyarrow().to_pylist() == ["y"]
    assert new_store.compact() > 0
    assert sorted(new_store.events().event_id.to_pyarrow().to_pylist()) == ["a", "b", "c", "d"]
    tables = new_store._client.query("SELECT name, engine FROM system.tables WHERE database = 'usage'").result_rows
    assert {name: engine for name, engine in tables if engine == "Distributed"}.keys() == set(COLUMNS)


def test_a_server_killed_in_the_middle_of_an_answer_is_an_error_not_half_an_answer(server, events):
    new_store = store.open(server.address(), create=True)
    new_store.append(events([token_hex(200) for _ in range(60_000)]), {})
    stream = new_store.events().to_pyarrow_batches()
    stream.read_next_batch()
    server.kill()
    with pytest.raises(StoreError, match="does not answer"):
        stream.read_all()
    server.start()
    assert count_events(new_store) == 60_000
