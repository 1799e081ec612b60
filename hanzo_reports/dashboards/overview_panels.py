"""How each part of the dashboard shows one window: its HTML and its plain text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards.overview_notes import ARTICLES, GRAINS, changes, moment, summary
from hanzo_reports.dashboards.overview_window import INCIDENT
from hanzo_reports.formats import describe_change, format_short, format_value
from hanzo_reports.html.charts import HALF, NARROW, Chart, Line, drawn
from hanzo_reports.html.components import fragment
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Direction, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hanzo_reports.dashboards.overview_sums import Row
    from hanzo_reports.dashboards.overview_window import Span
    from hanzo_reports.formats import Number

TILES = ("requests", "tokens", "cost", "latency_p99")
HEALTH = {
    "error_rate": "4xx and 5xx responses", "availability": "responses that are not 5xx",
    "rate_limited_rate": "429 responses", "latency_p50": "median response", "latency_p99": "slowest 1 in 100",
    "saturation": "fullest queue",
}  # fmt: skip
PERCENTILES = {"latency_p50": "s3", "latency_p95": "s2", "latency_p99": "s1"}
View = dict[str, str]


def takeaway(span: Span) -> View:
    """Two sentences."""
    said = summary(span)
    return _view("told", said, sentence=said)


def tiles(span: Span) -> View:
    """Value, change, what was before, and the course."""
    made: list[dict[str, Any]] = []
    for name in TILES:
        metric, now, before = CATALOG[name], span.now[name], span.before[name]
        missing = span.now["unpriced_requests"] if name == "cost" else 0
        made.append({
            "name": name, "title": metric.title, "meaning": metric.meaning,
            "value": format_short(now, metric.unit), "exact": format_value(now, metric.unit, "table"),
            "change": describe_change(now, before, metric.direction),
            "note": "nothing before" if before is None else f"previous {format_short(before, metric.unit)}",
            "warning": f"{missing:,} requests unpriced" if missing else "",
            "line": sparkline([row[name] for row in span.course]),
        })  # fmt: skip
    lines = [f"{tile['title']}: {tile['value']} {tile['change'].text} ({tile['note']})" for tile in made]
    return _view("tiles", "\n".join(lines), tiles=made)


def volume_chart(span: Span) -> Chart:
    """Requests over time, those of the window before behind them."""

    def tip(row: Row) -> str:
        past = "" if row["before"] is None else f" · {row['before']:,} before"
        return f"{row['requests']:,} requests{past} · {format_short(row['error_rate'], Unit.SHARE)} errors"

    return _chart(span, (Line("before", "s3", dashed=True), Line("requests", "s1", filled=True)), tip)


def volume(span: Span) -> View:
    """That chart with its legend and its table."""
    legend = [("rule", "s1", f"This {_length(span)}"), ("dash", "s3", f"Previous {_length(span)}")]
    rows = [
        (
            moment(span, row),
            f"{row['requests']:,}",
            format_value(row["before"], Unit.REQUESTS, "table"),
            format_value(row["error_rate"], Unit.SHARE, "table"),
        )
        for row in span.course
    ]
    subtitle = f"Requests per {GRAINS[span.grain]}, {span.window.timezone}"
    return _view(
        "chart", _plain(subtitle, rows), title="Request volume", subtitle=subtitle, rows=rows,
        legend=legend + _band(span),
        drawings=drawn(volume_chart(span)), columns=("From", "Requests", "Window before", "Error rate"),
    )  # fmt: skip


def latency_chart(span: Span) -> Chart:
    """Latency percentiles over time."""

    def tip(row: Row) -> str:
        return " · ".join(f"{name[-3:]} {format_short(row[name], Unit.MILLISECONDS)}" for name in reversed(PERCENTILES))

    lines = tuple(Line(name, color) for name, color in PERCENTILES.items())
    return _chart(span, lines, tip, label="{:,.0f}".format, sizes=(HALF, NARROW))


def latency(span: Span) -> View:
    """That chart with its legend and its table."""
    legend = [("rule", color, name[-3:]) for name, color in PERCENTILES.items()]
    rows = [
        (moment(span, row), *(format_value(row[name], Unit.MILLISECONDS, "table") for name in PERCENTILES))
        for row in span.course
    ]
    subtitle = f"Milliseconds per {GRAINS[span.grain]}"
    return _view(
        "chart", _plain(subtitle, rows), title="Latency percentiles", subtitle=subtitle, rows=rows,
        drawings=drawn(latency_chart(span)), legend=legend, columns=("From", *(n[-3:] for n in PERCENTILES)),
    )  # fmt: skip


def ranking(span: Span, title: str, dimension: str, metric: str) -> View:
    """The largest groups: value, share of the whole, change."""
    measure, found = CATALOG[metric], span.ranked(dimension, metric)
    total, most = sum(row["now"] for row in found), max((row["now"] for row in found), default=0)
    rows = [
        {
            "name": row["name"] or f"no {dimension}", "vague": row["name"] is None,
            "bar": f"{100 * float(row['now'] / most):.1f}", "share": f"{float(row['now'] / total):.1%}",
            "value": format_short(row["now"], measure.unit), "exact": format_value(row["now"], measure.unit, "table"),
            "change": describe_change(row["now"], row["before"], measure.direction),
        }
        for row in found
    ]  # fmt: skip
    subtitle = "US dollars, where a price is known" if measure.unit is Unit.USD else f"Share of {measure.title.lower()}"
    text = "\n".join(f"{row['name']}: {row['value']} ({row['share']})" for row in rows)
    return _view("ranking", text, title=title, subtitle=subtitle, rows=rows)


def notes(span: Span) -> View:
    """What changed, in sentences."""
    found, before = changes(span), span.window.previous()
    nothing = "" if span.before["requests"] else ", which has no requests"
    subtitle = f"Against {stretch(span, before.start, before.end)}{nothing}"
    text = "\n".join(note["lead"] + note["rest"] for note in found)
    return _view("notes", text, title="What changed", subtitle=subtitle, notes=found)


def health(span: Span) -> View:
    """Each indicator against its limit."""
    rows = []
    for name, meaning in HEALTH.items():
        metric, value = CATALOG[name], span.now[name]
        tone, state = {None: ("even", "No limit"), True: ("bad", "Breach"), False: ("good", "OK")}[
            metric.breaches_threshold(value)
        ]
        sign, threshold = ("≥" if metric.direction is Direction.UP else "≤"), metric.default_threshold
        rows.append({
            "title": metric.title, "meaning": meaning, "value": format_short(value, metric.unit), "tone": tone,
            "state": "No data" if value is None else state,
            "limit": "" if threshold is None else f"{sign} {_limit(threshold, metric.unit)}",
        })  # fmt: skip
    text = "\n".join(f"{row['title']}: {row['value']} {row['limit']} {row['state']}" for row in rows)
    return _view("health", text, title="Operational health", subtitle="Against the limits of the catalogue", rows=rows)


def nothing(title: str) -> View:
    """A part without data."""
    return _view("nothing", "No requests in this window.", title=title)


def notice(title: str, lines: Sequence[str]) -> View:
    """What to do where there is no data."""
    return _view("notice", "\n".join([title, *lines]), title=title, lines=lines)


def stretch(span: Span, start: datetime, end: datetime) -> str:
    """A stretch of time in the window's zone, as a person writes it."""
    first, last = span.local(start), span.local(end)
    return f"{first.day} {first:%b %Y %H:%M} – {last.day} {last:%b %Y %H:%M}"  # noqa: RUF001  # from-to takes an en dash


