"""What is Postgres' own: its tables, its partitions, its errors."""

import gc
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from postgres_server import PASSWORD
from waiting import wait_until

from hanzo_reports import store
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.errors import StoreBusyError, StoreError, StoreVersionError
from hanzo_reports.events import COLUMNS
from hanzo_reports.store import postgres as postgres_store
from hanzo_reports.store.base import QUARANTINE
from hanzo_reports.store.postgres_load import describe_partition


@pytest.fixture
def new_store(database):
    return store.open(database, create=True)


def tables(postgres, database):
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'hanzo_reports' ORDER BY 1"
    return [name for (name,) in postgres.run(query, database)]


def connections(postgres, database):
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return postgres.run(query, database)[0][0]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("events", {column.name: column.nullable for column in COLUMNS}),
        ("quarantine", {name: not dtype.startswith("!") for name, dtype in QUARANTINE.items()}),
    ],
)
def test_the_tables_are_those_of_the_schema(new_store, postgres, database, table, columns):
    query = f"SELECT attname, NOT attnotnull FROM pg_attribute WHERE attrelid = 'hanzo_reports.{table}'::regclass"
    columns |= {"quarantine_id": False} if table == "quarantine" else {}
    assert dict(postgres.run(f"{query} AND attnum > 0", database)) == columns
    assert new_store.version == "0"


def test_months_have_a_partition_each_and_the_rest_of_time_one_on_each_side(new_store, events, ids, postgres, database):
    times = ["1970-01-01", "1999-12-31", "2000-01-01", "2025-06-30", "2025-07-01", "2025-12-31", "2099-12-31",
             "2100-01-01", "2199-06-01"]  # fmt: skip
    instants = [datetime.fromisoformat(f"{day}T23:59:59.999999Z") for day in times]
    new_store.append(events("abcdefghi", timestamp=instants), {})
    new_store.append(events("j", timestamp=[datetime(2025, 7, 1, tzinfo=UTC)]), {})
    assert [name for name in tables(postgres, database) if name.startswith("events_") and "version" not in name] == [
        "events_2000_01", "events_2025_06", "events_2025_07", "events_2025_12", "events_2099_12",
        "events_before_2000", "events_from_2100",
    ]  # fmt: skip
    assert ids(new_store) == list("abcdefghij")
    plan = postgres.run(
        "EXPLAIN SELECT * FROM hanzo_reports.events WHERE timestamp >= '2025-07-01Z' AND timestamp < '2025-08-01Z'",
        database,
    )
    assert "events_2025_07" in str(plan)
    assert "events_2025_06" not in str(plan)


def test_december_ends_where_january_begins():
    _, _, end = describe_partition("events", 2025, 12)
    _, first, _ = describe_partition("events", 2026, 1)
    assert end == first


def test_rows_lie_in_the_order_of_time_for_brin(new_store, events, postgres, database):
    numbers = [(n * 7919) % 2000 for n in range(2000)]
    start = datetime(2025, 6, 1, tzinfo=UTC)
    new_store.append(events(map(str, numbers), timestamp=[start + timedelta(minutes=n) for n in numbers]), {})
    times = [time for (time,) in postgres.run("SELECT timestamp FROM hanzo_reports.events ORDER BY ctid", database)]
    assert times == sorted(times)
    indexes = postgres.run("SELECT indexdef FROM pg_indexes WHERE tablename = 'events_2025_06'", database)
    assert sorted("brin" in text for (text,) in indexes) == [False, True]


def test_a_text_with_nul_keeps_a_sign_of_it(new_store, events):
    new_store.append(events("a", user=["x\0y"]), {})
    assert new_store.events().user.to_pyarrow().to_pylist() == ["x\N{REPLACEMENT CHARACTER}y"]


