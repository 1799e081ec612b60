"""Decides in milliseconds whether a request may be made, correctly under concurrent requests.

Spend is always derived from events. `periods` stores its newest reading, and `reservations` adds the estimates of
allowed requests whose events have not arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hanzo_reports.budgets.periods import refresh_period
from hanzo_reports.budgets.reservations import DEFAULT_HOLD, has_expired, reserve, validate_hold
from hanzo_reports.errors import UsageError, nearest
from hanzo_reports.parse_values import parse_money
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from hanzo_reports.budgets.budget import Budget
    from hanzo_reports.budgets.budget_store import Budgets
    from hanzo_reports.store.base import Store

MAX_SPEND_AGE = timedelta(seconds=30)


@dataclass(frozen=True)
class Decision:
    """Whether a request may be made.

    Args:
        project: the project that makes the request.
        allowed: False only if a hard limit would be exceeded.
        flagged: whether the limit is or would be exceeded; without a budget: whether no event names the project.
        reason: one line.
        estimate: USD that the request may cost.
        event_id: the id that the request's event must carry to settle the reservation; None: nothing is reserved.
        expires_at: when the reservation expires; None: nothing is reserved.
        limit: USD per month; None: no budget.
        spent: USD this month, from the events known at `as_of`; None: no budget.
        reserved: USD reserved this month, including this request; None: no budget.
        as_of: when the events were last read; `spent` does not include later ones. None: no budget.
    """

    project: str
    allowed: bool
    flagged: bool
    reason: str
    estimate: Decimal
    event_id: str | None = None
    expires_at: datetime | None = None
    limit: Decimal | None = None
    spent: Decimal | None = None
    reserved: Decimal | None = None
    as_of: datetime | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The decision as plain columns: instants as ISO texts, money as Decimal."""
        return {
            "project": self.project, "decision": "allow" if self.allowed else "deny", "flagged": self.flagged,
            "reason": self.reason, "estimate": self.estimate, "limit": self.limit, "spent": self.spent,
            "reserved": self.reserved, "event_id": self.event_id,
            "expires_at": None if self.expires_at is None else iso(self.expires_at),
            "as_of": None if self.as_of is None else iso(self.as_of),
        }  # fmt: skip


def decide(  # noqa: PLR0913
    budgets: Budgets,
    store: Store,
    project: str,
    estimate: Decimal | float | str,
    *,
    event_id: str,
    now: datetime,
    fresh: timedelta = MAX_SPEND_AGE,
    hold: timedelta = DEFAULT_HOLD,
) -> Decision:
    """Decide whether a project may make a request, and reserve its estimated cost if the budget has a hard limit.

    Args:
        budgets: the budgets of the store.
        store: the store with the events.
        project: the project that makes the request.
        estimate: USD, 0 or more; a part smaller than a billionth is rounded up.
        event_id: the id that the request's event will carry. A repeated request with the same id reserves only what
            exceeds its earlier estimate.
        now: the instant of the request.
        fresh: the events are read again if the known spend is older than this.
        hold: how long the estimate is reserved; at most 31 days.

    Returns:
        The decision. Without a budget every request is allowed, and flagged if no event names the project; ``notify``
        and ``soft_limit`` allow and flag.

    Raises:
        UsageError: the estimate is negative, too large or not a number, the id is empty or another project's, or
            `hold` is not above 0 or too long.
        StoreError: the state has no budgets at all, although it had some.
    """
    cost = _parse_estimate(estimate)
    if not event_id:
        msg = "the event id is empty; give the id that the request's event will carry"
        raise UsageError(msg)
    hold = validate_hold(hold.total_seconds())
    budget, periods = budgets.find_with_periods(project)
    if budget is None:
        return _allow_without_budget(budgets, store, project, cost)
    first, _ = budget.period(now)
    period = periods.get(first)
    if period is None or not timedelta() <= now - period["as_of"] < fresh:  # a reading of the future is not trusted
        period = refresh_period(budgets.state, store, budget, now)
    if budget.on_exceed != "hard_limit":
        over = period["spent"] + cost > budget.monthly_limit
        reason = "over the limit, which is not a hard limit" if over else "within the limit"
        return _build_decision(budget, cost, period, allowed=True, flagged=over, reason=reason)
    reservation = {
        "event_id": event_id, "budget_id": budget.budget_id, "period_start": first, "amount": cost,
        "created_at": now, "expires_at": now + hold,
    }  # fmt: skip
    amounts = reserve(budgets.state, reservation)
    if not amounts and (period["store_version"] != store.version or has_expired(budgets.state, budget, first, now)):
        period = refresh_period(budgets.state, store, budget, now)
        amounts = reserve(budgets.state, reservation)
    if not amounts:
        reason = "the request would exceed the hard limit"
        return _build_decision(budget, cost, period, allowed=False, flagged=True, reason=reason)
    settlement = {"event_id": event_id, "expires_at": amounts["expires_at"]}
    return _build_decision(
        budget, cost, period | amounts, allowed=True, flagged=False, reason="within the limit", **settlement
    )


def _allow_without_budget(budgets: Budgets, store: Store, project: str, cost: Decimal) -> Decision:
    """Allow the request; if no event names the project, flag it and name the nearest project."""
    known = _read_projects(store, store.version)  # type: ignore[arg-type]  # the protocol does not declare __hash__
    reason = "the project has no budget"
    if project not in known:
        hint = nearest(project, sorted(known | {budget.project for budget in budgets.all()}))
        reason = f"neither a budget nor an event names the project{f'; did you mean {hint!r}?' if hint else ''}"
    return Decision(project, allowed=True, flagged=project not in known, reason=reason, estimate=cost)


@lru_cache(maxsize=4)
def _read_projects(store: Store, version: str) -> frozenset[str]:
    """The projects that events name, read once per version of a store."""
    del version
    names = store.events().select("project").distinct().to_pyarrow()["project"].to_pylist()
    return frozenset(name for name in names if name)


def _build_decision(budget: Budget, cost: Decimal, period: dict[str, Any], **outcome: Any) -> Decision:  # noqa: ANN401
    amounts = {name: period[name] for name in ("spent", "reserved", "as_of")}
    return Decision(budget.project, estimate=cost, limit=budget.monthly_limit, **amounts, **outcome)


def _parse_estimate(estimate: Decimal | float | str) -> Decimal:
    cost = parse_money(estimate, "the estimate")
    if cost < 0:
        msg = f"the estimate must be 0 or more, not {estimate}"
        raise UsageError(msg)
    return cost
