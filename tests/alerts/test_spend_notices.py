"""Budgets, forecasts and anomalies through the outbox, to a real receiver."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
import sqlalchemy

from hanzo_reports.alerts import spend_notices
from hanzo_reports.alerts.spend_check import check_spend
from hanzo_reports.alerts.spend_notices import notify_anomalies, notify_budgets
from hanzo_reports.alerts.subscriptions import list_subscriptions, set_subscribers
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.errors import UnknownNameError

WAIT_LIMIT = 300  # seconds; only a thread that hangs reaches it


@pytest.fixture
def budget(alerting, traffic, clock, receiver):
    """A budget of $100 a month for the project search, and functions that spend and check it."""
    clock.now = datetime(2026, 3, 1, tzinfo=UTC)
    hook = alerting.channel(f"hook=webhook:{receiver.url}")
    with alerting.engine.begin() as connection:
        set_subscribers(connection, "budgets", [hook])
        set_subscribers(connection, "anomalies", [hook])
    Budgets(alerting.engine).set(Budget("search", Decimal(100)), clock.now)

    class SpentBudget:
        channel = hook

        def spend(self, cost, requests=1, **columns):
            clock.pass_(hours=1)
            traffic.put(clock.now, requests, cost=Decimal(cost) / requests, **columns)
            return self.check()

        def check(self, engine=None):
            engine = engine or alerting.engine
            return notify_budgets(Budgets(engine), traffic.store.events(), clock.now, alerting.message_context)

        @property
        def titles(self):
            alerting.deliver()
            return [got.json["data"]["title"] for got in receiver.got]

    return SpentBudget()


def test_only_the_highest_new_threshold_is_reported_once_per_month_and_limit(budget, alerting, clock):
    assert [budget.spend(cost) for cost in (40, 20, 5, 33, 5)] == [0, 1, 0, 1, 1]
    assert budget.titles == [
        "BUDGET search: 50% of $100.00 is spent in March 2026",
        "BUDGET search: 90% of $100.00 is spent in March 2026",
        "BUDGET search: 100% of $100.00 is spent in March 2026",
    ]
    Budgets(alerting.engine).set(Budget("search", Decimal(200)), clock.now)
    assert budget.check() == 1
    assert budget.titles[3:] == ["BUDGET search: 50% of $200.00 is spent in March 2026"]
    clock.now = datetime(2026, 4, 20, tzinfo=UTC)
    assert budget.spend(100) == 1
    assert budget.titles[4:] == ["BUDGET search: 50% of $200.00 is spent in April 2026"]


@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
def test_two_checks_at_once_report_a_threshold_once(budget, traffic, clock, state_engine):
    clock.pass_(hours=1)
    traffic.put(clock.now, 1, cost=Decimal(60))
    counts = []
    engines = [state_engine(), state_engine()]
    threads = [threading.Thread(target=lambda e=engine: counts.append(budget.check(e))) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 1]
    assert len(budget.titles) == 1


def test_a_crossing_is_recorded_only_with_its_message(budget, alerting, traffic, clock, monkeypatch):
    """Both are one transaction, so a crossing whose message fails is reported by the next check."""
    traffic.put(clock.now + timedelta(minutes=30), 1, cost=Decimal(60))
    clock.pass_(hours=1)
    with monkeypatch.context() as broken:
        broken.setattr(spend_notices, "enqueue", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            budget.check()
    assert Budgets(alerting.engine).list_crossings(Budgets(alerting.engine).get("search")) == []
    assert budget.check() == 1


def test_a_project_can_have_its_own_subscribers(budget, alerting, receiver):
    other = alerting.channel(f"other=webhook:{receiver.url}/other")
    with alerting.engine.begin() as connection:
        set_subscribers(connection, "budgets", [])
        set_subscribers(connection, "budgets:search", [other])
        set_subscribers(connection, "budgets:chat", [budget.channel])
        assert [row["topic"] for row in list_subscriptions(connection)] == [
            "anomalies",
            "budgets:chat",
            "budgets:search",
        ]
    assert budget.spend(60) == 1
    alerting.deliver()
    assert [got.path.endswith("/other") for got in receiver.got] == [True]


@pytest.mark.parametrize("topic", ["budget", "anomalies:search", "rules"])
def test_an_unknown_topic_is_refused(alerting, topic):
    with pytest.raises(UnknownNameError, match="unknown topic"), alerting.engine.begin() as connection:
        set_subscribers(connection, topic, [])


@pytest.fixture
def month(budget, traffic, clock):
    """A month of traffic with one unusual day, caused by one model; the clock is at its end."""
    for day in range(1, 31):
        clock.now = datetime(2026, 3, day, 12, tzinfo=UTC)
        traffic.put(clock.now, 2, cost=Decimal(10 + day % 3), model="usual")
    traffic.put(datetime(2026, 3, 29, 13, tzinfo=UTC), 2, cost=Decimal(390), model="dear")
    clock.now = datetime(2026, 3, 30, 13, tzinfo=UTC)
    return budget


def test_an_anomaly_is_reported_once_with_its_cause(month, alerting, traffic, clock, receiver):
    alerting.rule(month.channel)
    counts = [
        notify_anomalies(alerting.engine, traffic.store.events, clock.now, alerting.message_context) for _ in range(3)
    ]
    assert counts == [1, 0, 0]
    [title] = month.titles
    assert title.startswith("ANOMALY search: $804.00 on 29 March, expected $2")
    assert "\nCause: model dear: +$780.00 on the same weekday before\n" in receiver.got[0].json["data"]["text"]
    clock.pass_(days=1)
    assert notify_anomalies(alerting.engine, traffic.store.events, clock.now, alerting.message_context) == 0
    assert not alerting.check().skipped  # the search for anomalies is not a check of rules
    clock.pass_(minutes=1)
    assert alerting.check().rules == 1


@pytest.mark.usefixtures("month")
@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
def test_two_searches_for_anomalies_at_once_report_them_once(alerting, traffic, clock, state_engine, monkeypatch):
    """The first to write keeps its transaction open until the other has begun one as well."""
    counts, failures = [], []
    barrier, writers, begun = threading.Barrier(2), set(), threading.Semaphore(0)
    explain, enqueue = spend_notices.explain_anomalies, spend_notices.enqueue

    def explain_together(*arguments):
        explained = explain(*arguments)
        barrier.wait(WAIT_LIMIT)
        writers.add(threading.get_ident())
        return explained

    def enqueue_together(*arguments):
        assert all(begun.acquire(timeout=WAIT_LIMIT) for _ in range(2))
        return enqueue(*arguments)

    def note_begin(_):
        if threading.get_ident() in writers:
            begun.release()

    def search(engine):
        try:
            sqlalchemy.event.listen(engine, "begin", note_begin, insert=True)
            counts.append(notify_anomalies(engine, traffic.store.events, clock.now, alerting.message_context))
        except Exception as error:  # noqa: BLE001  # shown below
            failures.append(error)

    monkeypatch.setattr(spend_notices, "explain_anomalies", explain_together)
    monkeypatch.setattr(spend_notices, "enqueue", enqueue_together)
    threads = [threading.Thread(target=search, args=(state_engine(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, sorted(counts)) == ([], [0, 1])


@pytest.mark.usefixtures("budget")
def test_a_store_without_events_has_no_anomalies(alerting, traffic, clock):
    assert notify_anomalies(alerting.engine, traffic.store.events, clock.now, alerting.message_context) == 0


@pytest.mark.usefixtures("month")
def test_a_topic_that_cannot_be_checked_is_reported_after_fifteen_minutes_and_stops_no_other(
    alerting, traffic, clock, receiver
):
    def broken(*_):
        msg = "postgresql://me:hunter2@db is gone"
        raise duckdb.IOException(msg)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spend_notices, "record_crossings", broken)
        for minute in range(20):
            result = check_spend(Budgets(alerting.engine), traffic.store.events, clock.now, alerting.message_context)
            assert result.failures == ("budgets: IOException: postgresql://***@db is gone",)
            assert result.messages == {0: 1, 15: 1}.get(minute, 0)  # the anomaly, and that budgets cannot be checked
            clock.pass_(minutes=1)
    results = [
        check_spend(Budgets(alerting.engine), traffic.store.events, clock.now, alerting.message_context)
        for _ in range(2)
    ]
    assert [result.failures for result in results] == [(), ()]
    alerting.deliver()
    assert receiver.types == ["alert.anomaly", "alert.error", "alert.threshold", "alert.back"]
    assert "hunter2" not in str([got.body for got in receiver.got])