def test_a_connection_waits_for_the_next_table_and_ends_with_the_store(database, events, postgres):
    new_store = store.open(database, create=True)
    new_store.append(events("ab"), {})
    before = connections(postgres, database)
    table = new_store.events()
    assert table.count().to_pyarrow().as_py() == 2
    assert connections(postgres, database) == before + 1
    del table
    gc.collect()
    query = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert ("idle in transaction",) not in postgres.run(query, database)
    new_store.append(events("abc"), {})
    assert new_store.events().count().to_pyarrow().as_py() == 3
    assert connections(postgres, database) == before + 1
    del new_store
    gc.collect()
    wait_until(lambda: connections(postgres, database) == before, "the server has closed them")


def test_a_connection_that_was_lost_while_it_waited_is_replaced(new_store, events, postgres, database):
    new_store.append(events("ab"), {})
    assert new_store.events().count().to_pyarrow().as_py() == 2
    gc.collect()
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    postgres.run(f"{query} AND pid <> pg_backend_pid()", database)
    assert new_store.events().count().to_pyarrow().as_py() == 2


def test_the_connections_of_the_state_end_with_the_store(new_store, postgres, database):
    before = connections(postgres, database)
    opened = store.open(new_store.url)
    with opened.state.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    assert connections(postgres, database) == before + 1
    del opened, connection
    gc.collect()
    wait_until(lambda: connections(postgres, database) == before, "the server has closed them")


def test_a_second_question_in_the_middle_of_an_answer_is_an_error_not_half_an_answer(new_store, events):
    new_store.append(events([str(n) for n in range(20_000)], step=timedelta(seconds=1)), {})
    table = new_store.events()
    stream = table.to_pyarrow_batches(chunk_size=100)
    rows = stream.read_next_batch().num_rows
    with pytest.raises(StoreError, match="in the middle of another answer"):
        table.count().to_pyarrow()
    assert rows + sum(batch.num_rows for batch in stream) == 20_000


def test_an_answer_may_be_given_up(new_store, events):
    new_store.append(events([str(n) for n in range(20_000)], step=timedelta(seconds=1)), {})
    with new_store.events().to_pyarrow_batches(chunk_size=100) as stream:
        assert stream.read_next_batch().num_rows == 100
    del stream
    gc.collect()
    assert new_store.events().count().to_pyarrow().as_py() == 20_000


def test_an_answer_outlives_the_table_that_was_asked(new_store, events):
    new_store.append(events([str(n) for n in range(20_000)], step=timedelta(seconds=1)), {})
    stream = new_store.events().to_pyarrow_batches(chunk_size=100)
    gc.collect()
    assert sum(batch.num_rows for batch in stream) == 20_000


def test_threads_with_a_table_each_do_not_disturb_each_other(new_store, events):
    new_store.append(events([str(n) for n in range(3000)], status=[200 + n % 7 for n in range(3000)]), {})
    answers = []

    def ask(status):
        for _ in range(5):
            table = new_store.events()
            answers.append((status, table.filter(table.status == status).count().to_pyarrow().as_py()))

    threads = [threading.Thread(target=ask, args=[200 + n]) for n in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {200 + n: len(range(n, 3000, 7)) for n in range(7)}
    assert len(answers) == 35
    assert [pair for pair in answers if pair[1] != expected[pair[0]]] == []


def test_compaction_brings_statistics_and_changes_no_row(new_store, events, ids, postgres, database):
    new_store.append(events("abc"), {})
    assert new_store.compact() == 0
    assert ids(new_store) == ["a", "b", "c"]
    query = "SELECT reltuples FROM pg_class WHERE relname = 'events_2025_06'"
    assert postgres.run(query, database) == [(3.0,)]


def test_a_database_without_a_store(database):
    with pytest.raises(StoreError, match=r"No store at postgresql://.*; run `hanzo-reports init --store postgresql://"):
        store.open(database)


def test_a_newer_store_asks_for_an_upgrade(new_store, postgres, database):
    postgres.run("UPDATE hanzo_reports.events_version SET version_num = '9999'", database)
    for create in (False, True):
        with pytest.raises(StoreVersionError, match="version 9999, this package supports 0001; upgrade"):
            store.open(new_store.url, create=create)


def test_an_older_store_is_brought_up_to_date_by_init(new_store, monkeypatch):
    monkeypatch.setattr("hanzo_reports.state.migrate.newest_revision", lambda _: "0002")
    monkeypatch.setattr(postgres_store, "newest_revision", lambda _: "0002")
    with pytest.raises(StoreError, match="version 0001, this package needs 0002; run `hanzo-reports init"):
        store.open(new_store.url)


def test_a_table_of_something_else_is_left_alone(postgres, database):
    postgres.run("CREATE SCHEMA hanzo_reports; CREATE TABLE hanzo_reports.events (id int, what text)", database)
    with pytest.raises(
        StoreError, match=r"hanzo_reports.events that hanzo-reports did not create \(its columns: id, what\)"
    ):
        store.open(database, create=True)
    assert tables(postgres, database) == ["events"]


def test_a_table_of_the_same_name_in_public_is_no_concern(postgres, database):
    postgres.run("CREATE TABLE events (id int)", database)
    assert store.open(database, create=True).events().count().to_pyarrow().as_py() == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "ALTER COLUMN status TYPE integer",
            "the column status of hanzo_reports.events has type integer, not smallint",
        ),
        ("DROP COLUMN cost", r"the column cost of hanzo_reports.events is missing, not numeric\(18,9\)"),
    ],
)
def test_a_table_that_was_changed_is_named(new_store, postgres, database, change, message):
    postgres.run(f"ALTER TABLE hanzo_reports.events {change}", database)
    with pytest.raises(StoreError, match=message):
        store.open(new_store.url)


