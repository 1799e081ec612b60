"""ClickHouse's own behaviour, on the real engine in this process; a server's own is untested, as the docs say."""

# ruff: noqa: SLF001  # faults are planted where they happen: between the store and its client
from __future__ import annotations

import gc
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import OperationalError

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.errors import StoreError, StoreVersionError, UnknownNameError
from hanzo_reports.store import clickhouse as stores
from hanzo_reports.store.clickhouse_server import ClickHouseServer, translate_error
from hanzo_reports.store.clickhouse_tables import COLUMNS, check_tables, create_statements

DATA = Path(__file__).parents[1] / "data"
SECRET = "hunter2"  # noqa: S105  # nobody's


@pytest.fixture
def new_store(clickhouse):
    return store.open(clickhouse, create=True)


def tables(new_store):
    query = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    return [name for [name] in new_store._client.query(query).result_rows]


def test_a_connection_waits_for_the_next_table_which_sees_what_came_meanwhile(new_store, events, monkeypatch):
    new_store.append(events("ab"), {})
    assert new_store.events().count().to_pyarrow().as_py() == 2
    gc.collect()
    new_store.append(events("abc"), {})
    monkeypatch.setattr(new_store._server, "connect", None)
    assert new_store.events().count().to_pyarrow().as_py() == 3


def test_real_logs_are_loaded_once_and_exported_as_from_the_lake(clickhouse, tmp_path, monkeypatch):
    monkeypatch.setenv("HANZO_REPORTS_STATE", str(tmp_path / "state.db"))
    opened = [hr.open(place, now="2026-06-01T00:00:00Z", create=True) for place in (clickhouse, str(tmp_path / "lake"))]
    for workspace in opened:
        loads = [workspace.ingest("tool_calls", [DATA / "tool_calls.parquet"]) for _ in range(2)]
        assert [load.accepted > 0 for load in loads] == [True, False]
        workspace.export(tmp_path / f"{len(list(tmp_path.iterdir()))}.csv", "csv", "all")
    first, second = sorted(tmp_path.glob("*.csv"))
    assert first.read_bytes() == second.read_bytes()
    assert [ws.condition()["events"] for ws in opened] == [loads[0].read] * 2


def test_a_batch_whose_answer_was_lost_is_sent_again_and_is_there_once(new_store, events, ids, monkeypatch):
    send, lost = new_store._client.insert_arrow, []

    def insert(table, *arguments, **options):
        send(table, *arguments, **options)
        if not table.endswith("_ids") and not lost:
            lost.append(table)
            raise OperationalError

    monkeypatch.setattr(new_store._client, "insert_arrow", insert)
    assert new_store.append(events("abc"), {}).accepted == 3
    assert lost
    assert ids(new_store) == ["a", "b", "c"]


@pytest.mark.parametrize("step", ["_send", "_attach"])
def test_a_server_that_dies_mid_load_has_nothing_of_it_and_the_load_can_be_done_again(
    new_store, events, ids, monkeypatch, step
):
    new_store.append(events("a"), {})
    before = new_store.version

    def die(*_):
        raise OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(new_store, step, die)
        with pytest.raises(StoreError, match=r"does not answer.*run the same again"):
            new_store.append(events("abc"), {})
    assert (ids(new_store), new_store.version, len(new_store.loads())) == (["a"], before, 1)
    assert new_store.append(events("abc"), {}).accepted == 2
    assert ids(new_store) == ["a", "b", "c"]


def test_a_load_that_died_after_its_rows_were_in_is_a_commit(new_store, events, ids, monkeypatch):
    insert = new_store._client.insert

    def die_at_the_mark(table, rows, **options):
        if rows[0][1]:
            raise OperationalError
        insert(table, rows, **options)

    with monkeypatch.context() as patched:
        patched.setattr(new_store._client, "insert", die_at_the_mark)
        with pytest.raises(StoreError):
            new_store.append(events("ab"), {"load_id": "one"})
    assert ids(new_store) == ["a", "b"]
    assert [load["load_id"] for load in new_store.loads()] == ["one"]
    assert new_store.version != "0"
    assert new_store.append(events("ab"), {}).duplicates == 2


