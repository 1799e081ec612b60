"""The commands of docs/operations.md do what the page says."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ledger import JULY

from hanzo_reports import store
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
OLD, NEW = datetime(2023, 5, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC)


def block(section, number=0):
    """A block of commands of a section."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```(?:sh|sql)\n(.*?)```", text, re.DOTALL)[number]


@pytest.fixture
def run(tmp_path):
    """A function that runs commands in the folder that has `warehouse`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run_commands(commands):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, env={**os.environ, "PATH": path},
            check=True, capture_output=True, text=True,
        )  # fmt: skip

    return run_commands


@pytest.fixture
def warehouse(tmp_path, events, bad_rows):
    """A store with old and new events, quarantined rows and a budget, which no process has open."""
    new_store = store.open(str(tmp_path / "warehouse"), create=True)
    new_store.append(events("abc", start=OLD), {})
    new_store.append(events("xyz", start=NEW), {})
    new_store.add_to_quarantine(bad_rows("q"))
    Budgets(new_store.state).set(Budget("search", Decimal(100)), JULY)
    new_store.state.dispose()
    return new_store


def test_a_backup_is_restored_with_its_state(warehouse, run, ids, tmp_path):
    run(block("Back up a folder"))
    shutil.rmtree(warehouse.folder)
    warehouse.folder.mkdir()
    assert "events" in run(block("Restore a folder")).stdout
    restored = store.open(str(tmp_path / "warehouse"))
    assert ids(restored) == ["a", "b", "c", "x", "y", "z"]
    assert [budget.project for budget in Budgets(restored.state).all()] == ["search"]
    restored.state.dispose()


def test_a_backup_waits_for_a_load(warehouse, run, tmp_path):
    with warehouse._lock_for_writing(warehouse._events):  # noqa: SLF001  # as a load does
        commands = block("Back up a folder").replace("flock ", "flock --nonblock ")
        with pytest.raises(subprocess.CalledProcessError):
            run(commands)
    run(commands)
    assert (tmp_path / "warehouse-backup.tar.gz").exists()


def test_the_state_is_copied_while_a_process_has_it_open(warehouse, run, tmp_path):
    with warehouse.state.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM budget").all()
        run(block("Back up a folder", 1))
    warehouse.state.dispose()
    (tmp_path / "state-backup.db").replace(warehouse.folder / "state.db")
    again = store.open(warehouse.url)
    assert [budget.project for budget in Budgets(again.state).all()] == ["search"]
    again.state.dispose()


def test_a_lost_data_file_is_given_up_and_loaded_again(warehouse, run, events, ids):
    next(warehouse.folder.glob("events/day=2025-05-01/*")).unlink()
    run(block("Repair a folder without a backup"))
    assert ids(store.open(warehouse.url)) == ["a", "b", "c"]
    assert warehouse.append(events("abcxyz"), {}).accepted == 3


def test_old_days_are_deleted(warehouse, run, events, ids):
    run(block("Delete old events from a folder"))
    run(block("Delete old events from a folder", 1))
    assert ids(store.open(warehouse.url)) == ["x", "y", "z"]
    assert warehouse.append(events("ax", start=OLD), {}).accepted == 1


def test_old_rows_are_deleted_from_postgres(database, postgres, events, bad_rows, ids):
    new_store = store.open(database, create=True)
    new_store.append(events("abc", start=datetime(2023, 1, 2, tzinfo=UTC)), {})
    new_store.append(events("xyz", start=NEW), {})
    new_store.add_to_quarantine(bad_rows("q"))
    for statement in block("Postgres", 1).split(";\n"):
        if statement.strip():
            postgres.run(statement, database)
    assert ids(new_store) == ["x", "y", "z"]


def test_old_rows_are_deleted_from_clickhouse(clickhouse, events, ids):
    new_store = store.open(clickhouse, create=True)
    new_store.append(events("abc", start=OLD), {})
    new_store.append(events("xyz", start=NEW), {})
    for statement in block("ClickHouse").split(";\n")[1:]:  # the first is for a server
        if statement.strip():
            new_store._client.command(statement)  # noqa: SLF001
    new_store.compact()
    assert ids(new_store) == ["x", "y", "z"]
