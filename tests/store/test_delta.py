import subprocess
import sys
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from hanzo_reports import store
from hanzo_reports.errors import StoreBusyError, StoreError
from hanzo_reports.store import delta


def parquet(folder):
    return sorted(folder.glob("events/day=*/*"))


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

    def ids_between(*window):
        return sorted(lake.events(*window).event_id.to_pyarrow().to_pylist())

    assert ids_between(day) == ids_between(west) == list("cdef")
    assert ids_between(None, day) == list("abc")
    assert ids_between(day, day + timedelta(hours=1)) == ["c"]
    assert ids_between(datetime(2030, 1, 1, tzinfo=UTC)) == []


def test_a_long_load_is_one_file_a_day(lake, events):
    lake.append(events([str(number) for number in range(400)], step=timedelta(days=1)), {})
    assert len(parquet(lake.folder)) == lake.events().timestamp.date().nunique().to_pyarrow().as_py() == 400


@pytest.mark.parametrize("name", ["two words", "it's", "a[b]c*?", "100%", "day=2025-06-01"])
def test_any_folder_name(tmp_path, events, ids, name):
    new_store = store.open(str(tmp_path / name), create=True)
    new_store.append(events("ab"), {})
    new_store.append(events("bc"), {})
    assert new_store.compact() == 2
    assert ids(new_store) == ["a", "b", "c"]


def test_compaction_merges_days_sorts_them_and_changes_no_row(lake, events):
    for number in range(4):
        lake.append(
            events([f"{number}{hour}" for hour in range(30)], start=datetime(2025, 6, 1, 3 - number, tzinfo=UTC)), {}
        )
    before, new_store = lake.events(), lake.events().order_by("event_id").to_pyarrow()
    assert len(parquet(lake.folder)) == 8
    assert lake.compact() == 8
    assert lake.events().order_by("event_id").to_pyarrow().equals(new_store)
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
    monkeypatch.setattr("hanzo_reports.store.delta_files.COMPACT_BELOW_BYTES", 1)
    assert lake.compact() == 0


def test_a_writer_that_never_ends_is_reported(lake, events, monkeypatch):
    monkeypatch.setattr(delta, "LOCK_TIMEOUT", 0.1)
    with FileLock(lake.folder / "write.lock"), pytest.raises(StoreBusyError, match="another process has been writing"):
        lake.append(events("a"), {})


def test_scratch_is_gone_after_success_and_failure(lake):
    def fail():
        with lake.scratch() as temporary:
            (temporary / "half").touch()
            raise ZeroDivisionError

    with lake.scratch() as temporary:
        (temporary / "whole").touch()
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
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert process.stdout.split() == ["True", "False"]
