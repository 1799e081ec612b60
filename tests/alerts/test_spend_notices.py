"""Budgets, forecasts and anomalies through the outbox, to a real receiver."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from hanzo_reports.alerts import spend_notices as money
from hanzo_reports.alerts.spend_check import check_spend
from hanzo_reports.alerts.spend_notices import notify_anomalies, notify_budgets
from hanzo_reports.alerts.subscriptions import list_subscriptions, set_subscribers
from hanzo_reports.budgets.budget import Budget, Budgets
from hanzo_reports.errors import UnknownNameError


@pytest.fixture
def told(house, traffic, clock, receiver):
    """A budget of 100 a month for the project search, whose subscribers are told as money is spent."""
    clock.now = datetime(2026, 3, 1, tzinfo=UTC)
    hook = house.channel(f"hook=webhook:{receiver.url}")
    with house.engine.begin() as connection:
        set_subscribers(connection, "budgets", [hook])
        set_subscribers(connection, "anomalies", [hook])
    Budgets(house.engine).set(Budget("search", Decimal(100)), clock.now)

    class Told:
        channel = hook

        def spend(self, cost, requests=1, **columns):
            clock.pass_(hours=1)
            traffic.put(clock.now, requests, cost=Decimal(cost) / requests, **columns)
            return self.look()

        def look(self, engine=None):
            engine = engine or house.engine
            return notify_budgets(Budgets(engine), traffic.store.events(), clock.now, house.message_context)

        @property
        def titles(self):
            house.deliver()
            return [got.json["data"]["title"] for got in receiver.got]

    return Told()


def test_thresholds_are_told_once_the_highest_of_several_and_again_for_another_limit(told, house, clock):
    assert [told.spend(cost) for cost in (40, 20, 5, 33, 5)] == [0, 1, 0, 1, 1]
    assert told.titles == [
        "BUDGET search: 50% of $100.00 is spent in March 2026",
        "BUDGET search: 90% of $100.00 is spent in March 2026",
        "BUDGET search: 100% of $100.00 is spent in March 2026",
    ]
    Budgets(house.engine).set(Budget("search", Decimal(200)), clock.now)
    assert told.look() == 1
    assert told.titles[3:] == ["BUDGET search: 50% of $200.00 is spent in March 2026"]
    clock.now = datetime(2026, 4, 20, tzinfo=UTC)
    assert told.spend(100) == 1
    assert told.titles[4:] == ["BUDGET search: 50% of $200.00 is spent in April 2026"]


@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
def test_two_who_look_at_once_tell_a_threshold_once(told, traffic, clock, state_engine):
    clock.pass_(hours=1)
    traffic.put(clock.now, 1, cost=Decimal(60))
    counts = []
    engines = [state_engine(), state_engine()]
    threads = [threading.Thread(target=lambda e=engine: counts.append(told.look(e))) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 1]
    assert len(told.titles) == 1


def test_a_record_without_its_message_is_no_record(told, house, traffic, clock, monkeypatch):
    """What fails on its way into the outbox is told the next time: both are one transaction."""
    traffic.put(clock.now + timedelta(minutes=30), 1, cost=Decimal(60))
    clock.pass_(hours=1)
    with monkeypatch.context() as broken:
        broken.setattr(money, "enqueue", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            told.look()
    assert Budgets(house.engine).told(Budgets(house.engine).get("search")) == []
    assert told.look() == 1


def test_a_project_may_have_subscribers_of_its_own(told, house, receiver):
    other = house.channel(f"other=webhook:{receiver.url}/other")
    with house.engine.begin() as connection:
        set_subscribers(connection, "budgets", [])
        set_subscribers(connection, "budgets:search", [other])
        set_subscribers(connection, "budgets:chat", [told.channel])
        assert [row["topic"] for row in list_subscriptions(connection)] == [
            "anomalies",
            "budgets:chat",
            "budgets:search",
        ]
    assert told.spend(60) == 1
    house.deliver()
    assert [got.path.endswith("/other") for got in receiver.got] == [True]


@pytest.mark.parametrize("topic", ["budget", "anomalies:search", "rules"])
def test_a_topic_that_is_none_is_named(house, topic):
    with pytest.raises(UnknownNameError, match="unknown topic"), house.engine.begin() as connection:
        set_subscribers(connection, topic, [])


@pytest.fixture
def month(told, traffic, clock):
    """A month of traffic, one day of it out of line by one model's doing; the clock stands at its end."""
    for day in range(1, 31):
        clock.now = datetime(2026, 3, day, 12, tzinfo=UTC)
        traffic.put(clock.now, 2, cost=Decimal(10 + day % 3), model="usual")
    traffic.put(datetime(2026, 3, 29, 13, tzinfo=UTC), 2, cost=Decimal(390), model="dear")
    clock.now = datetime(2026, 3, 30, 13, tzinfo=UTC)
    return told


