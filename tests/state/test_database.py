"""The SQLite file of the state: complete by itself after each process, and refused when it is not a state."""

import gc
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal

import pytest
from ledger import JULY

from hanzo_reports import store
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.errors import StoreError, StoreVersionError
from hanzo_reports.state.database import open_sqlite_state


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)


def set_budget(new_store, project="search"):
    Budgets(new_store.state).set(Budget(project, Decimal(100), on_exceed="hard_limit"), JULY)


def projects_in_file_alone(path, tmp_path):
    """The projects of the budgets in a copy of the file without its log."""
    copy = tmp_path / "copy.db"
    copy.unlink(missing_ok=True)
    shutil.copy(path, copy)
    with sqlite3.connect(copy) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        rows = (
            connection.execute("SELECT project FROM budget ORDER BY created_at, rowid").fetchall()
            if "budget" in tables
            else []
        )
    connection.close()
    return [project for (project,) in rows]


SET_BUDGET = """
import sys
from datetime import datetime, UTC
from decimal import Decimal
from hanzo_reports import store
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
new_store = store.open(sys.argv[1])
Budgets(new_store.state).set(Budget(sys.argv[2], Decimal(100)), datetime(2025, 7, 1, tzinfo=UTC))
exec(sys.argv[3])
"""


def run_setting(lake, project, after="", **options):
    return subprocess.run([sys.executable, "-c", SET_BUDGET, lake.url, project, after], check=False, **options)


@pytest.mark.parametrize("after", ["", "raise SystemExit(1)", "raise ValueError", "new_store.state.connect()"])
def test_after_each_process_the_file_alone_has_everything(lake, tmp_path, after):
    run_setting(lake, "search", after, stderr=subprocess.DEVNULL)
    assert projects_in_file_alone(lake.folder / "state.db", tmp_path) == ["search"]


def test_after_a_command_the_file_alone_has_everything(lake, tmp_path):
    command = [shutil.which("hanzo-reports", path=os.path.dirname(sys.executable)), "--store", lake.url]  # noqa: PTH120
    for arguments in (["budgets", "set", "search", "--monthly", "5"], ["budgets", "set", "chat", "--monthly", "5"]):
        subprocess.run([*command, *arguments], check=True, capture_output=True)
    assert projects_in_file_alone(lake.folder / "state.db", tmp_path) == ["search", "chat"]
    assert not (lake.folder / "state.db-wal").exists()


def test_after_a_process_while_others_have_the_file_open(lake, tmp_path):
    with lake.state.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM budget").scalar() == 0
        connection.rollback()
        run_setting(lake, "search")
        assert projects_in_file_alone(lake.folder / "state.db", tmp_path) == ["search"]
        assert connection.exec_driver_sql("SELECT count(*) FROM budget").scalar() == 1


def test_a_reader_in_a_transaction_keeps_its_snapshot_and_blocks_nobody(lake, tmp_path):
    reader = sqlite3.connect(lake.folder / "state.db", isolation_level=None)
    set_budget(lake, "first")
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM budget").fetchone() == (1,)
    run_setting(lake, "second")
    assert reader.execute("SELECT count(*) FROM budget").fetchone() == (1,)
    reader.execute("COMMIT")
    reader.close()
    run_setting(lake, "third")
    assert projects_in_file_alone(lake.folder / "state.db", tmp_path) == ["first", "second", "third"]


def test_what_a_killed_process_wrote_is_in_the_file_after_the_next(lake, tmp_path):
    process = run_setting(lake, "search", "import os; os.kill(os.getpid(), 9)")
    assert process.returncode == -signal.SIGKILL
    store.open(lake.url).state.dispose()
    assert projects_in_file_alone(lake.folder / "state.db", tmp_path) == ["search"]


def test_a_store_that_is_no_longer_used_leaves_a_complete_file(tmp_path):
    new_store = store.open(str(tmp_path / "lake"), create=True)
    set_budget(new_store)
    del new_store
    gc.collect()
    assert projects_in_file_alone(tmp_path / "lake" / "state.db", tmp_path) == ["search"]


@pytest.mark.parametrize("content", [b"hello, this is not a database, but a text\n" * 99, bytes(8192), b"\0" * 100])
def test_a_file_that_is_not_a_database_is_restored_not_upgraded(tmp_path, content):
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"state\.db .*file is not a database; restore it from a backup") as caught:
        open_sqlite_state(path)
    assert not isinstance(caught.value, StoreVersionError)
    assert path.read_bytes() == content


def test_a_damaged_page_is_named(lake):
    set_budget(lake)
    lake.state.dispose()
    path = lake.folder / "state.db"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"state\.db .*(malformed|damaged).*restore it from a backup"):
        Budgets(store.open(lake.url).state).all()


def test_a_database_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(StoreError, match=r"is a SQLite file of something else \(its tables: songs\)"):
        open_sqlite_state(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]
    connection.close()


@pytest.mark.parametrize(
    ("revision", "error"), [("abc123", StoreError), ("9", StoreError), ("9999", StoreVersionError)]
)
def test_only_a_number_of_ours_asks_for_an_upgrade(tmp_path, revision, error):
    path = tmp_path / "state.db"
    open_sqlite_state(path).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE state_version SET version_num = ?", [revision])
    connection.close()
    with pytest.raises(error) as caught:
        open_sqlite_state(path)
    assert type(caught.value) is error
    assert ("upgrade" in str(caught.value)) == (error is StoreVersionError)
    assert ("backup" in str(caught.value)) == (error is StoreError)