def test_a_database_of_another_encoding(postgres):
    postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreError, match="has the encoding LATIN1; the store needs a database with ENCODING 'UTF8'"):
        store.open(postgres.address("latin"), create=True)


def one_line_without_secret(caught):
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    assert "s3cret" not in text
    assert "s3cret" not in repr(caught.value.__context__) + repr(caught.value.__cause__)
    return text


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://ann:s3cret@127.0.0.1:1/usage", r"ann@127.0.0.1:1/usage cannot be opened: .*refused; check the"),
        ("postgresql://ann:s3cret@nowhere.invalid/usage", "nowhere.invalid/usage cannot be opened: .*; check the"),
        ("postgresql://ann:s3cret@/usage?host=/nowhere", "cannot be opened: .*No such file"),
        ("postgresql://ann:s3cret@h/usage?colour=blue", "not an address of a Postgres database"),
    ],
)
def test_a_server_that_cannot_be_reached(address, message):
    with pytest.raises(StoreError, match=message) as caught:
        store.open(address)
    assert one_line_without_secret(caught)


def test_a_wrong_password_a_missing_one_and_the_right_one(postgres, database, new_store, monkeypatch):
    role = postgres.role()
    name = new_store.url.partition("?")[0].rpartition("/")[2]
    with pytest.raises(StoreError, match=r"password authentication failed for user .* PGPASSWORD") as caught:
        store.open(postgres.address(name, role, "s3cret-wrong"))
    assert one_line_without_secret(caught)
    with pytest.raises(StoreError, match="no password supplied; give the right one"):
        store.open(postgres.address(name, role))
    postgres.run(
        f"GRANT USAGE ON SCHEMA hanzo_reports TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA hanzo_reports TO {role}",
        database,
    )
    opened = store.open(postgres.address(name, role, PASSWORD))
    assert opened.url == postgres.address(name, role)
    assert opened.events().count().to_pyarrow().as_py() == 0
    assert PASSWORD not in repr(opened) + repr(vars(opened))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert store.open(postgres.address(name, role)).version == "0"


