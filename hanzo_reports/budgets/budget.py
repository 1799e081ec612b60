"""A budget: how much a project may cost in a calendar month, and what happens when it costs more."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.forecast.series import month_bounds
from hanzo_reports.parse_values import parse_amount, parse_money
from hanzo_reports.state.budget_tables import round_up_usd
from hanzo_reports.units import Unit
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

ACTIONS = ("notify", "soft_limit", "hard_limit")
DEFAULT_THRESHOLDS = (Decimal("0.5"), Decimal("0.75"), Decimal("0.9"))
WHOLE_LIMIT = Decimal(1)  # always a threshold


@dataclass(frozen=True)
class Budget:
    """What a project may cost in a calendar month.

    Args:
        project: the project; it need not have any events yet.
        monthly_limit: USD, above 0; a part smaller than a billionth is rounded up.
        thresholds: shares of the limit, above 0 and at most 1, that are notified when spend reaches them; 1 is always
            added.
        on_exceed: ``notify`` only notifies, ``soft_limit`` allows and flags requests, ``hard_limit`` denies them.
        timezone: the IANA zone of its months.
        forecast_alert: whether to notify a forecast above the limit as well.
        budget_id: its id in the database; empty: not stored yet.
        revision: the number of this limit, from 1; each change of the limit resets the thresholds.
        created_at: when it was first set; None: not stored yet.
        changed_at: when it was last changed; None: not stored yet.

    Raises:
        UsageError: an invalid project, limit or threshold.
        UnknownNameError: an unknown action or time zone.
    """

    project: str
    monthly_limit: Decimal
    thresholds: tuple[Decimal, ...] = DEFAULT_THRESHOLDS
    on_exceed: str = "notify"
    timezone: str = "UTC"
    forecast_alert: bool = False
    budget_id: str = ""
    revision: int = 1
    created_at: datetime | None = field(default=None, compare=False)
    changed_at: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.project.strip():
            msg = "the project of a budget is empty; give its name as events have it"
            raise UsageError(msg)
        limit = parse_money(self.monthly_limit, "the monthly limit")
        if limit <= 0:
            msg = f"the monthly limit must be above 0, not {self.monthly_limit}"
            raise UsageError(msg)
        for threshold in self.thresholds:
            if not 0 < parse_amount(threshold, "a threshold", Unit.SHARE) <= WHOLE_LIMIT:
                msg = f"a threshold must be a share above 0 and at most 1 (0.9 is 90%), not {threshold}"
                raise UsageError(msg)
        if self.on_exceed not in ACTIONS:
            raise UnknownNameError("action", self.on_exceed, ACTIONS, "--on-exceed")
        zone(self.timezone)
        thresholds = tuple(sorted({share.normalize() for share in self.thresholds} | {WHOLE_LIMIT}))
        object.__setattr__(self, "thresholds", thresholds)
        object.__setattr__(self, "monthly_limit", round_up_usd(limit))

    def period(self, now: datetime) -> tuple[date, Window]:
        """The calendar month of an instant in the budget's time zone: its first local day, and its window."""
        local = zone(self.timezone)
        first, next_first = month_bounds(now.astimezone(local).date())
        return first, Window(midnight(first, local), midnight(next_first, local), self.timezone, now)


def parse_thresholds(texts: Iterable[str]) -> tuple[Decimal, ...]:
    """Parse the shares of a limit.

    >>> parse_thresholds(["0.5", "90%"])
    (Decimal('0.5'), Decimal('0.90'))

    Raises:
        UsageError: a text is not a share from 0 to 1.
    """
    return tuple(parse_amount(text, "the threshold", Unit.SHARE) for text in texts)
