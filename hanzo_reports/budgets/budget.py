"""Budgets: how much a project may cost in a calendar month, and what happens when it does."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.forecast.series import month
from hanzo_reports.parse_values import parse_amount, parse_money
from hanzo_reports.state.budget_tables import (
    BUDGET_ALERTS,
    BUDGETS,
    PERIODS,
    RESERVATIONS,
    REVISIONS,
    insert_new,
    round_up_usd,
)
from hanzo_reports.state.inventory import require_rows, update_inventory
from hanzo_reports.units import Unit
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    import sqlalchemy

ACTIONS = ("notify", "soft_limit", "hard_limit")
THRESHOLDS = (Decimal("0.5"), Decimal("0.75"), Decimal("0.9"))
FULL = Decimal(1)  # always a threshold
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Budget:
    """What a project may cost in a calendar month.

    Args:
        project: the project; it need not have any events yet.
        monthly_limit: USD, above 0.
        thresholds: shares of the limit, above 0 and at most 1, that are told when spend reaches them; 1 is always one.
        on_exceed: ``notify`` only tells, ``soft_limit`` allows and flags, ``hard_limit`` denies.
        timezone: the IANA zone in which its months are cut.
        forecast_alert: whether a forecast above the limit is told as well.
        budget_id: names it in the database; empty: not kept yet.
        revision: which limit this is, from 1; each change of the limit arms all thresholds anew.
        created_at: when it was first set.
        changed_at: when it was last changed.

    Raises:
        UsageError: a limit, threshold or action that cannot be.
        UnknownNameError: the zone or the action is not known.
    """

    project: str
    monthly_limit: Decimal
    thresholds: tuple[Decimal, ...] = THRESHOLDS
    on_exceed: str = "notify"
    timezone: str = "UTC"
    forecast_alert: bool = False
    budget_id: str = ""
    revision: int = 1
    created_at: datetime | None = field(default=None, compare=False)
    changed_at: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.project.strip():
            msg = "a budget needs a project"
            raise UsageError(msg)
        limit = parse_money(self.monthly_limit, "the monthly limit")
        if limit <= 0:
            msg = f"the monthly limit must be above 0, not {self.monthly_limit}"
            raise UsageError(msg)
        for threshold in self.thresholds:
            if not 0 < parse_amount(threshold, "a threshold", Unit.SHARE) <= FULL:
                msg = f"a threshold is a share above 0 and at most 1 (0.9 is 90 %), not {threshold}"
                raise UsageError(msg)
        if self.on_exceed not in ACTIONS:
            raise UnknownNameError("action", self.on_exceed, ACTIONS, "--on-exceed")
        zone(self.timezone)
        told = tuple(sorted({share.normalize() for share in self.thresholds} | {FULL}))
        object.__setattr__(self, "thresholds", told)
        object.__setattr__(self, "monthly_limit", round_up_usd(limit))

    def period(self, now: datetime) -> tuple[date, Window]:
        """The first day of the calendar month of an instant, in the budget's zone, and the whole month."""
        local = zone(self.timezone)
        first, after = month(now.astimezone(local).date())
        return first, Window(midnight(first, local), midnight(after, local), self.timezone, now)


