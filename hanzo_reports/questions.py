"""Questions to a store, with the time zone and the instant that they are asked in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from hanzo_reports.errors import WindowError
from hanzo_reports.metrics import compare, cost, health, usage
from hanzo_reports.metrics.arguments import check_metric, parse_names
from hanzo_reports.metrics.dialect import earliest, latest
from hanzo_reports.result import Result
from hanzo_reports.window import Window, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    import ibis

    from hanzo_reports.budgets.budget_store import Budgets
    from hanzo_reports.budgets.decision import Decision
    from hanzo_reports.forecast import Forecast
    from hanzo_reports.forecast.anomalies import Anomaly
    from hanzo_reports.forecast.series import Key
    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.store.base import Store
    from hanzo_reports.units import Grain

SUMMARY = ("requests", "tokens", "cost")
UNPRICED = "unpriced_requests"
FORECAST_HISTORY = timedelta(days=402)


@dataclass(frozen=True, repr=False)
class Questions:
    """One store, with the time zone and the instant that questions refer to; asking changes no event.

    Args:
        store: where the events are.
        timezone: the IANA time zone that days, weeks and months follow.
        now: the instant that ranges end at, UTC.
        address: the store's address as it was given; unlike `store.url` it may hold a password.
    """

    store: Store
    timezone: str
    now: datetime
    address: str = field(default="", repr=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self.store.url}, time zone {self.timezone}, now {iso(self.now)}>"

    @property
    def events(self) -> ibis.Table:
        """All events, as an Ibis table of the columns of `hanzo_reports.events`."""
        return self.store.events()

    def window(self, range: str | Window = "mtd") -> Window:
        """The window that a range names; ``all`` is from the first event to the last.

        Args:
            range: as `Window.parse` takes it, ``all``, or a Window, which is returned as it is.

        Raises:
            WindowError: the range cannot be read.
        """
        if isinstance(range, Window):
            return range
        if not isinstance(range, str):
            msg = f"a range is text or a Window, not {range!r}; write {_suggest_range(range)}"
            raise WindowError(msg)
        if range.strip().lower() != "all":
            return Window.parse(range, now=self.now, timezone=self.timezone)
        first, last = first_and_last(self.events)
        if first is None or last is None:
            return Window(self.now, self.now, self.timezone, self.now, "all")
        return Window(first, last + timedelta(microseconds=1), self.timezone, self.now, "all")

    def usage(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = usage.METRICS,
        *,
        by: Sequence[str] = (),
        every: Grain | str | None = None,
        where: Where | None = None,
        top: int | None = None,
    ) -> Result:
        """Requests, tokens, cost, or any other metrics of the catalogue, by group and time.

        Args:
            range: ``24h``, ``7d``, ``mtd``, ``last_month``, ``2025-06-01..2025-06-07``, ``all``, ..., or a Window.
            metrics: names of the catalogue; `tokens` brings `input_tokens` and `output_tokens` along.
            by: dimensions to group by.
            every: the length of time buckets: ``minute``, ``5m``, ``15m``, ``hour``, ``day``, ``week`` or ``month``.
            where: for each dimension the value, or the values, to keep; None (or an empty string) is "unknown".
            top: keep this many groups, the largest by the first metric; the others become one row, ``other``.

        Returns:
            One row per group and bucket; see `hanzo_reports.metrics.query.aggregate`.

        Raises:
            UsageError: an argument cannot be read; unknown names are answered with the nearest one.
        """
        question = partial(usage.usage, by=by, every=every, where=where, top=top)
        return self._ask(question, range, metrics, where)

    def costs(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = cost.METRICS,
        *,
        by: Sequence[str] = (),
        every: Grain | str | None = None,
        where: Where | None = None,
        top: int | None = None,
    ) -> Result:
        """Cost in USD, its shares and unit costs, and its parts by kind of token; arguments as `usage`."""
        question = partial(cost.costs, by=by, every=every, where=where, top=top)
        return self._ask(question, range, metrics, where)

    def health(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = health.METRICS,
        *,
        by: Sequence[str] = (),
        every: Grain | str | None = None,
        where: Where | None = None,
        top: int | None = None,
    ) -> Result:
        """Errors, availability, latency and saturation; arguments as `usage`."""
        question = partial(health.health, by=by, every=every, where=where, top=top)
        return self._ask(question, range, metrics, where)

    def comparison(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = SUMMARY,
        *,
        by: Sequence[str] = (),
        where: Where | None = None,
        top: int | None = None,
    ) -> Result:
        """Metrics beside those of the previous period; arguments as `usage`.

        Returns:
            One row per group, with ``m``, ``m_previous`` and ``m_change`` for each metric ``m``.
        """
        question = partial(compare.comparison, by=by, where=where, top=top)
        return self._ask(question, range, metrics, where, compared=True)

    def movers(
        self,
        range: str | Window,
        metric: str,
        by: Sequence[str],
        *,
        where: Where | None = None,
        top: int = 5,
    ) -> Result:
        """The groups that account for most of a metric's change since the previous period.

        Args:
            range: as `usage`.
            metric: an additive metric or a ratio.
            by: the dimensions that make a group.
            where: as `usage`.
            top: how many groups; the others are the last row, ``other``.

        Returns:
            One row per group: `current`, `previous` and `contribution` in the metric's unit, the largest change first.
        """
        check_metric(metric)
        window = self.window(range)
        events = self._events_of(window, [metric], compared=True)
        table = compare.movers(events, window, metric, by, where=where, top=top)
        return Result(table, window, partial(_summarise, events, window, where), metric)

    @property
    def budgets(self) -> Budgets:
        """The budgets in this store's state."""
        from hanzo_reports.budgets.budget_store import Budgets

        return Budgets(self.store.state)

    def forecasts(
        self,
        by: Sequence[str] = (),
        *,
        where: Where | None = None,
        limits: Mapping[Key, Decimal] | None = None,
        charges: Mapping[date, Decimal] | None = None,
    ) -> list[Forecast]:
        """Forecasts of the spend at the end of each group's calendar month, recorded for the scorecard.

        Args:
            by: the dimensions of a group; empty: one forecast of the total.
            where: as `usage`; filtered forecasts are not recorded.
            limits: USD a month by group; None: those of the budgets, if the groups are projects.
            charges: fixed charges and credits in USD by day, of every group, beside the events; forecasts with charges
                are not recorded.

        Returns:
            One forecast per group.
        """
        from hanzo_reports.forecast import daily_spend, forecast_panel
        from hanzo_reports.forecast.scorecard import record_forecasts

        panel = daily_spend(self._recent_events(), self.now, by=by, where=where, timezone=self.timezone)
        budgets = self.budgets.all() if limits is None and tuple(by) == ("project",) else ()
        limit_of = {(budget.project,): budget.monthly_limit for budget in budgets} | dict(limits or {})
        results = forecast_panel(panel, [limit_of.get(key) for key in panel.keys], [charges or {}] * len(panel))
        if not where and not charges:
            record_forecasts(self.budgets.state, results, by, self.timezone, self.now)
        return results

    def anomalies(
        self,
        by: Sequence[str] = (),
        days: int = 30,
        *,
        where: Where | None = None,
        score: float | None = None,
        stake: Decimal | None = None,
    ) -> list[Anomaly]:
        """The recent days on which a group's spend was unusual, and the group that accounts for it.

        Args:
            by: the dimensions of a group; empty: the total.
            days: how many complete days to examine.
            where: as `usage`.
            score: the deviation, in multiples of the usual spread, from which on a day is unusual; None: 3.5.
            stake: the smallest deviation in USD that is reported; None: 1.

        Returns:
            One anomaly per group and day, the newest first.
        """
        from hanzo_reports.forecast import daily_spend
        from hanzo_reports.forecast.anomalies import MIN_SCORE, MIN_STAKE, explain_anomalies, find_anomalies

        events = self._recent_events()
        panel = daily_spend(events, self.now, by=by, where=where, timezone=self.timezone)
        least_score, least_stake = MIN_SCORE if score is None else score, MIN_STAKE if stake is None else stake
        unusual = find_anomalies(panel, days, score=least_score, stake=least_stake)
        return explain_anomalies(unusual, events, by, self.timezone, where)

    def decision(
        self,
        project: str,
        estimate: Decimal | float | str,
        *,
        event_id: str = "",
        fresh: timedelta | None = None,
        hold: timedelta | None = None,
    ) -> Decision:
        """Whether a project may make a request that costs about this much; see `hanzo_reports.budgets.decision`.

        Args:
            project: the project that makes the request.
            estimate: USD.
            event_id: the id that the request's event will carry; empty: a new one, which the decision names.
            fresh: how old the known spend may be; None: 30 seconds.
            hold: how long the estimate is reserved; None: 10 minutes.
        """
        from uuid import uuid4

        from hanzo_reports.budgets.decision import MAX_SPEND_AGE, decide
        from hanzo_reports.budgets.reservations import DEFAULT_HOLD

        return decide(
            self.budgets, self.store, project, estimate, event_id=event_id or str(uuid4()), now=self.now,
            fresh=MAX_SPEND_AGE if fresh is None else fresh, hold=DEFAULT_HOLD if hold is None else hold,
        )  # fmt: skip

    def daily(self, by: Sequence[str] = ()) -> dict[str, dict[date, float | None]]:
        """The whole daily spend in USD of each group, of complete days only, for a backtest."""
        from hanzo_reports.forecast import daily_spend

        first = self.window("all").start
        days = max((self.now - first).days, 1)
        return daily_spend(self.events, self.now, by=by, timezone=self.timezone, days=days).to_series()

    def _recent_events(self) -> ibis.Table:
        """The events that forecasts are based on."""
        return self.store.events(self.now - FORECAST_HISTORY, self.now)

    def _ask(
        self,
        question: Callable[[ibis.Table, Window, list[str]], ibis.Table],
        range: str | Window,
        metrics: Iterable[str],
        where: Where | None,
        *,
        compared: bool = False,
    ) -> Result:
        window, names = self.window(range), parse_names(metrics, "metrics", "['requests', 'cost']")
        events = self._events_of(window, names, compared=compared)
        return Result(question(events, window, names), window, partial(_summarise, events, window, where))

    def _events_of(self, window: Window, metrics: Sequence[str], *, compared: bool) -> ibis.Table:
        """The events of a window (and of the previous period), with the parts of the cost if a metric reads them."""
        events = self.store.events(window.previous().start if compared else window.start, window.end)
        if not cost.SPLIT.intersection(metrics):
            return events
        from hanzo_reports.pricing.cost_split import split_costs

        return split_costs(events)


