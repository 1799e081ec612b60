"""The panels of the overview, each for one window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards.overview_notes import BUCKETS, describe_changes, describe_window
from hanzo_reports.dashboards.overview_window import INCIDENT_ERROR_RATE
from hanzo_reports.formats import format_short, format_value
from hanzo_reports.html.charts import HALF, NARROW, Chart, Line
from hanzo_reports.html.panels import (
    StateRow,
    build_chart,
    build_health,
    build_notes,
    build_ranking,
    build_takeaway,
    build_tiles,
    describe_ranking,
    rank_groups,
)
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Direction, Grain, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.dashboards.overview_window import OverviewWindow
    from hanzo_reports.dashboards.tables import Row
    from hanzo_reports.html.components import Panel

TILES = ("requests", "tokens", "cost", "latency_p99")
HEALTH = {
    "error_rate": "4xx and 5xx responses", "availability": "responses that are not 5xx",
    "rate_limited_rate": "429 responses", "latency_p50": "median response", "latency_p99": "slowest 1 in 100",
    "saturation": "fullest queue",
}  # fmt: skip
PERCENTILES = {"latency_p50": "s3", "latency_p95": "s2", "latency_p99": "s1"}
_STATES = {None: ("even", "Not rated"), True: ("bad", "Breached"), False: ("good", "OK")}
_ARTICLES = {Grain.MINUTE: "a ", Grain.HOUR: "an ", Grain.DAY: "a "}


def takeaway_panel(overview: OverviewWindow) -> Panel:
    """The window in two sentences."""
    return build_takeaway(describe_window(overview))


def tiles_panel(overview: OverviewWindow) -> Panel:
    """Key figures: value, change, previous value, sparkline."""
    row = overview.totals | {f"{name}_previous": overview.previous_totals[name] for name in TILES}
    unpriced = overview.totals["unpriced_requests"]
    warnings = {"cost": f"{unpriced:,} requests unpriced"} if unpriced else {}
    return build_tiles(overview.metric_tiles(TILES, row, overview.series, warnings))


def volume_panel(overview: OverviewWindow) -> Panel:
    """Requests over time beside the previous period, with incidents marked."""
    rows = []
    for row in overview.series:
        label, requests = overview.bucket_label(row["bucket"]), format_value(row["requests"], Unit.REQUESTS, "table")
        previous = format_value(row["previous"], Unit.REQUESTS, "table")
        errors = format_short(row["error_rate"], Unit.SHARE)
        tip = [label, f"{requests} requests", *([] if row["previous"] is None else [f"previous {previous}"])]
        rows.append(
            _bucket_times(overview, row)
            | {"tip": " · ".join([*tip, f"{errors} errors"]), "cells": (label, requests, previous, errors)}
            | {name: row[name] for name in ("requests", "previous")}
        )
    lines = (Line("previous", "s3", dashed=True), Line("requests", "s1", filled=True))
    chart = Chart(rows, lines, overview.grain.value, _incident_bands(overview))
    name = _range_noun(overview)
    legend = [("rule", "s1", f"This {name}"), ("dash", "s3", f"Previous {name}"), *_incident_legend(overview)]
    subtitle = f"Requests per {BUCKETS[overview.grain]}, {overview.ws.timezone}"
    columns = ("From", "Requests", "Previous period", "Error rate")
    return build_chart("Request volume", subtitle, chart, legend, columns)


def latency_panel(overview: OverviewWindow) -> Panel:
    """Latency percentiles over time."""
    rows = []
    for row in overview.series:
        label = overview.bucket_label(row["bucket"])
        tip = [f"{name[-3:]} {format_short(row[name], Unit.MILLISECONDS)}" for name in reversed(PERCENTILES)]
        rows.append(
            _bucket_times(overview, row)
            | {"tip": " · ".join([label, *tip])}
            | {"cells": (label, *(format_value(row[name], Unit.MILLISECONDS, "table") for name in PERCENTILES))}
            | {name: row[name] for name in PERCENTILES}
        )
    lines = tuple(Line(name, color) for name, color in PERCENTILES.items())
    chart = Chart(rows, lines, overview.grain.value, _incident_bands(overview), "{:,.0f}".format, (HALF, NARROW))
    legend = [("rule", color, name[-3:]) for name, color in PERCENTILES.items()]
    subtitle = f"Milliseconds per {BUCKETS[overview.grain]}"
    columns = ("From", *(name[-3:] for name in PERCENTILES))
    return build_chart("Latency percentiles", subtitle, chart, legend, columns, wide=False)


def ranking_panel(overview: OverviewWindow, title: str, dimension: str, metric: str) -> Panel:
    """The largest groups: value, share of the whole, change."""
    groups = ((row["name"], row["current"], row["previous"]) for row in overview.rank(dimension, metric))
    measure = CATALOG[metric]
    return build_ranking(title, describe_ranking(measure), rank_groups(groups, dimension, measure))


def changes_panel(overview: OverviewWindow) -> Panel:
    """What changed, in sentences."""
    empty = "" if overview.previous_totals["requests"] else ", which has no requests"
    period = overview.describe_period(overview.previous.start, overview.previous.end)
    return build_notes("What changed", f"Compared with {period}{empty}", describe_changes(overview), wide=True)


def health_panel(overview: OverviewWindow) -> Panel:
    """Each indicator against its default threshold."""
    rows = []
    for name, meaning in HEALTH.items():
        metric, value = CATALOG[name], overview.totals[name]
        tone, state = _STATES[metric.breaches_threshold(value)]
        sign, threshold = ("≥" if metric.direction is Direction.UP else "≤"), metric.default_threshold
        rows.append(StateRow(
            metric.title, meaning, format_short(value, metric.unit),
            "" if threshold is None else f"{sign} {_format_threshold(threshold, metric.unit)}",
            tone, "No data" if value is None else state,
        ))  # fmt: skip
    return build_health("Operational health", "Compared with the default thresholds", rows)


def _bucket_times(overview: OverviewWindow, row: Row) -> dict[str, Any]:
    return {"start": overview.to_local(row["bucket"].start), "end": overview.to_local(row["bucket"].end)}


def _incident_bands(overview: OverviewWindow) -> Sequence[tuple[Any, Any]]:
    return [(first.start, last.end) for first, last, _ in overview.incidents]


def _incident_legend(overview: OverviewWindow) -> list[tuple[str, str, str]]:
    """The legend of the bands, where the chart shows one."""
    series = overview.series
    visible = series and any(
        last.end > series[0]["bucket"].start and first.start < series[-1]["bucket"].end
        for first, last, _ in overview.incidents
    )
    grain = overview.incident_grain
    bucket = "" if grain is overview.grain else f" in {_ARTICLES.get(grain, '')}{BUCKETS[grain]}"
    return [("block", "band", f"Errors above {INCIDENT_ERROR_RATE:.0%}{bucket}")] if visible else []


def _range_noun(overview: OverviewWindow) -> str:
    name = overview.window.name
    return name if name[:1].isdigit() and ".." not in name else "period"


def _format_threshold(threshold: float, unit: Unit) -> str:
    return f"{threshold:.1%}".replace(".0%", "%") if unit is Unit.SHARE else f"{threshold:,.0f} ms"