def test_an_anomaly_is_told_once_with_who_moved_it(month, house, traffic, clock, receiver):
    house.rule(month.channel)
    looks = [notify_anomalies(house.engine, traffic.store.events, clock.now, house.message_context) for _ in range(3)]
    assert looks == [1, 0, 0]
    [title] = month.titles
    assert title.startswith("ANOMALY search: $804.00 on 29 March, expected $2")
    assert "\nCause: model dear: +$780.00 on the same weekday before\n" in receiver.got[0].json["data"]["text"]
    clock.pass_(days=1)
    assert notify_anomalies(house.engine, traffic.store.events, clock.now, house.message_context) == 0
    assert not house.check().skipped  # the row that says when anomalies were looked for is none of a pass's
    clock.pass_(minutes=1)
    assert house.check().rules == 1


@pytest.mark.usefixtures("month")
@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
def test_two_who_look_for_anomalies_at_once_tell_them_once(house, traffic, clock, state_engine, monkeypatch):
    barrier, counts, failed = threading.Barrier(2), [], []
    plain = money.anomalies
    written = money.enqueue
    monkeypatch.setattr(money, "anomalies", lambda *arguments: (barrier.wait(20), plain(*arguments))[1])
    monkeypatch.setattr(money, "enqueue", lambda *arguments: (time.sleep(1), written(*arguments))[1])

    def look(engine):
        try:
            counts.append(notify_anomalies(engine, traffic.store.events, clock.now, house.message_context))
        except Exception as error:  # noqa: BLE001  # shown below
            failed.append(error)

    threads = [threading.Thread(target=look, args=(state_engine(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, sorted(counts)) == ([], [0, 1])


@pytest.mark.usefixtures("told")
def test_a_store_without_events_has_no_anomalies(house, traffic, clock):
    assert notify_anomalies(house.engine, traffic.store.events, clock.now, house.message_context) == 0


@pytest.mark.usefixtures("month")
def test_what_cannot_be_looked_at_is_told_after_a_quarter_of_an_hour_and_keeps_no_other(
    house, traffic, clock, receiver
):
    def broken(*_):
        msg = "postgresql://me:hunter2@db is gone"
        raise duckdb.IOException(msg)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(money, "crossings", broken)
        for minute in range(20):
            looked = check_spend(Budgets(house.engine), traffic.store.events, clock.now, house.message_context)
            assert looked.failures == ("budgets: IOException: postgresql://***@db is gone",)
            assert looked.messages == {0: 1, 15: 1}.get(minute, 0)  # the anomaly, and that budgets cannot be seen
            clock.pass_(minutes=1)
    looks = [
        check_spend(Budgets(house.engine), traffic.store.events, clock.now, house.message_context) for _ in range(2)
    ]
    assert [look.failures for look in looks] == [(), ()]
    house.deliver()
    assert receiver.types == ["alert.anomaly", "alert.error", "alert.threshold", "alert.back"]
    assert "hunter2" not in str([got.body for got in receiver.got])
