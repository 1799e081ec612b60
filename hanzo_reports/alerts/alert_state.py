"""How an alert stands: what is seen of it, what is remembered, and what there is to tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hanzo_reports.formats import Number


class Phase(StrEnum):
    """Where an alert stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


FIRING_PHASES = (Phase.FIRING, Phase.RECOVERING)  # what people were told, or are to be told


class Health(StrEnum):
    """Whether it can be told at all."""

    OK = "ok"
    NO_DATA = "no_data"
    ERROR = "error"


class Kind(StrEnum):
    """What a message says."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    NO_DATA = "no_data"
    ERROR = "error"
    BACK = "back"


@dataclass(frozen=True)
class Observation:
    """What one evaluation saw of one group.

    Args:
        value: the metric over the window; None: no data.
        samples: requests in the window.
        short: the metric over the short window, for rules that have one.
        error: why the query failed; empty: it did not.
    """

    value: Number | None = None
    samples: int = 0
    short: Number | None = None
    error: str = ""


@dataclass(frozen=True)
class State:
    """What is remembered of one rule and one group.

    Args:
        phase: where it stands.
        health: whether it can be told at all.
        episode: how many times it has fired.
        since: when the phase began; restarted for `pending` by gaps, no data and errors.
        began: when what is firing, or fired last, was first seen to be bad.
        notified_at: when the episode was last told of; None: not yet.
        reminders: how often it was told of again.
        health_since: when the health left `ok`, or changed between its bad kinds.
        health_told: whether bad health was told of.
        notices: how many notices of bad health there have been.
        value: the last value that was seen while it was not inactive.
        worst: the worst one of the episode.
        fingerprint: of the rule that it was evaluated by; empty: never.
        seen_at: when the group last had events, to the hour, where a rule would miss it; None: it would not.
        last_evaluated: the last `now`.
    """

    phase: Phase = Phase.INACTIVE
    health: Health = Health.OK
    episode: int = 0
    since: datetime | None = None
    began: datetime | None = None
    notified_at: datetime | None = None
    reminders: int = 0
    health_since: datetime | None = None
    health_told: bool = False
    notices: int = 0
    value: Number | None = None
    worst: Number | None = None
    fingerprint: str = ""
    seen_at: datetime | None = None
    last_evaluated: datetime | None = None


@dataclass(frozen=True)
class Message:
    """One thing to be told.

    Args:
        kind: what it says.
        episode: of which episode.
        number: which of its kind within the episode: reminders and notices of health are counted from 1.
        at: the instant of the evaluation.
        state: the state that it is told from: for `resolved`, the one just before.
        reason: why it resolved, or what failed.
    """

    kind: Kind
    episode: int
    number: int
    at: datetime
    state: State
    reason: str = ""
