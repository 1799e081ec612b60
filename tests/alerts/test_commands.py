"""Every command that a message prints, run as printed in a shell, answers with the number of the message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from hanzo_reports.alerts.messages import MessageContext
from hanzo_reports.alerts.spend_notices import notify_anomalies, notify_budgets
from hanzo_reports.alerts.subscriptions import set_subscribers
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets

PROJECT = "a; touch x\n\x1b[31m'$(id)'"


@pytest.fixture
def run_query(traffic, receiver, alerting, tmp_path):
    """A function that delivers, takes the command out of the last message, and runs it in a shell as it is printed."""

    def run():
        alerting.deliver()
        text = receiver.got[-1].json["data"]["text"]
        [command] = [line.removeprefix("Query: ") for line in text.splitlines() if line.startswith("Query: ")]
        settings = {"HANZO_REPORTS_STORE": traffic.store.url, "HANZO_REPORTS_NOW": "2026-06-01T00:00:00Z"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        answer = subprocess.run(
            ["bash", "-c", f"{command} -f json"], check=True, capture_output=True, cwd=tmp_path,
            env=os.environ | settings | {"PATH": path},
        )  # fmt: skip
        assert not (tmp_path / "x").exists()
        return json.loads(answer.stdout)["data"]

    return run


@pytest.fixture
def channel(alerting, receiver):
    """A channel that subscribes to budgets and anomalies; the messages' time zone is not UTC."""
    alerting.message_context = MessageContext("America/New_York", delay=timedelta())
    channel = alerting.channel(f"hook=webhook:{receiver.url}")
    with alerting.engine.begin() as connection:
        for topic in ("budgets", "anomalies"):
            set_subscribers(connection, topic, [channel])
    return channel


def test_the_command_of_a_rule(alerting, channel, receiver, traffic, clock, run_query):
    alerting.rule(channel, by=["project", "model"], where={"service": ["gateway"]})
    traffic.put(clock.now, 50, bad=50, project=PROJECT)
    clock.pass_(seconds=61, milliseconds=500)
    traffic.put(clock.now, 99, bad=33, project=PROJECT)
    traffic.put(clock.now, 99, bad=0, project="other")
    assert alerting.check().messages == 1
    [row] = run_query()
    data = receiver.got[-1].json["data"]
    assert (row["error_rate"], row["requests"]) == (data["value"], data["requests"]) == (33 / 99, 99)


@pytest.mark.usefixtures("channel")
def test_the_command_of_a_budget(alerting, traffic, clock, run_query):
    clock.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    Budgets(alerting.engine).set(Budget(PROJECT, Decimal(100), timezone="Asia/Tokyo"), clock.now)
    spent = {datetime(2026, 2, 28, 14, 59, tzinfo=UTC): 40, datetime(2026, 2, 28, 15, 1, tzinfo=UTC): 35, clock.now: 20}
    for instant, cost in spent.items():
        traffic.put(instant, 2, cost=Decimal(cost), project=PROJECT, model=f"m{cost}", seconds=30)
    traffic.put(clock.now, 1, cost=Decimal(500), project="other")
    assert notify_budgets(Budgets(alerting.engine), traffic.store.events(), clock.now, alerting.message_context) == 1
    assert sum(Decimal(str(row["cost"])) for row in run_query()) == 2 * (35 + 20)


@pytest.mark.usefixtures("channel")
def test_the_command_of_an_anomaly(alerting, receiver, traffic, clock, run_query):
    for day in range(1, 31):
        clock.now = datetime(2026, 3, day, 18, tzinfo=UTC)
        traffic.put(clock.now, 2, cost=Decimal(10 + day % 3), project=PROJECT, model="usual")
    traffic.put(datetime(2026, 3, 30, 3, 30, tzinfo=UTC), 2, cost=Decimal(390), project=PROJECT, model="dear")
    clock.now = datetime(2026, 3, 30, 20, tzinfo=UTC)
    assert notify_anomalies(alerting.engine, traffic.store.events, clock.now, alerting.message_context) == 1
    total = sum(Decimal(str(row["cost"])) for row in run_query())
    data = receiver.got[-1].json["data"]
    assert (data["day"], data["project"], total) == ("2026-03-29", PROJECT, Decimal(data["spent"]))
