"""One pass over rules, budgets and anomalies: a step that fails stops no other, and every failure is returned."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from hanzo_reports.alerts import rule_check
from hanzo_reports.alerts.run import run_pass
from hanzo_reports.alerts.subscriptions import set_subscribers
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.delivery.worker import DeliveryResult
from hanzo_reports.errors import RuleError

MINUTE = timedelta(minutes=1)


@pytest.fixture
def one_pass(alerting, traffic, clock):
    """A function that runs one pass a minute after the previous one, and the time limits that deliveries got."""
    time_limits = []

    def deliver(time_limit):
        time_limits.append(time_limit)
        alerting.deliver()
        return DeliveryResult(sent=7)

    def run(*, events=traffic.store.events, interval=MINUTE, deliver=deliver, **later):
        clock.pass_(**later or {"minutes": 1})
        return run_pass(
            Budgets(alerting.engine),
            events,
            clock.now,
            context=alerting.message_context,
            interval=interval,
            deliver=deliver,
        )

    run.time_limits = time_limits
    return run


@pytest.fixture
def search(alerting, traffic, clock, receiver):
    """A rule and a budget that are both over their threshold in the next pass."""
    channel = alerting.channel(f"hook=webhook:{receiver.url}")
    alerting.rule(channel)
    with alerting.engine.begin() as connection:
        set_subscribers(connection, "budgets", [channel])
    Budgets(alerting.engine).set(Budget("search", Decimal(100)), clock.now)
    traffic.put(clock.now + MINUTE, 10, bad=5, cost=Decimal(6))


@pytest.mark.usefixtures("search")
def test_a_pass_evaluates_everything_and_delivers(one_pass, receiver):
    result = one_pass()
    assert result.counts == {
        "rules": 1, "queries": 1, "firing": 1, "messages": 2, "sent": 7, "retried": 0, "dead": 0,
    }  # fmt: skip
    assert (result.notes, result.failures) == ((), ())
    assert sorted(receiver.types) == ["alert.firing", "alert.threshold"]


@pytest.mark.usefixtures("search")
def test_a_pass_without_delivery_leaves_the_messages_in_the_outbox(one_pass, receiver):
    assert one_pass(deliver=None).counts == {"rules": 1, "queries": 1, "firing": 1, "messages": 2}
    assert receiver.types == []


@pytest.mark.usefixtures("search")
def test_events_that_cannot_be_read_are_a_failure_of_rules_and_budgets_and_stop_no_delivery(one_pass):
    def broken(*_):
        msg = "the disk is gone"
        raise OSError(msg)

    result = one_pass(events=broken)
    assert result.failures == ("OSError: the disk is gone", "budgets: OSError: the disk is gone")
    assert result.counts["sent"] == 7


@pytest.mark.usefixtures("search")
def test_a_failed_evaluation_is_returned_and_delivery_goes_on(one_pass, monkeypatch):
    monkeypatch.setattr(rule_check, "RETRY_LIMIT", 0)
    result = one_pass()
    assert (result.rules, result.counts) == (None, {"sent": 7, "retried": 0, "dead": 0})
    assert "0 other checks" in result.failures[0]


def test_a_wrong_argument_is_raised_and_nothing_is_delivered(one_pass, monkeypatch):
    def refuse(*_, **__):
        msg = "no such rule"
        raise RuleError(msg)

    monkeypatch.setattr("hanzo_reports.alerts.run.check_rules", refuse)
    with pytest.raises(RuleError):
        one_pass()
    assert one_pass.time_limits == []


def test_timing_is_described(one_pass):
    one_pass()
    [note] = one_pass(hours=1).notes
    assert note.startswith("1h since the last check: pending alerts start over.")
    [note] = one_pass(seconds=0).notes
    assert note == "nothing was evaluated: a check at this instant or a later one has already run"
    [failure] = one_pass(minutes=-30).failures
    assert failure.startswith("the last check ran at 2026-03-01T04:01:00+00:00, 30m after the current time")


def test_half_of_the_interval_but_at_least_ten_seconds_go_to_delivery(one_pass):
    for interval in (MINUTE, timedelta(seconds=1)):
        one_pass(interval=interval)
    assert one_pass.time_limits == [timedelta(seconds=30), timedelta(seconds=10)]
