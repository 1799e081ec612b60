"""What is remembered of an alert and of its health, what an evaluation observes, and the messages that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hanzo_reports.formats import Number


class Phase(StrEnum):
    """The phase of an alert."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


FIRING_PHASES = (Phase.FIRING, Phase.RECOVERING)


class Health(StrEnum):
    """Whether something can be evaluated."""

    OK = "ok"
    NO_DATA = "no_data"
    ERROR = "error"


class MessageKind(StrEnum):
    """What a message reports."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    NO_DATA = "no_data"
    ERROR = "error"
    BACK = "back"


@dataclass(frozen=True)
class HealthState:
    """Whether something can be evaluated: an alert, a rule as a whole, all rules, budgets or anomalies.

    Args:
        health: ok, no_data or error.
        since: when it left `ok`, or last changed between `no_data` and `error`; None while it is `ok`.
        notified: whether a notice of the current trouble was sent.
        notice_count: how many notices of trouble were sent so far.
    """

    health: Health = Health.OK
    since: datetime | None = None
    notified: bool = False
    notice_count: int = 0


@dataclass(frozen=True)
class HealthMessage:
    """A notice that something cannot be evaluated, or that it can be again.

    Args:
        kind: no_data, error or back.
        number: the notice's number, from 1; `back` has the number of the notice that it ends.
        at: the instant of the evaluation.
        since: when the trouble began.
        reason: why it cannot be evaluated, or why that no longer matters.
    """

    kind: MessageKind
    number: int
    at: datetime
    since: datetime | None
    reason: str = ""


@dataclass(frozen=True)
class Observation:
    """What one evaluation observed of one group.

    Args:
        value: the metric over the window; None: no data.
        samples: requests in the window.
        short_value: the metric over the short window, for rules that have one; None: no data.
        error: why the query failed; empty: it succeeded.
    """

    value: Number | None = None
    samples: int = 0
    short_value: Number | None = None
    error: str = ""


@dataclass(frozen=True)
class AlertState:
    """What is remembered of one group of one rule.

    Args:
        phase: the phase.
        health: whether the group can be evaluated.
        episode: how many times it has fired.
        phase_since: when the phase began; for `pending` it restarts after a gap, missing data or a failed query.
        breach_since: when the current or last breach was first observed.
        notified_at: when the episode was last reported; None: not yet.
        reminder_count: how many reminders of the episode were sent.
        last_value: the last value that was observed while the alert was not inactive.
        worst_value: the worst value of the episode.
        fingerprint: the fingerprint of the rule that evaluated it last; empty: never evaluated.
        last_data_at: when the group last had events, to the hour; None for rules that do not report missing groups.
        last_evaluated: the instant of the last evaluation.
    """

    phase: Phase = Phase.INACTIVE
    health: HealthState = field(default_factory=HealthState)
    episode: int = 0
    phase_since: datetime | None = None
    breach_since: datetime | None = None
    notified_at: datetime | None = None
    reminder_count: int = 0
    last_value: Number | None = None
    worst_value: Number | None = None
    fingerprint: str = ""
    last_data_at: datetime | None = None
    last_evaluated: datetime | None = None


@dataclass(frozen=True)
class Message:
    """One message about one group of one rule.

    Args:
        kind: what it reports.
        episode: the episode that it belongs to.
        number: its number within the episode, from 1, for reminders and notices of health; otherwise 0.
        at: the instant of the evaluation.
        state: the state that it reports; for `resolved`, the one just before.
        reason: why the alert resolved, or what failed.
    """

    kind: MessageKind
    episode: int
    number: int
    at: datetime
    state: AlertState
    reason: str = ""
