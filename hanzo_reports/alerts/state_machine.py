"""The state machine of an alert: `step`, a pure function.

::

    inactive --bad--> pending --bad for `for`--> firing --good--> recovering --good for `keep_firing_for`--> inactive
                         |                         ^                  |
                         +--not bad--> inactive    +--not good--------+

No data and failed queries change none of this; they only restart the clock of `pending`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hanzo_reports.alerts.alert_state import Health, Kind, Message, Phase, State
from hanzo_reports.alerts.rule import NoData

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from hanzo_reports.alerts.alert_state import Observation
    from hanzo_reports.alerts.rule import Rule
    from hanzo_reports.formats import Number

HEALTH_NOTICE_DELAY = timedelta(minutes=15)  # of bad health, before it is told
MIN_GAP = timedelta(seconds=120)
MINUTE = timedelta(minutes=1)

Stepped = tuple[State, tuple[Message, ...]]


def step(  # noqa: PLR0913  # two of them are switches
    rule: Rule,
    state: State,
    now: datetime,
    seen: Observation,
    *,
    interval: timedelta = MINUTE,
    silenced: bool = False,
) -> Stepped:
    """The state after one evaluation, and what is to be told.

    Args:
        rule: the rule as it is now.
        state: what was remembered.
        now: the instant of evaluation; not after the last one: nothing happens.
        seen: what the queries gave.
        interval: how often evaluations are meant to happen. A gap of more than twice that, and of more than two
            minutes, restarts the clock of `pending`.
        silenced: nothing new is told; what was told before is still resolved. What is still firing when a silence ends
            is told then.
    """
    last = state.last_evaluated
    if last is not None and now <= last:
        return state, ()
    messages: tuple[Message, ...] = ()
    if state.fingerprint != rule.fingerprint:
        if state.fingerprint:
            state, messages = close(state, now, "rule_changed")
        state = replace(state, fingerprint=rule.fingerprint)
    state = replace(state, last_evaluated=now)
    if state.phase is Phase.PENDING and last is not None and now - last > max(2 * interval, MIN_GAP):
        state = replace(state, since=now)
    state, told = _health(rule, state, now, seen, silenced=silenced)
    messages += told
    if _missing(rule, seen):
        if state.phase is Phase.PENDING:
            state = replace(state, since=now)
    else:
        state, told = _moved(rule, state, now, seen)
        messages += told
    state, told = _told(rule, state, now, silenced=silenced)
    return state, messages + told


def close(state: State, now: datetime, reason: str) -> Stepped:
    """The state of a rule that was changed, disabled or removed: inactive; what was told is resolved with a reason."""
    fresh = State(episode=state.episode, notices=state.notices, last_evaluated=state.last_evaluated)
    told = [(Kind.BACK, state.notices)] if state.health_told else []
    told += [(Kind.RESOLVED, 0)] if state.notified_at is not None else []
    return fresh, tuple(Message(kind, state.episode, number, now, state, reason) for kind, number in told)


def is_quiet(rule: Rule, seen: Observation) -> bool:
    """Whether an observation is good and whole, so that a state that says nothing goes on saying nothing."""
    return _health_of(rule, seen) is Health.OK and not _bad(rule, seen)


def breached(rule: Rule, value: Number) -> bool:
    """Whether a value is bad: compared as floats with a float, since 1 error in 100 is not above 0.01."""
    against, exact, rounded = rule.comparison
    return against(value, rounded if isinstance(value, float) else exact)


def _bad(rule: Rule, seen: Observation) -> bool:
    if seen.value is None or not breached(rule, seen.value):
        return False
    return rule.short_window is None or (seen.short is not None and breached(rule, seen.short))


def _good(rule: Rule, seen: Observation) -> bool:
    """Past the clear threshold, in one of its windows: the short one is good again first."""
    clear = rule.clear_threshold
    if clear is None:
        return not _bad(rule, seen)
    return any(
        value is not None and not breached(rule, value) and _past(rule, clear, value) for value in _values(rule, seen)
    )


def _past(rule: Rule, clear: Decimal, value: Number) -> bool:
    limit: Number = float(clear) if isinstance(value, float) else clear
    return value <= limit if rule.condition.high else value >= limit


def _values(rule: Rule, seen: Observation) -> tuple[Number | None, ...]:
    return (seen.value,) if rule.short_window is None else (seen.value, seen.short)


def _health_of(rule: Rule, seen: Observation) -> Health:
    if seen.error:
        return Health.ERROR
    if seen.samples < rule.min_samples or seen.value is None or (rule.short_window and seen.short is None):
        return Health.NO_DATA
    return Health.OK


def _missing(rule: Rule, seen: Observation) -> bool:
    """Whether the evaluation says nothing; a rule may say that no data is good."""
    health = _health_of(rule, seen)
    return health is Health.ERROR or (health is Health.NO_DATA and rule.no_data is not NoData.OK)


def _health(rule: Rule, state: State, now: datetime, seen: Observation, *, silenced: bool) -> Stepped:
    health = _health_of(rule, seen) if _missing(rule, seen) else Health.OK
    if health is Health.OK:
        if state.health is Health.OK:
            return state, ()
        fresh = replace(state, health=Health.OK, health_since=None, health_told=False)
        back = Message(Kind.BACK, state.episode, state.notices, now, state)
        return fresh, (back,) if state.health_told else ()
    if health is not state.health:
        state = replace(state, health=health, health_since=now)
    since = state.health_since or now
    wanted = health is Health.ERROR or rule.no_data is NoData.ALERT
    if not wanted or silenced or state.health_told or now - since < HEALTH_NOTICE_DELAY:
        return state, ()
    state = replace(state, health_told=True, notices=state.notices + 1)
    return state, (Message(Kind(health.value), state.episode, state.notices, now, state, seen.error),)


def _moved(rule: Rule, state: State, now: datetime, seen: Observation) -> Stepped:
    """The transitions of a value that is there."""
    empty = _health_of(rule, seen) is not Health.OK
    bad, good = not empty and _bad(rule, seen), empty or _good(rule, seen)
    if state.phase is Phase.INACTIVE:
        if not bad:
            return state, ()
        state = replace(state, phase=Phase.PENDING, since=now, began=now, worst=None, notified_at=None)
    state = replace(state, value=seen.value, worst=_worse(rule, state.worst, seen.value))
    if state.phase is Phase.PENDING:
        if not bad:
            return replace(state, phase=Phase.INACTIVE, since=now), ()
        if now - (state.since or now) >= rule.for_:
            state = replace(state, phase=Phase.FIRING, since=now, episode=state.episode + 1, reminders=0)
        return state, ()
    if not good:
        return (state if state.phase is Phase.FIRING else replace(state, phase=Phase.FIRING, since=now)), ()
    if state.phase is Phase.FIRING:
        state = replace(state, phase=Phase.RECOVERING, since=now)
    if now - (state.since or now) < rule.keep_firing_for:
        return state, ()
    done = replace(state, phase=Phase.INACTIVE, since=now, notified_at=None)
    reason = "no_data" if empty else "recovered"
    resolved = Message(Kind.RESOLVED, state.episode, 0, now, state, reason)
    return done, (resolved,) if state.notified_at is not None else ()


def _worse(rule: Rule, worst: Number | None, value: Number | None) -> Number | None:
    if worst is None or value is None:
        return worst if value is None else value
    return max(worst, value) if rule.condition.high else min(worst, value)


def _told(rule: Rule, state: State, now: datetime, *, silenced: bool) -> Stepped:
    """The firing that nobody knows of yet, or the reminder that is due."""
    if state.phase is not Phase.FIRING or silenced:
        return state, ()
    if state.notified_at is None:
        state = replace(state, notified_at=now)
        return state, (Message(Kind.FIRING, state.episode, 0, now, state),)
    if not rule.repeat or now - state.notified_at < rule.repeat:
        return state, ()
    state = replace(state, notified_at=now, reminders=state.reminders + 1)
    return state, (Message(Kind.REMINDER, state.episode, state.reminders, now, state),)
