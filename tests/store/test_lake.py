import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from hanzo_reports import store
from hanzo_reports.errors import StoreBusyError, StoreError
from hanzo_reports.store import lake as lakes


def parquet(folder):
    return sorted(folder.glob("events/day=*/*"))


def test_what_goes_in_comes_out(lake, events):
    cost = [Decimal("0.000000001"), None, Decimal("123456789.987654321")]
    given = events("abc", cost=cost, latency_ms=[0.1, None, 3.0], user=["ü", None, "\U0001f600"])
    assert lake.append(given, {}).accepted == 3
    assert (
        lake.events().order_by("event_id").to_pyarrow().to_pylist()
        == given.order_by("event_id").to_pyarrow().to_pylist()
    )


def test_a_known_id_is_left_out_whatever_its_time(lake, events, ids):
    lake.append(events("abc"), {})
    appended = lake.append(events("cde", start=datetime(2031, 1, 1, tzinfo=UTC)), {})
    assert (appended.accepted, appended.duplicates) == (2, 1)
    assert ids(lake) == list("abcde")
    held = lake.events()
    assert held.timestamp.year().nunique().to_pyarrow().as_py() == 2
    assert held.filter(held.event_id == "c").timestamp.year().to_pyarrow().to_pylist() == [2025]


def test_nothing_new_is_no_commit(lake, events):
    before = lake.append(events("abc"), {}).version
    again = lake.append(events("abc"), {})
    assert (again.accepted, again.duplicates, again.version) == (0, 3, before)
    assert lake.append(events(""), {}).version == before == lake.version


def test_each_commit_has_a_version_and_says_what_it_was_told(lake, events):
    first = lake.append(events("ab"), {"load_id": "one"})
    second = lake.append(events("bc"), {"load_id": "two"})
    assert first.version != second.version == lake.version
    assert lake.loads() == [
        {"load_id": "two", "accepted": 1, "known": 1, "version": second.version},
        {"load_id": "one", "accepted": 2, "known": 0, "version": first.version},
    ]


def test_flags_are_counted_over_accepted_rows_and_not_kept(lake, events):
    lake.append(events("a"), {})
    appended = lake.append(events("abcd", flags={"odd": [True, True, None, False], "none": [False] * 4}), {})
    assert appended.flagged == {"odd": 1, "none": 0}
    assert "odd" not in lake.events().columns


def test_numbers_of_another_width_become_the_columns_own(lake, events):
    rows = events("ab")
    lake.append(rows.mutate(status=rows.status.cast("int64"), input_tokens=rows.status.cast("int32")), {})
    table = pa.concat_tables(pq.ParquetFile(path).read() for path in parquet(lake.folder))
    assert (table["status"].type, table["input_tokens"].type) == (pa.int16(), pa.int64())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda rows: rows.mutate(project=rows.project.nullif("search")), StoreError),
        (lambda rows: rows.mutate(status=rows.status.cast("int64") * 1000), duckdb.ConversionException),
    ],
)
def test_rows_that_are_no_events_change_nothing(lake, events, ids, change, error):
    lake.append(events("a"), {})
    files = parquet(lake.folder)
    with pytest.raises(error):
        lake.append(change(events("bc")), {})
    assert ids(lake) == ["a"]
    assert parquet(lake.folder) == files


def test_a_window_leaves_out_the_files_of_other_days(lake, events):
    lake.append(events("abcdef", step=timedelta(days=1)), {})
    day = datetime(2025, 6, 3, tzinfo=UTC)
    west = day.astimezone(datetime.fromisoformat("2025-06-01T00:00-07:00").tzinfo)

    def found(*window):
        return sorted(lake.events(*window).event_id.to_pyarrow().to_pylist())

    assert found(day) == found(west) == list("cdef")
    assert found(None, day) == list("abc")
    assert found(day, day + timedelta(hours=1)) == ["c"]
    assert found(datetime(2030, 1, 1, tzinfo=UTC)) == []


def test_a_long_load_is_one_file_a_day(lake, events):
    lake.append(events([str(number) for number in range(400)], step=timedelta(days=1)), {})
    assert len(parquet(lake.folder)) == lake.events().timestamp.date().nunique().to_pyarrow().as_py() == 400


