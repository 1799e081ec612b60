"""The scorecard: forecasts are recorded when they are issued, and scored when their month is over."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hanzo_reports.forecast.calibration import BURST_CLASSES
from hanzo_reports.forecast.series import month_bounds
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.parse_values import MONEY_LIMIT
from hanzo_reports.state.budget_tables import FORECASTS, insert_new
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    import ibis
    import sqlalchemy

    from hanzo_reports.forecast.month_end import Forecast

SETTLING_TIME = timedelta(days=2)  # from a month's end until its cost is final
MIN_FORECASTS = 20  # scored forecasts from which on the basis is "your data"
SHIPPED, FEW, OWN = "shipped calibration", "your data, still few", "your data"


def record_forecasts(
    state: sqlalchemy.Engine, forecasts: Sequence[Forecast], by: Sequence[str], timezone: str, now: datetime
) -> int:
    """Record forecasts for the scorecard: the first one of each series and local day that has an amount.

    Args:
        state: the state database.
        forecasts: the forecasts.
        by: the dimensions of their keys.
        timezone: the IANA zone of their months.
        now: when they are issued.

    Returns:
        How many were recorded.
    """
    count = 0
    with state.begin() as connection:
        for forecast in forecasts:
            if forecast.p50 is None:
                continue
            series = json.dumps(dict(zip(by, forecast.key, strict=True)), sort_keys=True)
            row = {
                "series": series, "issued_on": forecast.as_of.astimezone(zone(timezone)).date(),
                "period_start": forecast.period_start, "timezone": timezone, "issued_at": now,
                "as_of": forecast.as_of, "burst": forecast.burst, "spent": forecast.spent, "low_95": forecast.low,
                "p10": forecast.p10, "p50": forecast.p50, "p90": forecast.p90, "high_95": forecast.high,
                "monthly_limit": forecast.limit, "p_exceed": forecast.p_exceed,
                "run_rate": _compute_run_rate(forecast, timezone),
            }  # fmt: skip
            count += insert_new(connection, FORECASTS, row)
    return count


def _compute_run_rate(forecast: Forecast, timezone: str) -> Decimal | None:
    """The month's spend so far divided by the elapsed share of the month; None before the month begins."""
    local = zone(timezone)
    start, end = midnight(forecast.period_start, local), midnight(forecast.period_end, local)
    elapsed = (forecast.as_of - start) / (end - start)
    if elapsed <= 0:
        return None
    run_rate = forecast.spent / Decimal(repr(elapsed))  # in the first second it may be huge
    return max(min(run_rate, MONEY_LIMIT), -MONEY_LIMIT)


def build_scorecard(state: sqlalchemy.Engine, events: ibis.Table, now: datetime) -> list[dict[str, Any]]:
    """Score the recorded forecasts of months that are over.

    Args:
        state: the state database.
        events: an Ibis table with the columns of events.
        now: the instant of the question; a month is scored from two days after its end.

    Returns:
        One row per class of spend, `all` first: `forecasts` (scored), `months`, `wape` and `bias` of p50,
        `wape_run_rate` (of the forecasts issued after the month had begun), `coverage_80`, `coverage_95`, `brier` (of
        the chance to exceed the limit, if there was one), and `basis`: ``your data`` from 20 scored forecasts on, below
        that ``your data, still few``. If none can be scored, one row of NULLs with the basis ``shipped calibration``.
    """
    with state.connect() as connection:
        rows = [dict(row) for row in connection.execute(select(FORECASTS)).mappings()]
    scored = list(_add_actuals(rows, events, now))
    scorecard = []
    for burst in ("all", *BURST_CLASSES):
        selected = [row for row in scored if burst in {"all", row["burst"]}]
        if selected or burst == "all":
            basis = OWN if len(selected) >= MIN_FORECASTS else FEW if selected else SHIPPED
            scorecard.append({"class": burst, **_compute_scores(selected), "basis": basis})
    return scorecard


def _add_actuals(rows: list[dict[str, Any]], events: ibis.Table, now: datetime) -> Iterator[dict[str, Any]]:
    """The forecasts of months that are over and had a cost, each with it as `actual`."""
    months = {(row["timezone"], row["period_start"], tuple(json.loads(row["series"]))) for row in rows}
    for timezone, first, by in sorted(months):
        local = zone(timezone)
        window = Window(midnight(first, local), midnight(month_bounds(first)[1], local), timezone, now)
        if now < window.end + SETTLING_TIME:
            continue
        table = aggregate(events, window, ["cost"], by=by).to_pyarrow().to_pylist()
        costs = {tuple(row[name] for name in by): row["cost"] for row in table}
        for row in rows:
            key = json.loads(row["series"])
            if (row["timezone"], row["period_start"], tuple(key)) == (timezone, first, by):
                actual = costs.get(tuple(key.values()))
                if actual:
                    yield row | {"actual": actual}


def _compute_scores(rows: list[dict[str, Any]]) -> dict[str, Any]:
    with_limit = [row for row in rows if row["p_exceed"] is not None]
    brier_errors = [(row["p_exceed"] - (row["actual"] > row["monthly_limit"])) ** 2 for row in with_limit]

    def relative_error(name: str, transform: Callable[[Decimal], Decimal] = Decimal) -> float | None:
        known = [row for row in rows if row[name] is not None]
        total = sum((row["actual"] for row in known), Decimal(0))
        errors = sum((transform(row[name] - row["actual"]) for row in known), Decimal(0))
        return float(errors / total) if total else None

    def coverage(low: str, high: str) -> float | None:
        return sum(row[low] <= row["actual"] <= row[high] for row in rows) / len(rows) if rows else None

    return {
        "forecasts": len(rows), "months": len({row["period_start"] for row in rows}),
        "wape": relative_error("p50", abs), "bias": relative_error("p50"),
        "wape_run_rate": relative_error("run_rate", abs), "coverage_80": coverage("p10", "p90"),
        "coverage_95": coverage("low_95", "high_95"),
        "brier": sum(brier_errors) / len(brier_errors) if brier_errors else None,
    }  # fmt: skip