def test_two_loaders_of_the_same_rows_at_once_leave_each_row_once(new_store, events, ids, monkeypatch):
    other, attach = store.open(new_store.url), new_store._attach

    def overtaken(table, stage):
        assert other.append(events("abc"), {"load_id": "other"}).accepted == 3
        attach(table, stage)

    monkeypatch.setattr(new_store, "_attach", overtaken)
    new_store.append(events("abcd"), {"load_id": "one"})
    assert ids(new_store) == ["a", "b", "c", "d"]
    assert new_store.compact() > 0
    assert ids(new_store) == ["a", "b", "c", "d"]


def test_two_loaders_of_one_id_with_different_times_at_once(new_store, events, ids, monkeypatch):
    other, attach = store.open(new_store.url), new_store._attach

    def overtaken(table, stage):
        other.append(events("a", start=datetime(2030, 1, 1, tzinfo=UTC)), {})
        attach(table, stage)

    monkeypatch.setattr(new_store, "_attach", overtaken)
    new_store.append(events("a"), {})
    assert ids(new_store) == ["a"]


def test_without_events_it_says_so_and_far_instants_are_found(new_store, events, tmp_path, monkeypatch):
    monkeypatch.setenv("HANZO_REPORTS_STATE", str(tmp_path / "state.db"))
    far = datetime(2150, 1, 2, tzinfo=UTC)
    ws = hr.open(new_store.url, now=far + timedelta(days=1))
    assert [forecast.basis for forecast in ws.forecasts()] == ["no forecast: no spend in the history"]
    assert ws.usage("all", every="day").rows() == []
    new_store.append(events(["a", "b"], start=far), {})
    assert ws.usage("2150-01-01..2150-01-03", ["requests"]).rows()[0]["requests"] == 2


def test_compaction_merges_parts_and_changes_no_row(new_store, events, ids):
    for number in range(4):
        new_store.append(events([f"{number}{letter}" for letter in "abc"]), {})
    before = ids(new_store)
    assert new_store.compact() == 3
    assert new_store.compact() == 0
    assert ids(new_store) == before
    assert len(new_store.loads()) == 4


def test_a_load_leaves_no_table_behind_and_removes_those_of_dead_ones(new_store, events, monkeypatch):
    new_store._client.command("CREATE TABLE load_dead (x Int8) ENGINE = Memory")
    new_store.append(events("a"), {})
    assert tables(new_store) == ["events", "load_dead", "loads", "quarantine"]
    monkeypatch.setattr(stores, "_ABANDONED_TABLES", stores._ABANDONED_TABLES.replace("- 86400", "+ 86400"))
    new_store.append(events("b"), {})
    assert tables(new_store) == ["events", "loads", "quarantine"]


def test_missing_rights_are_named(new_store, events):
    new_store._client.set_client_setting("readonly", 1)
    with pytest.raises(StoreError, match=r"readonly mode.*grant"):
        new_store.append(events("a"), {})


def test_a_table_of_something_else_is_left_alone(clickhouse, new_store):
    other = f"{clickhouse}_other"
    server = ClickHouseServer(other)
    server.connect(database=False).command(f"CREATE DATABASE {server.database}")
    server.connect().command("CREATE TABLE events (id Int64) ENGINE = Memory")
    with pytest.raises(
        StoreError, match=r"has a table events that hanzo-reports did not create: its column event_id is missing"
    ):
        store.open(other, create=True)
    assert server.connect().query("SELECT count() FROM events").result_rows == [(0,)]
    new_store._client.command(f"DROP DATABASE {server.database}")


def test_no_store_and_no_database_say_how_to_make_one(clickhouse, new_store):
    with pytest.raises(StoreError, match="there is no such database; run `hanzo-reports init --store chdb://"):
        store.open(f"{clickhouse}_none")
    for table in ("events", "loads", "quarantine"):
        new_store._client.command(f"DROP TABLE {table}")
    with pytest.raises(StoreError, match=r"No store at chdb://.*; run `hanzo-reports init --store chdb://"):
        store.open(clickhouse)


