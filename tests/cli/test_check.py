"""`check` on the command line when something is wrong: the store, the budgets, the clock, the state; and watching."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
import sqlalchemy

import hanzo_reports as hr
from hanzo_reports.alerts import spend_notices
from hanzo_reports.cli import check as check_command
from hanzo_reports.errors import StoreError
from hanzo_reports.state import database as state

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def at(**later):
    return (NOW + timedelta(**later)).isoformat()


def test_a_check_of_unreadable_events_fails_and_keeps_alerts_firing(run, store, receiver):
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    run("alerts", "subscribe", "budgets", "-c", "oncall")
    run("budgets", "set", "search", "--monthly", "1000")
    run("check")
    for file in (store / "events").rglob("*.parquet"):
        file.write_bytes(b"broken")
    result = run("check", "-f", "json", now=at(minutes=1), code=1)
    assert "2 failures, and alerts keep their state" in result.stderr
    assert "budgets: " in result.stderr
    assert json.loads(result.stdout)[0]["firing"] == 1
    run("check", now=at(minutes=17), code=1)
    assert json.loads(run("alerts", "list", "-f", "json").stdout)[0]["firing"] == 1  # firing, and cannot be seen
    assert sorted(receiver.types) == ["alert.error", "alert.error", "alert.firing"]


def test_a_failing_budget_check_does_not_stop_delivery(run, receiver, monkeypatch):
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")

    run("budgets", "set", "search", "--monthly", "10")

    def broken(*_):
        msg = "no memory"
        raise duckdb.OutOfMemoryException(msg)

    monkeypatch.setattr(spend_notices, "record_crossings", broken)
    result = run("check", "-f", "json", code=1)
    assert "budgets: OutOfMemoryException: no memory" in result.stderr
    assert (json.loads(result.stdout)[0]["sent"], receiver.types) == (1, ["alert.firing"])


def test_a_clock_behind_the_last_check_is_an_error_and_one_ahead_is_refused(run):
    run("check", now=at(minutes=10))
    result = run("check", now=at(minutes=1), code=1)
    assert (
        "the last check ran at 2026-03-31T12:10:00+00:00, 9m after the current time 2026-03-31T12:01" in result.stderr
    )
    assert "has already run" in run("check", now=at(minutes=10)).stderr
    assert run("check", "--reset-clock", now=at(minutes=1)).stderr == ""
    assert run("check", now=at(minutes=2)).stderr == ""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert "lies ahead of the clock" in run("check", now=tomorrow, code=2).stderr


@pytest.fixture
def locked(run, store, monkeypatch):
    """The state, held by somebody else who writes; he lets go of it when told to."""
    run("alerts", "list")
    monkeypatch.setattr(state, "BUSY_TIMEOUT_MS", 50)
    with sqlite3.connect(store / "state.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield holder
        if holder.in_transaction:
            holder.rollback()


def test_a_locked_state_is_an_error_in_one_line(run, locked):
    for command in (["check"], ["alerts", "add", "a", "-m", "cost", "--gt", "1"]):
        result = run(*command, code=1)
        assert "state.db cannot be read or written: database is locked\n" in result.stderr
        assert "Traceback" not in result.stderr
    locked.rollback()
    run("check")


def test_a_lost_postgres_connection_is_a_one_line_error_and_the_next_one_works(database):
    workspace = hr.open(database, create=True)
    engine = workspace.store.state
    gone = sqlalchemy.text("SELECT pg_terminate_backend(pg_backend_pid())")
    with (
        pytest.raises(StoreError, match=r"The state in .* cannot be read or written: ") as caught,
        engine.begin() as one,
    ):
        one.execute(gone)
    assert "\n" not in str(caught.value)
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1
    engine.dispose()


def test_watch_continues_after_a_locked_state(run, locked, monkeypatch):
    slept = []

    def sleep(_):
        slept.append(1)
        if len(slept) == 3:
            raise SystemExit(0)
        if locked.in_transaction:
            locked.rollback()

    monkeypatch.setattr(check_command, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: 0.0))
    result = run("check", "--watch", "60s", "-f", "json", now="")
    assert result.stderr.count("database is locked") == 1
    assert [turn.get("rules") for turn in map(itemgetter(0), json_documents(result.stdout))] == [None, 0, 0]


def json_documents(text):
    """Each of the JSON documents that a text holds one after the other."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        facts, place = decoder.raw_decode(text, place)
        yield facts
        place += 1


def test_a_rule_with_for_fires_on_the_second_bad_night(run, store, tmp_path, receiver, monkeypatch):
    spec = spec_from_file_location("nightly", Path(__file__).parents[2] / "pipelines" / "nightly.py")
    nightly = module_from_spec(spec)
    spec.loader.exec_module(nightly)
    real = subprocess.run
    monkeypatch.setattr(
        nightly.subprocess, "run",
        lambda command, **more: real(command, **more) if "check" in command else SimpleNamespace(returncode=0),
    )  # fmt: skip
    add = ["alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "--window", "3d", "--for", "5m"]
    run(*add, "-c", f"oncall=webhook:{receiver.url}")
    settings = {"STORE": store, "KEY_FILE": tmp_path / "secret.key", "ALLOW_HOSTS": "localhost"}
    for name, value in settings.items():
        monkeypatch.setenv(f"HANZO_REPORTS_{name}", str(value))
    for night in range(2):
        monkeypatch.setenv("HANZO_REPORTS_NOW", at(days=night))
        assert nightly.main("events", "logs") == 0
    assert receiver.types == ["alert.firing"]


def test_watch_repeats_until_it_is_stopped(store, tmp_path, receiver):
    settings = {"STORE": store, "KEY_FILE": tmp_path / "key", "ALLOW_HOSTS": "localhost"}
    environment = os.environ | {f"HANZO_REPORTS_{name}": str(value) for name, value in settings.items()}
    command = Path(sys.executable).with_name("hanzo-reports")
    add = ["alerts", "add", "quiet", "-m", "requests", "--lt", "1", "-c", f"webhook:{receiver.url}"]
    subprocess.run([command, *add], check=True, env=environment, capture_output=True)
    with subprocess.Popen(
        [command, "check", "--watch", "1s", "-f", "csv"], env=environment, stdout=subprocess.PIPE, text=True
    ) as watching:
        lines = [watching.stdout.readline().strip() for _ in range(6)]
        watching.terminate()
    assert lines[0] == "rules,queries,firing,messages,sent,retried,dead"
    assert lines[1::2] == ["1,1,1,1,1,0,0", "1,1,1,0,0,0,0", "1,1,1,0,0,0,0"]
    with sqlite3.connect(store / "state.db") as state:
        assert state.execute("SELECT version FROM alert_pass").fetchone()[0] >= 4