def first_and_last(events: ibis.Table) -> tuple[datetime | None, datetime | None]:
    """The instants of the first and the last event; None without events."""
    at = events.timestamp
    first, last = events.aggregate(first=earliest(at), last=latest(at)).to_pyarrow().to_pylist()[0].values()
    return first, last


def _summarise(events: ibis.Table, window: Window, where: Where | None) -> dict[str, Any]:
    """Totals of all events of the window that pass the filter, whatever the groups."""
    row = usage.usage(events, window, (*SUMMARY, UNPRICED), where=where).to_pyarrow().to_pylist()[0]
    return {**{f"total_{name}": row[name] for name in SUMMARY}, UNPRICED: row[UNPRICED]}


def _suggest_range(value: object) -> str:
    """A range that whoever gave something else may have meant."""
    if isinstance(value, bool):
        return "for example '7d'"
    if isinstance(value, int) and value > 0:
        return f"'{value}d' for the last {value} days"
    if isinstance(value, timedelta) and value >= timedelta(hours=1):
        return f"'{value // timedelta(hours=1)}h'"
    if isinstance(value, date):
        return f"'{value:%Y-%m-%d}..{value:%Y-%m-%d}' for that day"
    return "for example '7d', '2025-06-01..2025-06-07' or hr.Window(start, end)"
