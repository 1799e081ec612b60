"""The chart of a month's spend: what is known, and the forecast with its interval."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from hanzo_reports.dashboards.base import format_axis_dollars
from hanzo_reports.formats import format_short, format_value
from hanzo_reports.html.charts import HALF, NARROW, WIDE, Chart, Line
from hanzo_reports.html.panels import build_chart
from hanzo_reports.units import Unit
from hanzo_reports.window import midnight, zone

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from hanzo_reports.dashboards.tables import Row
    from hanzo_reports.forecast import Forecast, SpendPanel
    from hanzo_reports.html.components import Panel

AMOUNTS = ("spent", "p10", "p50", "p90")


def build_spend_chart(title: str, panel: SpendPanel, forecast: Forecast, *, remaining: bool = False) -> Panel:
    """Spend since the month's start, day by day, with the forecast ahead.

    Args:
        title: its heading.
        panel: the daily spend, of one group.
        forecast: how its month ends.
        remaining: whether to show what is left of the limit instead of what is spent; half as wide.
    """
    limit = None if forecast.limit is None else float(forecast.limit)
    known = "Left" if remaining else "Spent"
    days = spend_by_day(panel, forecast)
    if remaining and limit is not None:
        days = [_subtract_from(limit, day) for day in days]
    rows = [_chart_row(day, limit, known.lower(), zone(panel.timezone)) for day in days]
    lines = [Line("p90", "s2", floor="p10"), Line("p50", "s2", dashed=True), Line("spent", "s1", filled=True)]
    legend = [("rule", "s1", known), ("dash", "s2", "Forecast, median"), ("block", "s2", "80% interval")]
    if limit is not None and not remaining:
        lines.append(Line("limit", "limit", dashed=True))
        legend.append(("dash", "limit", "Limit"))
    sizes = (HALF if remaining else WIDE, NARROW)
    chart = Chart(rows, tuple(lines), "day", label=format_axis_dollars, sizes=sizes)
    subtitle = f"US dollars {'left' if remaining else 'since the month began'}, {panel.timezone}"
    return build_chart(title, subtitle, chart, legend, ("Day", "Known", "p10", "p50", "p90"), wide=not remaining)


def spend_by_day(panel: SpendPanel, forecast: Forecast) -> list[Row]:
    """Each day of the month: `spent` at its end, or the forecast; both meet at the last complete day."""
    offset = (forecast.period_start - panel.first).days
    totals = np.nancumsum(panel.net_amounts[0, max(offset, 0) :])
    rows: list[Row] = [
        {"day": forecast.period_start + timedelta(days=position - min(offset, 0)), "spent": float(total),
         "p10": None, "p50": None, "p90": None}
        for position, total in enumerate(totals[:-1])
    ]  # fmt: skip
    if rows and forecast.path:
        rows[-1] |= dict.fromkeys(("p10", "p50", "p90"), rows[-1]["spent"])
    rows += [
        {"day": day.day, "spent": None, "p10": float(day.p10), "p50": float(day.p50), "p90": float(day.p90)}
        for day in forecast.path
    ]
    return rows


def _subtract_from(limit: float, row: Row) -> Row:
    """What is left of the limit, at least 0; the least is left where the most is spent."""
    left = {name: None if row[name] is None else max(limit - row[name], 0.0) for name in AMOUNTS}
    return row | left | {"p10": left["p90"], "p90": left["p10"]}


def _chart_row(row: Row, limit: float | None, known: str, local: ZoneInfo) -> dict[str, Any]:
    day, label = row["day"], f"{row['day']:%a} {row['day'].day} {row['day']:%b}"
    tip = [label]
    tip += [
        f"{word} {format_short(row[name], Unit.USD)}"
        for name, word in (("spent", known), ("p50", "median"))
        if row[name] is not None
    ]
    if row["p10"] is not None and row["spent"] is None:
        tip.append(" to ".join(format_short(row[name], Unit.USD) for name in ("p10", "p90")))
    return {
        "start": midnight(day, local).astimezone(local),
        "end": midnight(day + timedelta(days=1), local).astimezone(local),
        "tip": " · ".join(tip), "limit": limit, **{name: row[name] for name in AMOUNTS},
        "cells": (label, *(format_value(row[name], Unit.USD, "table") for name in AMOUNTS)),
    }  # fmt: skip