@pytest.mark.parametrize("name", ["two words", "it's", "a[b]c*?", "100%", "day=2025-06-01"])
def test_any_folder_name(tmp_path, events, ids, name):
    held = store.open(str(tmp_path / name), create=True)
    held.append(events("ab"), {})
    held.append(events("bc"), {})
    assert held.compact() == 2
    assert ids(held) == ["a", "b", "c"]


@pytest.mark.filterwarnings("ignore:fetch_record_batch:DeprecationWarning")  # called inside Ibis
def test_answers_are_of_one_moment_and_do_not_disturb_each_other(lake, events):
    lake.append(events("ab"), {})
    before = lake.events()
    lake.append(events("c"), {})
    assert before.count().to_pyarrow().as_py() == 2
    assert lake.events().count().to_pyarrow().as_py() == 3
    stream = before.to_pyarrow_batches(chunk_size=1)
    first = next(stream).num_rows
    lake.events().count().to_pyarrow()
    assert first + sum(batch.num_rows for batch in stream) == 2


def test_the_quarantine_keeps_each_row_once(lake, bad_rows):
    assert lake.quarantine().count().to_pyarrow().as_py() == 0
    assert lake.quarantine(bad_rows("ab")).count().to_pyarrow().as_py() == 2
    assert sorted(lake.quarantine(bad_rows("bc")).quarantine_id.to_pyarrow().to_pylist()) == ["a", "b", "c"]
    assert lake.version == "0"


def test_compaction_merges_days_sorts_them_and_changes_no_row(lake, events):
    for number in range(4):
        lake.append(
            events([f"{number}{hour}" for hour in range(30)], start=datetime(2025, 6, 1, 3 - number, tzinfo=UTC)), {}
        )
    before, held = lake.events(), lake.events().order_by("event_id").to_pyarrow()
    assert len(parquet(lake.folder)) == 8
    assert lake.compact() == 8
    assert lake.events().order_by("event_id").to_pyarrow().equals(held)
    assert before.count().to_pyarrow().as_py() == 120, "a reader of the old version still has its files"
    newest = sorted(parquet(lake.folder), key=lambda path: path.stat().st_mtime)[-2:]
    for path in newest:
        times = pq.ParquetFile(path).read(["timestamp"])["timestamp"].to_pylist()
        assert times == sorted(times)
    assert lake.compact() == 0
    assert len(lake.loads()) == 4


def test_compaction_leaves_large_files_alone(lake, events, monkeypatch):
    lake.append(events("a"), {})
    lake.append(events("b"), {})
    monkeypatch.setattr("hanzo_reports.store.delta_files.LARGE", 1)
    assert lake.compact() == 0


def test_a_writer_that_never_ends_is_reported(lake, events, monkeypatch):
    monkeypatch.setattr(lakes, "PATIENCE", 0.1)
    with FileLock(lake.folder / "write.lock"), pytest.raises(StoreBusyError, match="another process has been writing"):
        lake.append(events("a"), {})


def test_scratch_is_gone_after_success_and_failure(lake):
    def fail():
        with lake.scratch() as temporary:
            (temporary / "half").touch()
            raise ZeroDivisionError

    with lake.scratch() as temporary:
        (temporary / "done").touch()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert list((lake.folder / "scratch").iterdir()) == []


def test_state_is_sqlite_with_its_safeties_on(lake):
    with lake.state.connect() as connection:
        pragmas = ("journal_mode", "foreign_keys", "busy_timeout")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas] == ["wal", 1, 10_000]
    assert (lake.folder / "state.db").exists()
    lake.state.dispose()


def test_no_bar_is_drawn_where_duckdb_would(tmp_path):
    """Under `python -c`, as in a notebook, DuckDB turns its progress bar on by itself."""
    code = f"""
import duckdb
from hanzo_reports import store
print(duckdb.connect().execute("SELECT current_setting('enable_progress_bar')").fetchone()[0])
con = store.open({str(tmp_path / "lake")!r}, create=True).events().get_backend()
print(con.con.execute("SELECT current_setting('enable_progress_bar')").fetchone()[0])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
