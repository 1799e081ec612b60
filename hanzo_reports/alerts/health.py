"""The health of what is evaluated: `step_health`, a pure function.

::

    ok --no data or error--> trouble --15 minutes--> trouble, one notice --evaluated--> ok, one notice that it is back

Health stands beside the phase of an alert: trouble resolves nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hanzo_reports.alerts.alert_state import Health, HealthMessage, HealthState, MessageKind

if TYPE_CHECKING:
    from datetime import datetime

HEALTH_NOTICE_DELAY = timedelta(minutes=15)  # how long trouble lasts before a notice is sent

HealthStep = tuple[HealthState, HealthMessage | None]


def step_health(  # noqa: PLR0913  # two of them are switches
    state: HealthState,
    now: datetime,
    health: Health,
    *,
    reason: str = "",
    notify: bool = True,
    silenced: bool = False,
) -> HealthStep:
    """The health after one evaluation, and the notice to send.

    Args:
        state: the health before.
        now: the instant of evaluation.
        health: the health that the evaluation observed.
        reason: why it cannot be evaluated.
        notify: whether a notice is sent if the trouble lasts.
        silenced: whether new notices are muted; a notice that it is back is never muted.
    """
    if health is Health.OK:
        return close_health(state, now) if state.health is not Health.OK else (state, None)
    if health is not state.health:
        state = replace(state, health=health, since=now)
    due = now - (state.since or now) >= HEALTH_NOTICE_DELAY
    if not due or not notify or silenced or state.notified:
        return state, None
    state = replace(state, notified=True, notice_count=state.notice_count + 1)
    return state, HealthMessage(MessageKind(health.value), state.notice_count, now, state.since, reason)


def close_health(state: HealthState, now: datetime, reason: str = "") -> HealthStep:
    """The health of what can be evaluated again, or is evaluated no more: ok; a notice that was sent is taken back."""
    fresh = HealthState(notice_count=state.notice_count)
    back = HealthMessage(MessageKind.BACK, state.notice_count, now, state.since, reason)
    return fresh, back if state.notified else None
