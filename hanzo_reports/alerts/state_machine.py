"""The state machine of an alert: `step`, a pure function.

::

    inactive --breach--> pending --for `for_`--> firing --clear--> recovering --for `keep_firing_for`--> inactive
                            |                      ^                   |
                            +--clear--> inactive   +--not clear--------+

Missing data and failed queries keep the phase; they only restart the clock of `pending`. Whether the alert can be
evaluated is its health, see `hanzo_reports.alerts.health`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hanzo_reports.alerts.alert_state import AlertState, Health, Message, MessageKind, Phase
from hanzo_reports.alerts.health import close_health, step_health
from hanzo_reports.alerts.rule import MINUTE, NoData

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from hanzo_reports.alerts.alert_state import Observation
    from hanzo_reports.alerts.rule import Rule
    from hanzo_reports.formats import Number

MIN_GAP = timedelta(seconds=120)  # a shorter time between evaluations never restarts the clock of `pending`

Step = tuple[AlertState, tuple[Message, ...]]


def step(  # noqa: PLR0913  # two of them are switches
    rule: Rule,
    state: AlertState,
    now: datetime,
    observation: Observation,
    *,
    interval: timedelta = MINUTE,
    silenced: bool = False,
) -> Step:
    """The state after one evaluation, and the messages to send.

    Args:
        rule: the rule as it is now.
        state: the state before.
        now: the instant of evaluation; nothing happens unless it is after the last one.
        observation: what the queries returned.
        interval: the intended time between evaluations. A gap of more than twice that, and of more than two minutes,
            restarts the clock of `pending`.
        silenced: whether new messages are muted; what was reported before still resolves. An alert that still fires
            when a silence ends is reported then.
    """
    previous = state.last_evaluated
    if previous is not None and now <= previous:
        return state, ()
    messages: tuple[Message, ...] = ()
    if state.fingerprint != rule.fingerprint:
        if state.fingerprint:
            state, messages = close(state, now, "rule_changed")
        state = replace(state, fingerprint=rule.fingerprint)
    state = replace(state, last_evaluated=now)
    if state.phase is Phase.PENDING and previous is not None and now - previous > max(2 * interval, MIN_GAP):
        state = replace(state, phase_since=now)
    state, new_messages = _step_health(rule, state, now, observation, silenced=silenced)
    messages += new_messages
    if _reported_health(rule, observation) is not Health.OK:
        if state.phase is Phase.PENDING:
            state = replace(state, phase_since=now)
    else:
        state, new_messages = _step_phase(rule, state, now, observation)
        messages += new_messages
    state, new_messages = _report_firing(rule, state, now, silenced=silenced)
    return state, messages + new_messages


def close(state: AlertState, now: datetime, reason: str) -> Step:
    """The state of a rule that was changed, disabled or removed: inactive; what was reported resolves with a reason."""
    health, back = close_health(state.health, now, reason)
    fresh = AlertState(health=health, episode=state.episode, last_evaluated=state.last_evaluated)
    messages = [Message(back.kind, state.episode, back.number, now, state, reason)] if back else []
    if state.notified_at is not None:
        messages.append(Message(MessageKind.RESOLVED, state.episode, 0, now, state, reason))
    return fresh, tuple(messages)


def is_quiet(rule: Rule, observation: Observation) -> bool:
    """Whether an observation has data and no breach, so that an inactive alert stays inactive."""
    return _observed_health(rule, observation) is Health.OK and not _is_breach(rule, observation)


def _breaches(rule: Rule, value: Number) -> bool:
    """Whether a value breaches the threshold; floats are compared as floats: 1 error in 100 is not over 0.01."""
    compare, exact, rounded = rule.comparison
    return compare(value, rounded if isinstance(value, float) else exact)


def _is_breach(rule: Rule, observation: Observation) -> bool:
    if observation.value is None or not _breaches(rule, observation.value):
        return False
    if rule.short_window is None:
        return True
    return observation.short_value is not None and _breaches(rule, observation.short_value)


def _is_clear(rule: Rule, observation: Observation) -> bool:
    """Whether a value is past the clear threshold in one of the windows; the short one clears first."""
    clear = rule.clear_threshold
    if clear is None:
        return not _is_breach(rule, observation)
    values = (observation.value,) if rule.short_window is None else (observation.value, observation.short_value)
    return any(
        value is not None and not _breaches(rule, value) and _is_past_clear(rule, clear, value) for value in values
    )


def _is_past_clear(rule: Rule, clear: Decimal, value: Number) -> bool:
    threshold: Number = float(clear) if isinstance(value, float) else clear
    return value <= threshold if rule.condition.is_upper_bound else value >= threshold


def _observed_health(rule: Rule, observation: Observation) -> Health:
    if observation.error:
        return Health.ERROR
    if observation.value is None or observation.samples < rule.min_samples:
        return Health.NO_DATA
    return Health.NO_DATA if rule.short_window and observation.short_value is None else Health.OK


def _reported_health(rule: Rule, observation: Observation) -> Health:
    """The observed health; a rule may say that no data is ok."""
    health = _observed_health(rule, observation)
    return Health.OK if health is Health.NO_DATA and rule.no_data is NoData.OK else health


def _step_health(rule: Rule, state: AlertState, now: datetime, observation: Observation, *, silenced: bool) -> Step:
    health = _reported_health(rule, observation)
    notify = health is Health.ERROR or rule.no_data is NoData.ALERT
    after, message = step_health(state.health, now, health, reason=observation.error, notify=notify, silenced=silenced)
    if after == state.health:
        return state, ()
    changed = replace(state, health=after)
    if message is None:
        return changed, ()
    reported = state if message.kind is MessageKind.BACK else changed
    return changed, (Message(message.kind, state.episode, message.number, now, reported, message.reason),)


def _step_phase(rule: Rule, state: AlertState, now: datetime, observation: Observation) -> Step:
    """The transitions of an observation that has data, or of one without data if the rule treats that as ok."""
    empty = _observed_health(rule, observation) is not Health.OK
    breach = not empty and _is_breach(rule, observation)
    clear = empty or _is_clear(rule, observation)
    if state.phase is Phase.INACTIVE:
        if not breach:
            return state, ()
        state = replace(
            state, phase=Phase.PENDING, phase_since=now, breach_since=now, worst_value=None, notified_at=None
        )
    worst = _worse_value(rule, state.worst_value, observation.value)
    state = replace(state, last_value=observation.value, worst_value=worst)
    if state.phase is Phase.PENDING:
        if not breach:
            return replace(state, phase=Phase.INACTIVE, phase_since=now), ()
        if now - (state.phase_since or now) >= rule.for_:
            state = replace(state, phase=Phase.FIRING, phase_since=now, episode=state.episode + 1, reminder_count=0)
        return state, ()
    if not clear:
        return (state if state.phase is Phase.FIRING else replace(state, phase=Phase.FIRING, phase_since=now)), ()
    if state.phase is Phase.FIRING:
        state = replace(state, phase=Phase.RECOVERING, phase_since=now)
    if now - (state.phase_since or now) < rule.keep_firing_for:
        return state, ()
    after = replace(state, phase=Phase.INACTIVE, phase_since=now, notified_at=None)
    reason = "no_data" if empty else "recovered"
    resolved = Message(MessageKind.RESOLVED, state.episode, 0, now, state, reason)
    return after, (resolved,) if state.notified_at is not None else ()


def _worse_value(rule: Rule, worst: Number | None, value: Number | None) -> Number | None:
    if worst is None or value is None:
        return worst if value is None else value
    return max(worst, value) if rule.condition.is_upper_bound else min(worst, value)


def _report_firing(rule: Rule, state: AlertState, now: datetime, *, silenced: bool) -> Step:
    """The message of a firing that was not reported yet, or the reminder that is due."""
    if state.phase is not Phase.FIRING or silenced:
        return state, ()
    if state.notified_at is None:
        state = replace(state, notified_at=now)
        return state, (Message(MessageKind.FIRING, state.episode, 0, now, state),)
    if not rule.repeat or now - state.notified_at < rule.repeat:
        return state, ()
    state = replace(state, notified_at=now, reminder_count=state.reminder_count + 1)
    return state, (Message(MessageKind.REMINDER, state.episode, state.reminder_count, now, state),)