def test_missing_rights_are_named(postgres, database, new_store, events):
    assert new_store.state  # its tables are there
    role = postgres.role()
    name = new_store.url.partition("?")[0].rpartition("/")[2]
    address = postgres.address(name, role, PASSWORD)
    with pytest.raises(StoreError, match="permission denied for schema hanzo_reports; the owner"):
        store.open(address)
    postgres.run(
        f"GRANT USAGE ON SCHEMA hanzo_reports TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA hanzo_reports TO {role}",
        database,
    )
    reader = store.open(address)
    with pytest.raises(StoreError, match="permission denied for table loads") as caught:
        reader.append(events("a"), {})
    assert one_line_without_secret(caught)
    assert reader.version == "0"
    with pytest.raises(
        StoreError, match=r"may not be written: permission denied for table budget; .* grant it"
    ) as caught:
        Budgets(reader.state).set(Budget("search", Decimal(1)), datetime(2025, 6, 1, tzinfo=UTC))
    assert one_line_without_secret(caught)


def test_a_role_that_may_make_nothing(postgres, database):
    name = database.partition("?")[0].rpartition("/")[2]
    with pytest.raises(StoreError, match="permission denied for database"):
        store.open(postgres.address(name, postgres.role(), PASSWORD), create=True)


def test_a_writer_that_never_ends_is_reported(new_store, events, database, monkeypatch):
    monkeypatch.setattr(postgres_store, "LOCK_TIMEOUT", 0.1)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE hanzo_reports.loads IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(StoreBusyError, match="Others are writing"):
            new_store.append(events("a"), {})
    assert new_store.append(events("a"), {}).accepted == 1


def test_someone_who_writes_past_the_lock_doubles_nothing(new_store, events, ids, postgres, database):
    new_store.append(events("a"), {})
    with psycopg.connect(database) as other:
        other.execute(
            "INSERT INTO hanzo_reports.events (event_id, timestamp, service, project, status, ingested_at) "
            "VALUES ('c', '2025-06-01T01:00Z', 's', 'p', 200, now())"
        )

        def commit_once_the_load_waits():
            waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
            wait_until(lambda: postgres.run(waiting, database) == [(True,)], "the load waits for this transaction")
            other.commit()

        thread = threading.Thread(target=commit_once_the_load_waits)
        thread.start()
        with pytest.raises(StoreBusyError, match="just written the same rows"):
            new_store.append(events("bc"), {})
        thread.join()
    assert ids(new_store) == ["a", "c"]
    assert new_store.append(events("bc"), {}).accepted == 1


def test_settings_of_the_environment_and_the_database_change_no_value(postgres, database, events, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGDATESTYLE", "German")
    name = database.partition("?")[0].rpartition("/")[2]
    for setting in ("extra_float_digits = 0", "standard_conforming_strings = off", "client_encoding = 'SQL_ASCII'"):
        postgres.run(f"ALTER DATABASE {name} SET {setting}")
    new_store = store.open(database, create=True)
    latency, names = [1000 / 173, 0.1], ["m\xf6 \U0001f600", "a\\' b"]
    new_store.append(events("ab", project=names, latency_ms=latency), {})
    stored = new_store.events()
    assert stored.order_by("event_id").latency_ms.to_pyarrow().to_pylist() == latency
    assert [stored.filter(stored.project == name).count().to_pyarrow().as_py() for name in names] == [1, 1]


def test_a_month_that_was_detached_is_named_until_it_is_renamed(new_store, events, ids, postgres, database):
    new_store.append(events("ab"), {})
    postgres.run("ALTER TABLE hanzo_reports.events DETACH PARTITION hanzo_reports.events_2025_06", database)
    with pytest.raises(StoreError, match="RENAME TO old_events_2025_06"):
        new_store.append(events("bc"), {})
    postgres.run("ALTER TABLE hanzo_reports.events_2025_06 RENAME TO old_events_2025_06", database)
    assert new_store.append(events("bc"), {}).accepted == 2
    assert ids(new_store) == ["b", "c"]


def test_connections_of_the_state_that_were_lost_while_they_waited_are_replaced(new_store, postgres, database):
    with new_store.state.connect() as one, new_store.state.connect() as other:
        assert one.exec_driver_sql("SELECT 1").scalar() == other.exec_driver_sql("SELECT 1").scalar()
    postgres.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()", database,
    )  # fmt: skip
    for _ in range(3):
        with new_store.state.connect() as again:
            assert again.exec_driver_sql("SELECT 1").scalar() == 1
