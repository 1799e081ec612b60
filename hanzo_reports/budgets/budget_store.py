"""The budgets of a store, with the history of their limits and notifications, in its state database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from hanzo_reports.budgets.budget import Budget
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.state.budget_tables import BUDGET_ALERTS, BUDGETS, PERIODS, RESERVATIONS, REVISIONS, insert_new
from hanzo_reports.state.inventory import require_rows, update_inventory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import sqlalchemy

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Budgets:
    """The budgets of one state database.

    Every method that finds no budget at all raises `StoreError` if the state had some: it was emptied or not restored.

    Args:
        state: the state database of the store.
    """

    def __init__(self, state: sqlalchemy.Engine) -> None:
        self.state = state

    def all(self) -> list[Budget]:
        """Every budget, ordered by project."""
        with self.state.connect() as connection:
            rows = connection.execute(select(BUDGETS).order_by(BUDGETS.c.project)).mappings().all()
            if not rows:
                require_rows(connection, BUDGETS)
        return [_from_row(row) for row in rows]

    def find(self, project: str) -> Budget | None:
        """The budget of a project, or None."""
        with self.state.connect() as connection:
            row = connection.execute(select(BUDGETS).where(BUDGETS.c.project == project)).mappings().one_or_none()
            if row is None:
                require_rows(connection, BUDGETS)
        return None if row is None else _from_row(row)

    def find_with_periods(self, project: str) -> tuple[Budget | None, dict[date, dict[str, Any]]]:
        """The budget of a project, or None, and its two newest rows of `budget_period` by month, in one query."""
        joined = BUDGETS.outerjoin(PERIODS, PERIODS.c.budget_id == BUDGETS.c.budget_id)
        query = select(BUDGETS, *(column.label(f"period_{column.name}") for column in PERIODS.c)).select_from(joined)
        query = query.where(BUDGETS.c.project == project).order_by(PERIODS.c.period_start.desc()).limit(2)
        with self.state.connect() as connection:
            rows = connection.execute(query).mappings().all()
            if not rows:
                require_rows(connection, BUDGETS)
                return None, {}
        periods = [{column.name: row[f"period_{column.name}"] for column in PERIODS.c} for row in rows]
        budget = _from_row({column.name: rows[0][column.name] for column in BUDGETS.c})
        return budget, {period["period_start"]: period for period in periods if period["period_start"]}

    def get(self, project: str) -> Budget:
        """The budget of a project.

        Raises:
            UnknownNameError: it has none.
        """
        budget = self.find(project)
        if budget is None:
            raise UnknownNameError("budget", project, [other.project for other in self.all()])
        return budget

    def set(self, budget: Budget, now: datetime) -> Budget:
        """Store a budget in place of the project's earlier one.

        A new limit is a new revision. A new time zone changes the bounds of its months, so their spend is read again.

        Args:
            budget: the budget; its id and revision are those of the stored one, or new.
            now: the instant of the change.

        Returns:
            The budget as it is stored.
        """
        same_project = BUDGETS.c.project == budget.project
        name = f"{budget.project}|{now.isoformat()}"
        current = replace(budget, budget_id=f"bud_{sha256(name.encode()).hexdigest()[:16]}", revision=1)
        with self.state.begin() as connection:
            require_rows(connection, BUDGETS)
            is_new_limit = insert_new(connection, BUDGETS, _to_row(current) | {"created_at": now, "changed_at": now})
            if not is_new_limit:
                lock = update(BUDGETS).where(same_project).values(project=budget.project)  # other writers wait for it
                connection.execute(lock)
                previous = _from_row(connection.execute(select(BUDGETS).where(same_project)).mappings().one())
                is_new_limit = budget.monthly_limit != previous.monthly_limit
                current = replace(budget, budget_id=previous.budget_id, revision=previous.revision + is_new_limit)
                if current != previous:
                    connection.execute(
                        update(BUDGETS).where(same_project).values(_to_row(current) | {"changed_at": now})
                    )
                if current.timezone != previous.timezone:
                    _expire_periods(connection, current)
            if is_new_limit:
                values = {name: getattr(current, name) for name in ("budget_id", "revision", "monthly_limit")}
                connection.execute(insert(REVISIONS).values(values | {"since": now}))
            update_inventory(connection, BUDGETS)
        return self.get(budget.project)

    def remove(self, project: str) -> Budget:
        """Delete the budget of a project and return it; its notifications stay on record.

        Raises:
            UnknownNameError: it has none.
        """
        budget = self.get(project)
        with self.state.begin() as connection:
            for table in (RESERVATIONS, PERIODS, REVISIONS, BUDGETS):
                connection.execute(delete(table).where(table.c.budget_id == budget.budget_id))
            update_inventory(connection, BUDGETS)
        return budget

    def list_revisions(self, budget: Budget) -> list[dict[str, Any]]:
        """Every limit of a budget: one row per `revision` with `monthly_limit` and `since`, the oldest first."""
        columns = (REVISIONS.c.revision, REVISIONS.c.monthly_limit, REVISIONS.c.since)
        query = select(*columns).where(REVISIONS.c.budget_id == budget.budget_id).order_by(REVISIONS.c.revision)
        return self._read(query)

    def list_crossings(self, budget: Budget) -> list[dict[str, Any]]:
        """Every crossing of a budget: one row of `budget_alert` per month, limit and threshold, the oldest first."""
        query = select(BUDGET_ALERTS).where(BUDGET_ALERTS.c.budget_id == budget.budget_id)
        return self._read(query.order_by(BUDGET_ALERTS.c.at, BUDGET_ALERTS.c.threshold))

    def _read(self, query: sqlalchemy.Select[Any]) -> list[dict[str, Any]]:
        with self.state.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _expire_periods(connection: sqlalchemy.Connection, budget: Budget) -> None:
    """Make the spend of a budget's months unknown, so that the next decision reads it."""
    values = {"store_version": "", "as_of": _NEVER, "turn": PERIODS.c.turn + 1}
    connection.execute(update(PERIODS).where(PERIODS.c.budget_id == budget.budget_id).values(values))


def _to_row(budget: Budget) -> dict[str, Any]:
    names = ("budget_id", "project", "monthly_limit", "on_exceed", "timezone", "forecast_alert", "revision")
    thresholds = json.dumps([f"{share:f}" for share in budget.thresholds])
    return {name: getattr(budget, name) for name in names} | {"thresholds": thresholds}


def _from_row(row: Mapping[Any, Any]) -> Budget:
    values = dict(row)
    return Budget(**values | {"thresholds": tuple(Decimal(share) for share in json.loads(values["thresholds"]))})
