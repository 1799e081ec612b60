"""What can be asked of a store, looked at from one zone at one instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hanzo_reports.metrics import compare, cost, health, usage
from hanzo_reports.metrics.dialect import earliest, latest
from hanzo_reports.result import Result
from hanzo_reports.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    import ibis

    from hanzo_reports.budgets.budget import Budgets
    from hanzo_reports.budgets.decision import Decision
    from hanzo_reports.forecast import Forecast
    from hanzo_reports.forecast.anomalies import Anomaly
    from hanzo_reports.forecast.series import Key
    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.store.base import Store

SUMMARY = ("requests", "tokens", "cost")
UNPRICED = "unpriced_requests"


@dataclass(frozen=True)
class Questions:
    """One store, looked at from one zone at one instant, for those who ask and change nothing.

    Args:
        store: where the events live.
        timezone: the IANA zone in which days, weeks and months are cut.
        now: the instant that ranges end at.
        address: the store's, as it was given; unlike the store's own, it may hold a password.
    """

    store: Store
    timezone: str
    now: datetime
    address: str = field(default="", repr=False)

    @property
    def events(self) -> ibis.Table:
        """All events, as an Ibis table of the columns of `hanzo_reports.events`."""
        return self.store.events()

    def window(self, range: str | Window = "mtd") -> Window:
        """The window a range names; ``all`` is from the first event to the last.

        Raises:
            WindowError: the range cannot be read.
        """
        if isinstance(range, Window):
            return range
        if range.strip().lower() != "all":
            return Window.parse(range, now=self.now, timezone=self.timezone)
        first, last = span(self.events)
        if first is None or last is None:
            return Window(self.now, self.now, self.timezone, self.now, "all")
        return Window(first, last + timedelta(microseconds=1), self.timezone, self.now, "all")

    def usage(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = usage.METRICS,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Requests, tokens, cost or other metrics: `hanzo_reports.usage` over this store's events.

        Args:
            range: a range or a Window.
            metrics: names of the catalogue.
            asked: `by`, `every`, `where`, `top`.
        """
        return self._answer(usage.usage, range, metrics, **asked)

    def costs(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = cost.METRICS,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Cost, its shares and unit costs, by kind of token where `metrics` asks for it; arguments as `usage`."""
        return self._answer(cost.costs, range, metrics, **asked)

    def health(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = health.METRICS,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Errors, availability, latency, saturation; arguments as `usage`."""
        return self._answer(health.health, range, metrics, **asked)

    def comparison(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = SUMMARY,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Metrics beside those of the window before; `by`, `where` and `top` as `usage`."""
        return self._answer(compare.comparison, range, metrics, before=True, **asked)

    def movers(
        self,
        range: str | Window,
        metric: str,
        by: Iterable[str],
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """The groups that moved a metric most since the window before; `where` and `top` as `usage`."""
        return self._answer(compare.movers, range, metric, before=True, by=by, **asked)

    @property
    def budgets(self) -> Budgets:
        """The budgets that are kept in this store's state."""
        from hanzo_reports.budgets.budget import Budgets

        return Budgets(self.store.state)

    def forecasts(
        self,
        by: Sequence[str] = (),
        *,
        where: Where | None = None,
        limits: Mapping[Key, Decimal] | None = None,
        charges: Mapping[date, Decimal] | None = None,
    ) -> list[Forecast]:
        """How each group's calendar month ends; kept, so that a scorecard can judge them.

        Args:
            by: the dimensions of a group; empty: everything together.
            where: as `usage`; what is filtered is not kept.
            limits: USD a month by group; None: those of the budgets, where the groups are projects.
            charges: fixed charges and credits by day that are no events, of every group; with them nothing is kept.
        """
        from hanzo_reports.forecast import daily_spend, forecasts
        from hanzo_reports.forecast.scorecard import issued

        panel = daily_spend(self._recent(), self.now, by=by, where=where, timezone=self.timezone)
        budgets = self.budgets.all() if limits is None and tuple(by) == ("project",) else ()
        known = {(budget.project,): budget.monthly_limit for budget in budgets} | dict(limits or {})
        made = forecasts(panel, [known.get(key) for key in panel.keys], [charges or {}] * len(panel))
        if not where and not charges:
            issued(self.budgets.state, made, by, self.timezone, self.now)
        return made

    def anomalies(
        self,
        by: Sequence[str] = (),
        days: int = 30,
        *,
        where: Where | None = None,
        **limits: Any,  # noqa: ANN401
    ) -> list[Anomaly]:
        """The days of late on which a group's spend was out of line, and why; see `forecast.anomalies`."""
        from hanzo_reports.forecast import daily_spend
        from hanzo_reports.forecast.anomalies import anomalies, explained

        events = self._recent()
        panel = daily_spend(events, self.now, by=by, where=where, timezone=self.timezone)
        return explained(anomalies(panel, days, **limits), events, by, self.timezone, where)

    def decision(self, project: str, estimate: Decimal | float | str, *, event_id: str = "", **asked: Any) -> Decision:  # noqa: ANN401
        """Whether a project may make a request of about this cost; see `alerts.decision.decision`.

        Args:
            project: who asks.
            estimate: USD.
            event_id: the id that the request's event will carry; empty: a new one, which the answer names.
            asked: `fresh` and `hold`.
        """
        from uuid import uuid4

        from hanzo_reports.budgets.decision import decision

        event = event_id or str(uuid4())
        return decision(self.budgets, self.store, project, estimate, event_id=event, now=self.now, **asked)

    def daily(self, by: Sequence[str] = ()) -> dict[str, dict[date, float | None]]:
        """The daily spend of each group, all of it, complete days only, for a backtest."""
        from hanzo_reports.forecast import daily_spend

        first = self.window("all").start
        days = max((self.now - first).days, 1)
        return daily_spend(self.events, self.now, by=by, timezone=self.timezone, days=days).series()

    def _recent(self) -> ibis.Table:
        """The events that forecasts look back at."""
        return self.store.events(self.now - timedelta(days=402), self.now)

    def _answer(
        self,
        question: Callable[..., ibis.Table],
        range: str | Window,
        metrics: str | Iterable[str],
        *,
        before: bool = False,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        window = self.window(range)
        first = window.previous().start if before else window.start
        events = self.store.events(first, window.end)
        names = [metrics] if isinstance(metrics, str) else list(metrics)
        if cost.SPLIT.intersection(names):
            from hanzo_reports.pricing.cost_split import parts

            events = parts(events)
        where: Where | None = asked.get("where")

        def summary() -> dict[str, Any]:
            row = usage.usage(events, window, (*SUMMARY, UNPRICED), where=where).to_pyarrow().to_pylist()[0]
            return {**{f"total_{name}": row[name] for name in SUMMARY}, UNPRICED: row[UNPRICED]}

        measure = metrics if isinstance(metrics, str) and before else ""
        return Result(question(events, window, metrics, **asked), window, summary, measure)


def span(events: ibis.Table) -> tuple[datetime | None, datetime | None]:
    """The first and the last event's instants; None where there are no events."""
    at = events.timestamp
    first, last = events.aggregate(first=earliest(at), last=latest(at)).to_pyarrow().to_pylist()[0].values()
    return first, last