class Budgets:
    """The budgets of one state database.

    Args:
        state: the store's state.
    """

    def __init__(self, state: sqlalchemy.Engine) -> None:
        self.state = state

    def all(self) -> list[Budget]:
        """Every budget, by project."""
        with self.state.connect() as connection:
            budgets = [
                _budget(row) for row in connection.execute(select(BUDGETS).order_by(BUDGETS.c.project)).mappings()
            ]
            if not budgets:
                require_rows(connection, BUDGETS)
            return budgets

    def find(self, project: str) -> Budget | None:
        """The project's budget, or None."""
        with self.state.connect() as connection:
            row = connection.execute(select(BUDGETS).where(BUDGETS.c.project == project)).mappings().one_or_none()
            if row is None:
                require_rows(connection, BUDGETS)
        return None if row is None else _budget(row)

    def found(self, project: str) -> tuple[Budget | None, dict[date, dict[str, Any]]]:
        """The project's budget with the newest rows of `budget_period` by their month, in one question."""
        joined = BUDGETS.outerjoin(PERIODS, PERIODS.c.budget_id == BUDGETS.c.budget_id)
        chosen = select(BUDGETS, *(column.label(f"period_{column.name}") for column in PERIODS.c)).select_from(joined)
        chosen = chosen.where(BUDGETS.c.project == project).order_by(PERIODS.c.period_start.desc()).limit(2)
        rows = self._rows(chosen)
        if not rows:
            with self.state.connect() as connection:
                require_rows(connection, BUDGETS)
            return None, {}
        months = [{c.name: row[f"period_{c.name}"] for c in PERIODS.c} for row in rows]
        kept = {name: rows[0][name] for name in BUDGETS.c.keys()}  # noqa: SIM118  # no dictionary: it gives columns
        return _budget(kept), {month["period_start"]: month for month in months if month["period_start"]}

    def get(self, project: str) -> Budget:
        """The project's budget.

        Raises:
            UnknownNameError: it has none.
        """
        found = self.find(project)
        if found is None:
            raise UnknownNameError("budget", project, [budget.project for budget in self.all()])
        return found

    def set(self, budget: Budget, now: datetime) -> Budget:
        """A budget kept, in place of the project's earlier one; another limit is another revision.

        In another zone its months are others: what is known of them is asked anew.
        """
        mine = BUDGETS.c.project == budget.project
        text = f"{budget.project}|{now.isoformat()}"
        kept = replace(budget, budget_id=f"bud_{sha256(text.encode()).hexdigest()[:16]}", revision=1)
        with self.state.begin() as connection:
            require_rows(connection, BUDGETS)
            new = insert_new(connection, BUDGETS, _row(kept) | {"created_at": now, "changed_at": now})
            if not new:
                lock = update(BUDGETS).where(mine).values(project=budget.project)  # others wait from here on
                connection.execute(lock)
                before = _budget(connection.execute(select(BUDGETS).where(mine)).mappings().one())
                raised = before.revision + (budget.monthly_limit != before.monthly_limit)
                kept = replace(budget, budget_id=before.budget_id, revision=raised)
                if kept != before:
                    connection.execute(update(BUDGETS).where(mine).values(_row(kept) | {"changed_at": now}))
                if kept.timezone != before.timezone:
                    asked = PERIODS.c.budget_id == kept.budget_id
                    unknown = {"store_version": "", "as_of": _NEVER, "turn": PERIODS.c.turn + 1}
                    connection.execute(update(PERIODS).where(asked).values(unknown))
                new = raised != before.revision
            if new:
                values = {name: getattr(kept, name) for name in ("budget_id", "revision", "monthly_limit")}
                connection.execute(insert(REVISIONS).values(values | {"since": now}))
            update_inventory(connection, BUDGETS)
        return self.get(budget.project)

    def remove(self, project: str) -> Budget:
        """The project's budget, which is there no longer; what was told about it stays on record.

        Raises:
            UnknownNameError: it has none.
        """
        gone = self.get(project)
        with self.state.begin() as connection:
            for table in (RESERVATIONS, PERIODS, REVISIONS, BUDGETS):
                connection.execute(delete(table).where(table.c.budget_id == gone.budget_id))
            update_inventory(connection, BUDGETS)
        return gone

    def revisions(self, budget: Budget) -> list[dict[str, Any]]:
        """Every limit the budget has had: `revision`, `monthly_limit`, `since`, the oldest first."""
        columns = (REVISIONS.c.revision, REVISIONS.c.monthly_limit, REVISIONS.c.since)
        chosen = select(*columns).where(REVISIONS.c.budget_id == budget.budget_id).order_by(REVISIONS.c.revision)
        return self._rows(chosen)

    def told(self, budget: Budget) -> list[dict[str, Any]]:
        """Every threshold that was crossed, in the order of time: the columns of `budget_alert`."""
        chosen = select(BUDGET_ALERTS).where(BUDGET_ALERTS.c.budget_id == budget.budget_id)
        return self._rows(chosen.order_by(BUDGET_ALERTS.c.at, BUDGET_ALERTS.c.threshold))

    def _rows(self, chosen: sqlalchemy.Select[Any]) -> list[dict[str, Any]]:
        with self.state.connect() as connection:
            return [dict(row) for row in connection.execute(chosen).mappings()]


def shares(texts: Iterable[str]) -> tuple[Decimal, ...]:
    """Thresholds as people write them.

    >>> shares(["0.5", "0.9"])
    (Decimal('0.5'), Decimal('0.9'))
    """
    return tuple(parse_amount(text, "the threshold", Unit.SHARE) for text in texts)


def _row(budget: Budget) -> dict[str, Any]:
    names = ("budget_id", "project", "monthly_limit", "on_exceed", "timezone", "forecast_alert", "revision")
    thresholds = json.dumps([f"{share:f}" for share in budget.thresholds])
    return {name: getattr(budget, name) for name in names} | {"thresholds": thresholds}


def _budget(row: Any) -> Budget:  # noqa: ANN401  # a row of the table
    values = dict(row)
    return Budget(**values | {"thresholds": tuple(Decimal(share) for share in json.loads(values["thresholds"]))})
