"""What changed in a window, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards.overview_window import INCIDENT_ERROR_RATE
from hanzo_reports.formats import (
    describe_change,
    format_difference,
    format_relative_change,
    format_short,
    relative_change,
)
from hanzo_reports.html.panels import Note
from hanzo_reports.html.text import show_name
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Grain, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hanzo_reports.dashboards.overview_window import OverviewWindow

BUCKETS = {
    Grain.MINUTE: "minute", Grain.FIVE_MINUTES: "5 minutes", Grain.FIFTEEN_MINUTES: "15 minutes", Grain.HOUR: "hour",
    Grain.DAY: "day", Grain.WEEK: "week", Grain.MONTH: "month",
}  # fmt: skip
INTERVALS = BUCKETS | {Grain.FIVE_MINUTES: "5-minute interval", Grain.FIFTEEN_MINUTES: "15-minute interval"}
SAME = 0.0005  # a smaller relative change rounds to 0.0%
_MOVED = {"cost": ("model", "project"), "requests": ("project",), "tokens": ("project",)}


def describe_window(overview: OverviewWindow) -> str:
    """The whole window in two sentences."""
    totals = overview.totals
    requests = format_short(totals["requests"], Unit.REQUESTS)
    cost = "with no known price" if totals["cost"] is None else f"for {format_short(totals['cost'], Unit.USD)}"
    share = relative_change(totals["cost"], overview.previous_totals["cost"])
    change = "" if share is None else f", {_compare(share)} the previous period"
    breached = [CATALOG[name].title.replace("Latency ", "latency ") for name in breached_metrics(overview)]
    health = (
        f"Over the threshold: {', '.join(breached).lower()}."
        if breached
        else "All metrics are within their thresholds."
    )
    return f"{requests} requests {cost}{change}. {health}"


def breached_metrics(overview: OverviewWindow) -> list[str]:
    """The metrics that breach their default threshold."""
    return [name for name, metric in CATALOG.items() if metric.breaches_threshold(overview.totals.get(name))]


def describe_changes(overview: OverviewWindow) -> list[Note]:
    """The largest changes since the previous period, the worst moment, the unit cost, and requests without a price."""
    return [
        *_describe_sums(overview), _describe_errors(overview), *_describe_unit_cost(overview),
        *_describe_unpriced(overview),
    ]  # fmt: skip


def _compare(share: float) -> str:
    if abs(share) < SAME:
        return "as much as in"
    return f"{format_relative_change(abs(share)).lstrip('+')} {'more' if share > 0 else 'less'} than in"


def _describe_sums(overview: OverviewWindow) -> Iterator[Note]:
    """For cost, requests and tokens: the change, and the group that moved it most."""
    for name, dimensions in _MOVED.items():
        current, previous, metric = overview.totals[name], overview.previous_totals[name], CATALOG[name]
        if not current or not previous:
            continue
        difference = current - previous
        moves: dict[tuple[str, ...], Any] = {}
        for row in overview.groups:
            key = tuple(row[dimension] or f"no {dimension}" for dimension in dimensions)
            moves[key] = moves.get(key, 0) + (row[name] or 0) - (row[f"{name}_previous"] or 0)
        mover = max(moves, key=lambda key: (abs(moves[key]), key))
        verb = "rose" if difference > 0 else "fell" if difference < 0 else "stayed the same"
        size = f" {format_short(abs(difference), metric.unit)}" if difference else ""
        share = format_relative_change(float(current) / float(previous) - 1)
        names, moved = " in ".join(map(show_name, mover)), format_difference(moves[mover], metric.unit)
        tone = describe_change(current, previous, metric.direction).tone
        yield Note(f"{metric.title} {verb}{size}", f" ({share}); the largest mover is {names} ({moved}).", tone)


def _describe_errors(overview: OverviewWindow) -> Note:
    interval, worst = INTERVALS[overview.incident_grain], overview.worst_bucket
    if worst:
        p99 = worst["latency_p99"]
        latency = f", when p99 was {format_short(p99, Unit.MILLISECONDS)}" if p99 is not None else ""
        start = overview.bucket_label(worst["bucket"], overview.incident_grain)
        rate = format_short(worst["error_rate"], Unit.SHARE)
        rest = f" in the {interval} from {start} {overview.ws.timezone}{latency}."
        return Note(f"Errors peaked at {rate}", rest, "bad")
    rate = format_short(overview.totals["error_rate"], Unit.SHARE)
    previous = overview.previous_totals["error_rate"]
    before = "" if previous is None else f", after {format_short(previous, Unit.SHARE)} in the previous period"
    return Note(rate, f" of requests failed{before}; no {interval} had more than {INCIDENT_ERROR_RATE:.0%} errors.")


def _describe_unit_cost(overview: OverviewWindow) -> Iterator[Note]:
    current, previous = (row["cost_per_request"] for row in (overview.totals, overview.previous_totals))
    if current is None:
        return
    share = relative_change(current, previous)
    change = "" if share is None else f", {format_relative_change(share)} on the previous period"
    tone = describe_change(current, previous, CATALOG["cost_per_request"].direction).tone
    cost = format_short(current * 1000, Unit.USD)
    yield Note("Unit cost", f" was {cost} per 1,000 priced requests{change}.", tone)


def _describe_unpriced(overview: OverviewWindow) -> Iterator[Note]:
    count = overview.totals["unpriced_requests"]
    if count:
        names = ", ".join(
            show_name(row["name"] or "no model") for row in overview.rank("model", "unpriced_requests", 3)
        )
        yield Note(f"{count:,} requests", f" with no known price are not included in the cost: {names}.", "bad")
