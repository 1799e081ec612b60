"""Forecasts that were issued, kept, and judged once their month is over."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hanzo_reports.forecast.model import BURSTS
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.parse_values import MONEY_LIMIT
from hanzo_reports.state.budget_tables import FORECASTS, insert_new
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    import ibis
    import sqlalchemy

    from hanzo_reports.forecast.answer import Forecast

SETTLED = timedelta(days=2)  # how long after a month's end its cost is taken as known
ENOUGH = 20  # judged forecasts from which on a scorecard speaks for the data itself
SHIPPED, FEW, OWN = "shipped calibration", "your data, still few", "your data"


def issued(state: sqlalchemy.Engine, made: Sequence[Forecast], by: Sequence[str], timezone: str, now: datetime) -> int:
    """How many forecasts were kept: the first of each local day for each series; those without an answer are not.

    Args:
        state: the state database, with its tables.
        made: the forecasts.
        by: the dimensions of their keys.
        timezone: the zone their months are cut in.
        now: when they were issued.
    """
    kept = 0
    with state.begin() as connection:
        for told in made:
            if told.p50 is None:
                continue
            on = told.as_of.astimezone(zone(timezone)).date()
            row = {
                "series": json.dumps(dict(zip(by, told.key, strict=True)), sort_keys=True), "issued_on": on,
                "period_start": told.period_start, "timezone": timezone, "issued_at": now, "as_of": told.as_of,
                "burst": told.burst, "spent": told.spent, "low_95": told.low, "p10": told.p10, "p50": told.p50,
                "p90": told.p90, "high_95": told.high, "monthly_limit": told.limit, "p_exceed": told.p_exceed,
                "run_rate": _run_rate(told, timezone),
            }  # fmt: skip
            kept += insert_new(connection, FORECASTS, row)
    return kept


def _run_rate(told: Forecast, timezone: str) -> Decimal | None:
    """Spend by the time that has passed, for all of the month; None before any has."""
    local = zone(timezone)
    start, end = midnight(told.period_start, local), midnight(told.period_end, local)
    passed = (told.as_of - start) / (end - start)
    if passed <= 0:
        return None
    run_rate = told.spent / Decimal(repr(passed))  # in the first second it may be anything
    return max(min(run_rate, MONEY_LIMIT), -MONEY_LIMIT)


def scorecard(state: sqlalchemy.Engine, events: ibis.Table, now: datetime) -> list[dict[str, Any]]:
    """How good the issued forecasts were whose month is over.

    Args:
        state: the state database, with its tables.
        events: any Ibis table with the event's columns.
        now: the instant of asking; a month is judged two days after its end.

    Returns:
        One row per class of spend, `all` first: `forecasts` (judged), `months`, `wape` and `bias` of p50, beside it
        `wape_run_rate` of run-rate arithmetic (of the forecasts that were made after the month had begun),
        `coverage_80`, `coverage_95`, `brier` (of the probability to exceed the limit, where there was one), and
        `basis`: ``your data`` from 20 judged forecasts on, below that ``your data, still few``. Without any judged
        forecast one row of NULLs, whose basis is the ``shipped calibration``.
    """
    with state.connect() as connection:
        rows = [dict(row) for row in connection.execute(select(FORECASTS)).mappings()]
    judged = list(_judged(rows, events, now))
    made = []
    for burst in ("all", *BURSTS):
        mine = [each for each in judged if burst in {"all", each["burst"]}]
        if mine or burst == "all":
            basis = OWN if len(mine) >= ENOUGH else FEW if mine else SHIPPED
            made.append({"class": burst, **_scores(mine), "basis": basis})
    return made


def _judged(rows: list[dict[str, Any]], events: ibis.Table, now: datetime) -> Iterator[dict[str, Any]]:
    """The forecasts of months that are over, each with `actual`."""
    months = {(row["timezone"], row["period_start"], tuple(json.loads(row["series"]))) for row in rows}
    for timezone, first, by in sorted(months):
        local = zone(timezone)
        window = Window(midnight(first, local), midnight(_after(first), local), timezone, now)
        if now < window.end + SETTLED:
            continue
        table = aggregate(events, window, ["cost"], by=by).to_pyarrow().to_pylist()
        costs = {tuple(row[name] for name in by): row["cost"] for row in table}
        for row in rows:
            key = json.loads(row["series"])
            if (row["timezone"], row["period_start"], tuple(key)) == (timezone, first, by):
                actual = costs.get(tuple(key.values()))
                if actual:
                    yield row | {"actual": actual}


def _after(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _scores(mine: list[dict[str, Any]]) -> dict[str, Any]:
    asked = [each for each in mine if each["p_exceed"] is not None]
    hits = [(each["p_exceed"] - (each["actual"] > each["monthly_limit"])) ** 2 for each in asked]

    def off(name: str, kind: Callable[[Decimal], Decimal] = Decimal) -> float | None:
        known = [each for each in mine if each[name] is not None]
        total = sum((each["actual"] for each in known), Decimal(0))
        errors = sum((kind(each[name] - each["actual"]) for each in known), Decimal(0))
        return float(errors / total) if total else None

    def covered(low: str, high: str) -> float | None:
        return sum(each[low] <= each["actual"] <= each[high] for each in mine) / len(mine) if mine else None

    return {
        "forecasts": len(mine), "months": len({each["period_start"] for each in mine}), "wape": off("p50", abs),
        "bias": off("p50"), "wape_run_rate": off("run_rate", abs), "coverage_80": covered("p10", "p90"),
        "coverage_95": covered("low_95", "high_95"), "brier": sum(hits) / len(hits) if hits else None,
    }  # fmt: skip
