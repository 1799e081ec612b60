"""Passes and deliveries killed at 50 random points: every message arrives, none is invented, none is lost."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy
from cryptography.fernet import Fernet

from hanzo_reports.delivery.sealing import Vault
from hanzo_reports.state.alert_tables import OUTBOX, STATES

WORKER = Path(__file__).with_name("worker.py")
PROJECTS = ("a", "b", "c", "d")
MINUTES = 400
HANG_TIMEOUT = 1_800  # seconds; only a worker that hangs reaches it


@pytest.fixture
def bad_minutes(traffic, clock):
    """For each project the minutes in which it is bad; all the traffic of the test is in the store beforehand."""
    coin = random.Random(7)  # noqa: S311  # traffic, not secrets
    bad = {project: [coin.random() < 0.5 for _ in range(MINUTES)] for project in PROJECTS}
    minutes = [(minute, project) for minute in range(MINUTES) for project in PROJECTS]
    traffic.put_all(
        [clock.now + timedelta(minutes=minute, seconds=30) for minute, _ in minutes],
        [500 if bad[project][minute] else 200 for minute, project in minutes],
        [project for _, project in minutes],
    )
    return bad


@pytest.mark.parametrize(("state_url", "kills"), [("sqlite", 50), ("postgres", 15)], indirect=["state_url"])
def test_killed_at_random_points(alerting, receiver, bad_minutes, state_url, traffic, kills):
    key = Fernet.generate_key().decode()
    alerting.vault = Vault(key)
    alerting.rule(alerting.channel(f"hook=webhook:{receiver.url}"), by=["project"], repeat="5m")
    worker = subprocess.run(
        [sys.executable, WORKER, state_url, traffic.store.url, key, str(kills), "11", str(MINUTES)],
        check=False, capture_output=True, text=True, timeout=HANG_TIMEOUT,
    )  # fmt: skip
    assert worker.returncode == 0, worker.stderr
    last = int(worker.stdout) - 1
    with alerting.engine.connect() as connection:
        rows = connection.execute(sqlalchemy.select(OUTBOX).order_by(OUTBOX.c.created_at, OUTBOX.c.position)).all()
        states = connection.execute(sqlalchemy.select(STATES)).all()
    assert {row.state for row in rows} == {"sent"}
    assert {row.message_id for row in rows} == set(receiver.ids)
    for project in PROJECTS:
        kinds = [row.kind for row in rows if f'"{project}"' in row.thread and "reminder" not in row.kind]
        assert kinds
        assert kinds == [("firing", "resolved")[n % 2] for n in range(len(kinds))]
        bodies = [got.json for got in receiver.got if got.json["data"]["group"]["project"] == project]
        first_arrivals = list({(body["type"], body["timestamp"]): None for body in bodies})
        assert [instant for _, instant in first_arrivals] == sorted(instant for _, instant in first_arrivals)
    phases = {state.group_key: state.phase for state in states}
    assert phases == {f'{{"project":"{p}"}}': "firing" if bad_minutes[p][last] else "inactive" for p in PROJECTS}
    stored_bodies = {row.message_id: bytes(row.body) for row in rows}
    assert all(got.body == stored_bodies[got.id] for got in receiver.got)
