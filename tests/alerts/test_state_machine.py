"""The state machine: each transition by example, and properties of every sequence of evaluations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.alerts.alert_state import AlertState, Health, MessageKind, Observation, Phase
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.state_machine import close, step

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAIN = {"name": "errors", "metric": "error_rate", "gt": "0.05"}
BAD, GOOD, BETWEEN = Observation(0.09, 100), Observation(0.01, 100), Observation(0.04, 100)
NOTHING, BROKEN = Observation(), Observation(error="the store cannot be read")


def run(rule, observations, state=None, *, start=START, every=MINUTE, **options):
    """The states after evaluations one minute apart, and the number of the evaluation and kind of each message."""
    state, states, timeline = state or AlertState(), [], []
    for n, observation in enumerate(observations):
        state, messages = step(rule, state, start + n * every, observation, **options)
        states.append(state)
        timeline += [(n, message.kind.value) for message in messages]
    return states, timeline


def rule(**more):
    return parse_rule(PLAIN | more)


def test_without_for_it_fires_at_once_and_resolves_at_once():
    states, timeline = run(rule(), [GOOD, BAD, BAD, GOOD, GOOD])
    assert timeline == [(1, "firing"), (3, "resolved")]
    assert [state.phase.value for state in states] == ["inactive", "firing", "firing", "inactive", "inactive"]


def test_for_must_pass_and_a_single_clear_minute_restarts_it():
    states, timeline = run(rule(**{"for": "3m"}), [BAD, BAD, GOOD, BAD, BAD, BAD, BAD])
    assert timeline == [(6, "firing")]
    assert states[-1].breach_since == START + 3 * MINUTE


def test_flapping_within_keep_firing_for_is_one_episode():
    states, timeline = run(rule(keep_firing_for="3m"), [BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD])
    assert timeline == [(0, "firing"), (7, "resolved")]
    assert states[2].phase is Phase.RECOVERING
    assert states[-1].episode == 1


def test_a_value_between_clear_and_threshold_keeps_the_phase():
    _, timeline = run(rule(clear="0.02"), [BETWEEN, BAD, BETWEEN, BETWEEN, GOOD])
    assert timeline == [(1, "firing"), (4, "resolved")]
    states, timeline = run(rule(clear="0.02", keep_firing_for="3m"), [BAD, GOOD, GOOD, BETWEEN, GOOD, GOOD, GOOD, GOOD])
    assert timeline == [(0, "firing"), (7, "resolved")]
    assert states[3].phase is Phase.FIRING


def test_no_data_and_errors_never_resolve_and_restart_the_clock_of_pending():
    for hole in (NOTHING, BROKEN):
        _, timeline = run(rule(), [BAD, hole, hole, hole, BAD, GOOD])
        assert timeline == [(0, "firing"), (5, "resolved")]
        _, timeline = run(rule(**{"for": "2m"}), [BAD, BAD, hole, BAD, BAD])
        assert timeline == [(4, "firing")]


def test_a_rule_may_treat_no_data_as_ok():
    states, timeline = run(rule(no_data="ok"), [BAD, NOTHING])
    assert timeline == [(0, "firing"), (1, "resolved")]
    assert states[-1].health.health is Health.OK
    _, timeline = run(rule(no_data="ok"), [BAD, BROKEN])
    assert timeline == [(0, "firing")]


def test_too_few_samples_are_no_data():
    states, timeline = run(rule(min_samples=20), [Observation(1.0, 19), Observation(1.0, 20)])
    assert timeline == [(1, "firing")]
    assert states[0].health.health is Health.NO_DATA


@pytest.mark.parametrize(
    ("no_data", "observation", "expected"),
    [
        ("keep", NOTHING, []),
        ("alert", NOTHING, [(16, "no_data"), (20, "back")]),
        ("keep", BROKEN, [(16, "error"), (20, "back")]),
    ],
)
def test_trouble_sends_one_notice_after_fifteen_minutes_and_one_when_it_is_over(no_data, observation, expected):
    _, timeline = run(rule(no_data=no_data), [GOOD, *[observation] * 19, GOOD, GOOD])
    assert timeline == expected


def test_a_short_outage_sends_no_notice():
    _, timeline = run(rule(no_data="alert"), [NOTHING, NOTHING, GOOD] * 10)
    assert timeline == []


def test_a_reminder_is_sent_each_repeat():
    _, timeline = run(rule(repeat="10m"), [BAD] * 25)
    assert timeline == [(0, "firing"), (10, "reminder"), (20, "reminder")]
    assert run(rule(repeat="0"), [BAD] * 25)[1] == [(0, "firing")]


def test_a_gap_restarts_pending_and_leaves_firing():
    waiting = rule(**{"for": "2m"})
    _, timeline = run(waiting, [BAD, BAD, BAD], every=timedelta(minutes=3))
    assert timeline == []
    _, timeline = run(waiting, [BAD, BAD, BAD], every=timedelta(minutes=3), interval=timedelta(minutes=3))
    assert timeline == [(1, "firing")]
    state, _ = step(rule(), AlertState(), START, BAD)
    later, messages = step(rule(), state, START + timedelta(hours=1), BAD)
    assert (later.phase, messages) == (Phase.FIRING, ())


def test_a_clock_that_goes_back_changes_nothing():
    state, _ = step(rule(), AlertState(), START, BAD)
    for now in (START, START - MINUTE):
        assert step(rule(), state, now, GOOD) == (state, ())


def test_a_changed_rule_resolves_what_was_reported_and_starts_over():
    state, _ = step(rule(), AlertState(), START, BAD)
    again, messages = step(rule(gt="0.08"), state, START + MINUTE, BAD)
    assert [(m.kind, m.episode, m.reason) for m in messages] == [
        (MessageKind.RESOLVED, 1, "rule_changed"),
        (MessageKind.FIRING, 2, ""),
    ]
    assert again.episode == 2
    quiet, messages = step(rule(repeat="1h"), state, START + MINUTE, BAD)
    assert (quiet.episode, messages) == (1, ())


def test_a_removed_rule_takes_back_its_notice_of_trouble():
    states, _ = run(rule(), [BROKEN] * 17)
    assert [message.kind for message in close(states[-1], START, "removed")[1]] == [MessageKind.BACK]


def test_an_alert_that_still_fires_when_a_silence_ends_is_reported_then():
    silent, messages = step(rule(), AlertState(), START, BAD, silenced=True)
    assert (silent.phase, messages) == (Phase.FIRING, ())
    _, messages = step(rule(), silent, START + MINUTE, BAD)
    assert [message.kind for message in messages] == [MessageKind.FIRING]
    _, messages = step(rule(), silent, START + MINUTE, GOOD)
    assert messages == ()


def test_a_silence_does_not_mute_the_resolve_of_what_was_reported():
    state, _ = step(rule(), AlertState(), START, BAD)
    _, messages = step(rule(), state, START + MINUTE, GOOD, silenced=True)
    assert [message.kind for message in messages] == [MessageKind.RESOLVED]


def test_a_burn_rate_needs_both_windows_and_resolves_with_the_short_one():
    burn = rule(window="1h", short_window="5m")

    def both(long, short):
        return Observation(long, 100, short)

    _, timeline = run(burn, [both(0.09, 0.01), both(0.01, 0.09), both(0.09, 0.09), both(0.09, None), both(0.09, 0.01)])
    assert timeline == [(2, "firing"), (4, "resolved")]


@pytest.mark.parametrize(
    ("condition", "value", "bad"),
    [
        ("gt", 0.05, False), ("gte", 0.05, True), ("lt", 0.05, False), ("lte", 0.05, True),
        ("gt", 5 / 100, False), ("gt", 0.0501, True), ("lt", 0.0499, True),
    ],
)  # fmt: skip
def test_conditions_are_exact_at_the_threshold(condition, value, bad):
    plain = {"name": "errors", "metric": "error_rate", condition: "0.05"}
    assert bool(run(parse_rule(plain), [Observation(value, 1)])[1]) is bad


def test_money_is_compared_exactly():
    budget = parse_rule({"name": "spend", "metric": "cost", "gt": "0.3"})
    assert run(budget, [Observation(Decimal("0.3"), 1)])[1] == []
    assert run(budget, [Observation(Decimal("0.300000001"), 1)])[1] == [(0, "firing")]


def test_the_worst_value_of_the_episode_is_kept():
    states, _ = run(rule(), [Observation(v, 9) for v in (0.06, 0.2, 0.1)])
    assert (states[-1].last_value, states[-1].worst_value) == (0.1, 0.2)


RULES = st.builds(
    lambda for_, keep, clear, repeat, no_data, least: rule(
        **{"for": for_, "keep_firing_for": keep, "clear": clear, "repeat": repeat, "no_data": no_data},
        min_samples=least,
    ),
    st.sampled_from(["0", "1m", "3m"]),
    st.sampled_from(["0", "1m", "3m"]),
    st.sampled_from([None, "0.02"]),
    st.sampled_from(["0", "2m", "5m"]),
    st.sampled_from(["keep", "alert", "ok"]),
    st.sampled_from([0, 20]),
)
OBSERVATIONS = st.one_of(
    st.sampled_from([BAD, GOOD, BETWEEN, NOTHING, BROKEN, Observation(0.09, 3)]),
    st.builds(Observation, st.floats(0, 1), st.integers(0, 100)),
)
STEPS = st.lists(st.tuples(OBSERVATIONS, st.integers(-3, 20), st.booleans()), max_size=60)


def run_steps(rule, steps):
    """The states, input and messages of each step of a run with gaps, clocks that go back, and silences."""
    now, state, history = START, AlertState(), []
    for observation, minutes, silenced in steps:
        now += minutes * MINUTE
        before = state
        state, messages = step(rule, state, now, observation, silenced=silenced)
        history.append((before, state, now, observation, silenced, messages))
    return history


@given(RULES, STEPS)
def test_firings_and_resolves_alternate(rule, steps):
    kinds = [m.kind for *_, messages in run_steps(rule, steps) for m in messages]
    episode = [kind for kind in kinds if kind in {MessageKind.FIRING, MessageKind.RESOLVED}]
    assert episode[::2] == [MessageKind.FIRING] * len(episode[::2])
    assert episode[1::2] == [MessageKind.RESOLVED] * len(episode[1::2])
    health = [
        kind is MessageKind.BACK for kind in kinds if kind in {MessageKind.NO_DATA, MessageKind.ERROR, MessageKind.BACK}
    ]
    assert health == [bool(n % 2) for n in range(len(health))]


@given(RULES, STEPS)
def test_every_message_has_a_unique_key(rule, steps):
    keys = [(m.episode, m.kind, m.number) for *_, messages in run_steps(rule, steps) for m in messages]
    assert len(set(keys)) == len(keys)


@given(RULES, STEPS)
def test_replays_and_clocks_that_go_back_change_nothing(rule, steps):
    for _, state, now, observation, silenced, _ in run_steps(rule, steps):
        for again in (now, now - MINUTE):
            assert step(rule, state, min(again, state.last_evaluated), observation, silenced=silenced) == (state, ())


@given(RULES, STEPS)
def test_missing_data_and_errors_never_resolve(rule, steps):
    for before, state, _, observation, _, messages in run_steps(rule, steps):
        missing = observation.value is None or observation.samples < rule.min_samples
        if observation.error or (missing and rule.no_data.value != "ok"):
            assert MessageKind.RESOLVED not in {message.kind for message in messages}
            assert before.phase is state.phase


@given(RULES, STEPS)
def test_a_silence_mutes_all_but_resolves_and_notices_that_trouble_is_over(rule, steps):
    for *_, silenced, messages in run_steps(rule, steps):
        if silenced:
            assert {message.kind for message in messages} <= {MessageKind.RESOLVED, MessageKind.BACK}


@given(RULES, STEPS)
def test_firing_needs_a_breach_for_as_long_as_the_rule_says(rule, steps):
    for before, state, now, observation, _, _ in run_steps(rule, steps):
        if state.episode > before.episode:
            assert not observation.error
            assert observation.value > 0.05
            assert now - state.breach_since >= rule.for_


@given(RULES, STEPS, st.integers(0, 60))
def test_a_restart_changes_nothing(rule, steps, cut):
    """A state that was stored and loaded goes on like one that was not."""
    from hanzo_reports.alerts.state_store import state_from_row, state_to_row  # noqa: PLC0415  # only this test stores states

    def store_and_load(state):
        return replace(state_from_row(state_to_row(state)), last_evaluated=state.last_evaluated)

    now, state, restarted = START, AlertState(), AlertState()
    for n, (observation, minutes, silenced) in enumerate(steps):
        now += minutes * MINUTE
        restarted = store_and_load(restarted) if n == cut else restarted
        state, messages = step(rule, state, now, observation, silenced=silenced)
        restarted, others = step(rule, restarted, now, observation, silenced=silenced)
        assert (restarted, others) == (state, messages)
