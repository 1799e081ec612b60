"""Health: what holds for every sequence of evaluations, and that a rule as a whole behaves as a group of it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.alerts.alert_state import AlertState, Health, HealthState, MessageKind, Observation
from hanzo_reports.alerts.health import HEALTH_NOTICE_DELAY, close_health, step_health
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.state_machine import close, step

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TROUBLE = (Health.NO_DATA, Health.ERROR)
RULE = parse_rule({"name": "requests", "metric": "requests", "lte": 0, "no_data": "alert"})
OBSERVATIONS = {Health.OK: Observation(1, 1, 1), Health.NO_DATA: Observation(), Health.ERROR: Observation(error="gone")}
STEPS = st.lists(st.tuples(st.sampled_from(list(Health)), st.integers(1, 20), st.booleans()), max_size=60)


def run(steps, *, notify=True):
    """For each step the state before, the state after, its instant, its health, whether it is silenced, its message."""
    now, state, history = START, HealthState(), []
    for health, minutes, silenced in steps:
        now += minutes * MINUTE
        before = state
        state, message = step_health(state, now, health, reason=health.value, notify=notify, silenced=silenced)
        history.append((before, state, now, health, silenced, message))
    return history


@given(STEPS)
def test_a_group_and_a_rule_as_a_whole_have_the_same_health_and_notices(steps):
    alert, now = AlertState(), START
    for _, health_state, now, health, silenced, message in run(steps):
        alert, messages = step(RULE, alert, now, OBSERVATIONS[health], silenced=silenced)
        assert alert.health == health_state
        assert [(m.kind, m.number, m.at) for m in messages] == (
            [(message.kind, message.number, message.at)] if message else []
        )
    closed, messages = close(alert, now, "removed")
    health_state, message = close_health(alert.health, now, "removed")
    assert closed.health == health_state
    assert [(m.kind, m.number, m.reason) for m in messages] == (
        [(message.kind, message.number, message.reason)] if message else []
    )


@given(STEPS)
def test_notices_of_trouble_and_of_its_end_alternate_with_rising_numbers(steps):
    messages = [message for *_, message in run(steps) if message]
    kinds = [message.kind is MessageKind.BACK for message in messages]
    assert kinds == [bool(n % 2) for n in range(len(kinds))]
    assert [message.number for message in messages] == [n // 2 + 1 for n in range(len(messages))]


@given(STEPS)
def test_a_notice_needs_trouble_of_one_kind_for_as_long_as_the_delay(steps):
    for _, state, now, health, silenced, message in run(steps):
        if message and message.kind is not MessageKind.BACK:
            assert (message.kind.value, message.reason) == (health.value, health.value)
            assert not silenced
            assert now - state.since >= HEALTH_NOTICE_DELAY
            assert message.since == state.since


@given(STEPS)
def test_the_state_says_what_the_last_step_observed(steps):
    for before, state, now, health, _, _ in run(steps):
        assert state.health is health
        assert state.since == (None if health is Health.OK else before.since if before.health is health else now)


@given(STEPS)
def test_without_notify_nothing_is_sent_but_the_state_is_the_same_otherwise(steps):
    quiet = run(steps, notify=False)
    assert [message for *_, message in quiet if message] == []
    assert [(state.health, state.since) for _, state, *_ in quiet] == [
        (state.health, state.since) for _, state, *_ in run(steps)
    ]