def test_a_server_that_is_too_old_says_which_is_needed(new_store, monkeypatch):
    assert check_tables(new_store._server, new_store._client)
    monkeypatch.setattr(new_store._client, "server_version", "24.3.18.7")
    with pytest.raises(StoreError, match=r"is ClickHouse 24\.3\.18\.7; upgrade it to 24\.12 or newer"):
        check_tables(new_store._server, new_store._client)


def test_a_newer_format_is_not_touched(clickhouse, new_store):
    new_store._client.command("ALTER TABLE events MODIFY COMMENT 'hanzo-reports store format 2'")
    with pytest.raises(StoreVersionError, match="upgrade hanzo-reports"):
        store.open(clickhouse, create=True)


def test_a_server_that_does_not_answer_is_one_line_without_a_secret():
    address = f"clickhouse://ann:{SECRET}@127.0.0.1:1/usage"
    process = subprocess.run(
        [Path(sys.executable).with_name("hanzo-reports"), "--store", address, "usage"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (process.returncode, process.stdout, process.stderr.count("\n")) == (1, "", 1)
    assert process.stderr.startswith("hanzo-reports: clickhouse://ann@127.0.0.1:1/usage does not answer;")
    assert SECRET not in process.stderr


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("Code: 516. DB::Exception: ann: Authentication failed. (AUTHENTICATION_FAILED)", "refuses this user"),
        (
            "Code: 497. DB::Exception: ann: you need the grant INSERT ON usage.events. (version 26.9.2.1)",
            "need the grant",
        ),
    ],
)
def test_what_a_server_says_is_one_line(code, says):
    message = str(translate_error("clickhouse://ann@db/usage", OperationalError(code)))
    assert says in message
    assert "\n" not in message
    assert "version" not in message


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [("clutser=a", UnknownNameError, "did you mean 'cluster'"), ("secure=maybe", StoreError, "1 or 0")],
)
def test_options_are_checked_before_anything_is_opened(options, error, says):
    with pytest.raises(error, match=says):
        store.open(f"clickhouse://ann@127.0.0.1:1/usage?{options}")


def test_the_state_is_where_the_setting_says(clickhouse, tmp_path, database, monkeypatch):
    hr.open(clickhouse, create=True)
    with pytest.raises(StoreError, match="Set HANZO_REPORTS_STATE"):
        _ = hr.open(clickhouse).store.state
    for place, kind in ((str(tmp_path / "state.db"), "sqlite"), (database, "postgresql")):
        monkeypatch.setenv("HANZO_REPORTS_STATE", place)
        state = hr.open(clickhouse).store.state
        assert state.dialect.name == kind
        state.dispose()


def test_the_statements_for_a_cluster_are_ones_that_the_engine_reads(new_store):
    server = ClickHouseServer("clickhouse://db/usage?cluster=big")
    statements = [statement for table in COLUMNS for statement in create_statements(server, table, table)]
    assert len(statements) == 6
    for statement in statements:
        assert "ON CLUSTER `big`" in statement
        assert new_store._client.query(f"EXPLAIN AST {statement}").result_rows


def test_a_folder_that_another_process_has_open_says_so(tmp_path):
    code = "import sys; from hanzo_reports import store; one = store.open(sys.argv[1], create=True); input('open\\n')"
    place = f"chdb://{tmp_path}/new_store"
    with subprocess.Popen(
        [sys.executable, "-c", code, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        second = subprocess.run([sys.executable, "-c", code, place], check=False, capture_output=True, text=True)
        holder.stdin.write("\n")
    assert f"StoreError: {place} cannot be opened: another process has that folder open" in second.stderr


def test_an_answer_that_breaks_off_says_where_to_look():
    message = str(
        translate_error("clickhouse://ann@db/usage", pa.ArrowInvalid("Expected to read 1330795073 metadata bytes"))
    )
    assert message.startswith("clickhouse://ann@db/usage broke off its answer")