def _view(kind: str, text: str, **given: Any) -> View:  # noqa: ANN401  # what the macro takes
    return {"html": fragment(kind, **given), "text": text}


def _chart(span: Span, lines: tuple[Line, ...], tip: Callable[[Row], str], **look: Any) -> Chart:  # noqa: ANN401
    rows = [
        {
            "start": span.local(row["bucket"].start), "end": span.local(row["bucket"].end),
            "tip": f"{moment(span, row)} · {tip(row)}", **{line.column: row[line.column] for line in lines},
        }
        for row in span.course
    ]  # fmt: skip
    bands = tuple((first.start, last.end) for first, last, _ in span.incidents)
    return Chart(tuple(rows), lines, span.grain.value, bands, **look)


def _band(span: Span) -> list[tuple[str, str, str]]:
    """The legend of the bands, where the chart has one."""
    course = span.course
    inside = course and any(last.end > course[0]["bucket"].start and first.start < course[-1]["bucket"].end
                            for first, last, _ in span.incidents)  # fmt: skip
    within = "" if span.watch is span.grain else f" in {ARTICLES[span.watch]}"
    return [("block", "band", f"Errors above {INCIDENT:.0%}{within}")] if inside else []


def _length(span: Span) -> str:
    name = span.window.name
    return name if name[:1].isdigit() and ".." not in name else "window"


def _limit(value: float, unit: Unit) -> str:
    return f"{value:.1%}".replace(".0%", "%") if unit is Unit.SHARE else f"{value:,.0f} ms"


def _plain(subtitle: str, rows: Sequence[Sequence[str]]) -> str:
    return f"{subtitle}: {len(rows)} from {rows[0][0]}" if rows else f"{subtitle}: the window holds no whole one"


def sparkline(values: Sequence[Number | None]) -> list[str]:
    """Closed SVG paths for a box of 100 x 30, their other sides outside of it; a gap where nothing is known."""
    top, last = max((float(value) for value in values if value is not None), default=0) or 1, max(1, len(values) - 1)
    points = [
        None if value is None else (100 * place / last, f"{28 - 26 * float(value) / top:.1f}")
        for place, value in enumerate(values)
    ]
    runs = [[point for point in run if point] for known, run in groupby(points, key=bool) if known]
    return [_area(run) for run in runs if len(run) > 1]


def _area(points: Sequence[tuple[float, str]]) -> str:
    """The line through some points and the sides that close it, which an edge of the box hides."""
    left, right = (x if 0 < x < 100 else x * 1.04 - 2 for x in (points[0][0], points[-1][0]))  # noqa: PLR2004
    line = "L".join(f"{x:.1f},{y}" for x, y in points)
    return f"M{left:.1f},33L{left:.1f},{points[0][1]}L{line}L{right:.1f},{points[-1][1]}L{right:.1f},33Z"
