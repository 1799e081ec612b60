"""Budgets, forecasts and anomalies through the outbox, to a real receiver."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from hanzo_reports.alerts.budgets import Budget, Budgets
from hanzo_reports.alerts.money import subscribe, subscriptions, tell_anomalies, tell_budgets
from hanzo_reports.errors import UnknownNameError


@pytest.fixture
def told(house, traffic, clock, receiver):
    """A budget of 100 a month for the project search, whose subscribers are told as money is spent."""
    clock.now = datetime(2026, 3, 1, tzinfo=UTC)
    hook = house.channel(f"hook=webhook:{receiver.url}")
    with house.engine.begin() as connection:
        subscribe(connection, "budgets", [hook])
        subscribe(connection, "anomalies", [hook])
    Budgets(house.engine).set(Budget("search", Decimal(100)), clock.now)

    class Told:
        channel = hook

        def spend(self, cost, requests=1, **columns):
            clock.pass_(hours=1)
            traffic.put(clock.now, requests, cost=Decimal(cost) / requests, **columns)
            return self.look()

        def look(self, engine=None):
            engine = engine or house.engine
            return tell_budgets(Budgets(engine), traffic.store.events(), clock.now, house.voice)

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
    from hanzo_reports.alerts import money  # noqa: PLC0415  # to break it

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
        subscribe(connection, "budgets", [])
        subscribe(connection, "budgets:search", [other])
        subscribe(connection, "budgets:chat", [told.channel])
        assert [row["topic"] for row in subscriptions(connection)] == ["anomalies", "budgets:chat", "budgets:search"]
    assert told.spend(60) == 1
    house.deliver()
    assert [got.path.endswith("/other") for got in receiver.got] == [True]


@pytest.mark.parametrize("topic", ["budget", "anomalies:search", "rules"])
def test_a_topic_that_is_none_is_named(house, topic):
    with pytest.raises(UnknownNameError, match="unknown topic"), house.engine.begin() as connection:
        subscribe(connection, topic, [])


def test_an_anomaly_is_told_once(told, house, traffic, clock):
    for day in range(1, 31):
        clock.now = datetime(2026, 3, day, 12, tzinfo=UTC)
        traffic.put(clock.now, 2, cost=Decimal(400 if day == 29 else 10 + day % 3))
    clock.now = datetime(2026, 3, 30, 13, tzinfo=UTC)
    looks = [tell_anomalies(house.engine, traffic.store.events(), clock.now, house.voice) for _ in range(3)]
    assert looks == [1, 0, 0]
    [title] = told.titles
    assert title.startswith("ANOMALY search: $800.00 on 29 March, expected $2")
    clock.pass_(days=1)
    assert tell_anomalies(house.engine, traffic.store.events(), clock.now, house.voice) == 0
