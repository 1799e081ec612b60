"""What changed, in sentences: each with a lead, the rest, and whether it is good, bad or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards.overview_window import INCIDENT
from hanzo_reports.formats import (
    describe_change,
    format_difference,
    format_relative_change,
    format_short,
    relative_change,
)
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hanzo_reports.dashboards.overview_sums import Row
    from hanzo_reports.dashboards.overview_window import Span
    from hanzo_reports.units import Grain

Note = dict[str, str]
GRAINS = {
    "minute": "minute", "5m": "5 minutes", "15m": "15 minutes", "hour": "hour", "day": "day", "week": "week",
    "month": "month",
}  # fmt: skip
ARTICLES = GRAINS | {"minute": "a minute", "hour": "an hour", "day": "a day", "week": "a week", "month": "a month"}


def changes(span: Span) -> list[Note]:
    """The largest differences from the window before, the worst moment, the unit cost, and what has no price."""
    return [*_sums(span), _errors(span), *_unit_cost(span), *_unpriced(span)]


def summary(span: Span) -> str:
    """The whole window in two sentences."""
    now, before = span.now, span.before
    cost = "at no known price" if now["cost"] is None else f"for {format_short(now['cost'], Unit.USD)}"
    share = relative_change(now["cost"], before["cost"])
    than = "" if share is None else f", {_more(share)} than in the window before"
    late = [CATALOG[name].title.replace("Latency ", "latency ") for name in limited(span)]
    told = f"Past their limit: {', '.join(late).lower()}." if late else "All health limits are kept."
    return f"{format_short(now['requests'], Unit.REQUESTS)} requests {cost}{than}. {told}"


def limited(span: Span) -> list[str]:
    """The metrics that are past their limit."""
    return [name for name, metric in CATALOG.items() if metric.breaches_threshold(span.now.get(name))]


def moment(span: Span, row: Row, grain: Grain | None = None) -> str:
    """A bucket's first instant as a person writes it, in the window's zone; for a bucket of days, the day.

    Args:
        span: whose bucket it is.
        row: holds the `bucket`.
        grain: the bucket's; None: that of the span's course.
    """
    start = span.local(row["bucket"].start)
    return f"{start:%a} {start.day} {start:%b}" + (f" {start:%H:%M}" if (grain or span.grain).seconds else "")


def _more(share: float) -> str:
    if abs(share) < 0.0005:  # noqa: PLR2004
        return "as much"
    return f"{format_relative_change(abs(share)).lstrip('+')} {'more' if share > 0 else 'less'}"


def _sums(span: Span) -> Iterator[Note]:
    """For cost, requests and tokens: the difference, and the group that moved it most."""
    for name, by in (("cost", ("model", "project")), ("requests", ("project",)), ("tokens", ("project",))):
        now, before, metric = span.now[name], span.before[name], CATALOG[name]
        if not now or not before:
            continue
        difference = now - before
        moves: dict[tuple[Any, ...], Any] = {}
        for row in span.groups:
            key = tuple(row[dimension] or f"no {dimension}" for dimension in by)
            moves[key] = moves.get(key, 0) + (row[name] or 0) - (row[f"{name}_previous"] or 0)
        most = max(moves, key=lambda key: (abs(moves[key]), key))
        word = "rose" if difference > 0 else "fell" if difference < 0 else "stayed the same"
        size = f" {format_short(abs(difference), metric.unit)}" if difference else ""
        yield {
            "lead": f"{metric.title} {word}{size}",
            "rest": f" ({format_relative_change(float(now) / float(before) - 1)}); the largest single mover is "
            f"{' in '.join(most)} ({format_difference(moves[most], metric.unit)}).",
            "tone": describe_change(now, before, metric.direction).tone,
        }


def _errors(span: Span) -> Note:
    every, worst = GRAINS[span.watch], span.worst
    if worst:
        p99 = worst["latency_p99"]
        slow = f", when p99 was {format_short(p99, Unit.MILLISECONDS)}" if p99 is not None else ""
        when = f"the {every} from {moment(span, worst, span.watch)} {span.window.timezone}"
        rate = format_short(worst["error_rate"], Unit.SHARE)
        return {"lead": f"Errors peaked at {rate}", "rest": f" in {when}{slow}.", "tone": "bad"}
    rate, before = format_short(span.now["error_rate"], Unit.SHARE), span.before["error_rate"]
    past = "" if before is None else f" after {format_short(before, Unit.SHARE)}"
    rest = f" of the requests failed{past}; no {every} had more than {INCIDENT:.0%} errors."
    return {"lead": rate, "rest": rest, "tone": "even"}


def _unit_cost(span: Span) -> Iterator[Note]:
    now, before = span.now["cost_per_request"], span.before["cost_per_request"]
    if now is None:
        return
    share = relative_change(now, before)
    rest = "" if share is None else f", {format_relative_change(share)} on the window before"
    tone = describe_change(now, before, CATALOG["cost_per_request"].direction).tone
    yield {
        "lead": "Unit cost",
        "rest": f" was {format_short(now * 1000, Unit.USD)} per 1,000 priced requests{rest}.",
        "tone": tone,
    }


def _unpriced(span: Span) -> Iterator[Note]:
    count = span.now["unpriced_requests"]
    if not count:
        return
    names = [str(row["name"] or "no model") for row in span.ranked("model", "unpriced_requests", 3)]
    rest = f" used tokens, but no price is known for {', '.join(names)}; they are not in the cost."
    yield {"lead": f"{count:,} requests", "rest": rest, "tone": "bad"}
