"""The panels that reports are made of: plain values in, HTML and plain text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hanzo_reports.formats import Change, Number, describe_change, format_short, format_value
from hanzo_reports.html.charts import Chart, draw_chart
from hanzo_reports.html.components import Panel, render_fragment
from hanzo_reports.html.sparkline import draw_sparkline
from hanzo_reports.html.text import MAX_LABEL_LENGTH, MAX_TEXT_LENGTH, reveal_hidden, shorten, show_name
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from hanzo_reports.metrics.metric import Metric

Legend: TypeAlias = Sequence[tuple[str, str, str]]  # shape (rule, dash, block), color, text

NO_CHANGE = Change("", "", "even")
NO_REQUESTS = "No requests in this window"


@dataclass(frozen=True)
class Tile:
    """A key figure.

    Args:
        name: the metric's name, for scripts.
        title: its heading.
        value: the figure, short.
        note: the line below it.
        meaning: the tooltip of the title.
        exact: the tooltip of the value; empty: the value.
        change: against the previous period.
        warning: a second line, highlighted.
        line: SVG paths of its sparkline.
    """

    name: str
    title: str
    value: str
    note: str
    meaning: str = ""
    exact: str = ""
    change: Change = NO_CHANGE
    warning: str = ""
    line: Sequence[str] = ()


@dataclass(frozen=True)
class RankingRow:
    """One group of a ranking.

    Args:
        name: the group's.
        value: short.
        share: the faint column beside it: the share of the whole, or another figure.
        bar: the bar's length in percent, with digits.
        exact: the tooltip of the value.
        change: against the previous period.
        vague: whether the group has no name of its own.
    """

    name: str
    value: str
    share: str
    bar: str
    exact: str
    change: Change = NO_CHANGE
    vague: bool = False


@dataclass(frozen=True)
class Note:
    """A sentence: `lead` is in bold; `tone` is ``good``, ``bad`` or ``even``."""

    lead: str
    rest: str
    tone: str = "even"


@dataclass(frozen=True)
class StateRow:
    """A metric or a check with its state; `limit` is its threshold or severity, `tone` the colour."""

    title: str
    meaning: str
    value: str
    limit: str
    tone: str
    state: str


@dataclass(frozen=True)
class Cell:
    """A cell of a grid.

    Args:
        text: its text.
        note: a second line, smaller.
        bars: pairs of colour and percent; the text is their tooltip.
        tone: of the bars.
        pill: the tone of a pill around the text; empty: none.
        best: whether the text stands out.
    """

    text: str
    note: str = ""
    bars: Sequence[tuple[str, str]] = ()
    tone: str = ""
    pill: str = ""
    best: bool = False


def metric_tile(
    metric: Metric, current: Number | None, previous: Number | None, series: Sequence[Number | None], warning: str = ""
) -> Tile:
    """A metric as a tile: its value, its change, the previous value, and its course as a sparkline."""
    return Tile(
        name=metric.name,
        title=metric.title,
        value=format_short(current, metric.unit),
        note="no previous data" if previous is None else f"previous {format_short(previous, metric.unit)}",
        meaning=metric.meaning,
        exact=format_value(current, metric.unit, "table"),
        change=describe_change(current, previous, metric.direction),
        warning=warning,
        line=draw_sparkline(series),
    )


def rank_groups(
    groups: Iterable[tuple[str | None, Number, Number | None]], dimension: str, metric: Metric
) -> list[RankingRow]:
    """The rows of a ranking by an additive metric.

    Args:
        groups: name (None: requests without one), current and previous value of each, in the order to show.
        dimension: what they are groups of.
        metric: the metric of the values.
    """
    groups = [group for group in groups if group[1]]
    total, largest = sum(current for _, current, _ in groups), max((current for _, current, _ in groups), default=0)
    return [
        RankingRow(
            name=show_name(name or f"no {dimension.replace('_', ' ')}"),
            value=format_short(current, metric.unit),
            share=f"{float(current / total):.1%}",  # type: ignore[operator]  # all are of one type
            bar=f"{max(100 * float(current / largest), 0):.1f}",  # type: ignore[operator]  # as above
            exact=format_value(current, metric.unit, "table"),
            change=describe_change(current, previous, metric.direction),
            vague=name is None,
        )
        for name, current, previous in groups
    ]


def describe_ranking(metric: Metric) -> str:
    """The subtitle of a ranking by an additive metric."""
    return "US dollars, where a price is known" if metric.unit is Unit.USD else f"Share of {metric.title.lower()}"


def build_tiles(tiles: Sequence[Tile], facts: Mapping[str, Any] | None = None) -> Panel:
    """Key figures in a row."""
    lines = [
        " ".join(filter(None, (f"{tile.title}:", tile.value, tile.change.text, f"({tile.note})"))) for tile in tiles
    ]
    return _build("tiles", "", lines, facts=facts, tiles=tiles)


def build_takeaway(sentence: str) -> Panel:
    """The report in a sentence or two."""
    return _build("takeaway", "", [sentence], sentence=sentence)


def build_chart(  # noqa: PLR0913  # a chart has many sides
    title: str,
    subtitle: str,
    chart: Chart,
    legend: Legend,
    columns: Sequence[str],
    *,
    rows: Sequence[Sequence[str]] | None = None,
    text: str = "",
    wide: bool = True,
) -> Panel:
    """A chart with its legend and its table.

    Args:
        title: its heading.
        subtitle: what it shows, with unit and grain.
        chart: the chart; without rows it is not drawn.
        legend: of its lines and bands.
        columns: the heads of the table.
        rows: of the table; None: the `cells` of the chart's rows.
        text: the plain text; empty: the subtitle, and what the table holds.
        wide: whether it takes the page's full width.
    """
    rows = [row["cells"] for row in chart.rows] if rows is None else rows
    extent = f"{len(rows)} from {rows[0][0]}" if rows else f"no complete {chart.grain} in this window"
    return _build(
        "chart", title, (text or f"{subtitle}: {extent}").split("\n"), wide=wide, subtitle=subtitle, rows=rows,
        drawings=draw_chart(chart) if chart.rows else [],
        legend=[(shape, color, show_name(label, MAX_LABEL_LENGTH)) for shape, color, label in legend],
        columns=[show_name(column, MAX_LABEL_LENGTH) for column in columns],
    )  # fmt: skip


def build_ranking(title: str, subtitle: str, rows: Sequence[RankingRow], *, empty: str = "none") -> Panel:
    """Groups with a bar each, the largest first; `empty` is the plain text without any."""
    lines = [f"{row.name}: {row.value} ({row.share})" for row in rows]
    return _build("ranking", title, lines or [empty], wide=False, subtitle=subtitle, rows=rows)


def build_grid(
    title: str, subtitle: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], legend: Legend = ()
) -> Panel:
    """A table of cells."""
    lines = [" · ".join(cell.text for cell in row) for row in rows]
    return _build("grid", title, lines or ["none"], subtitle=subtitle, legend=legend, columns=columns, rows=rows)


def build_notes(title: str, subtitle: str, notes: Sequence[Note], *, wide: bool = False) -> Panel:
    """Sentences."""
    lines = [note.lead + note.rest for note in notes]
    return _build("notes", title, lines or ["nothing to report"], wide=wide, subtitle=subtitle, notes=notes)


def build_health(title: str, subtitle: str, rows: Sequence[StateRow]) -> Panel:
    """Metrics against their thresholds."""
    lines = [f"{row.title}: {row.value} {row.limit} {row.state}" for row in rows]
    return _build("health", title, lines, wide=False, subtitle=subtitle, rows=rows)


def build_checks(title: str, subtitle: str, rows: Sequence[StateRow], passed: Sequence[StateRow]) -> Panel:
    """Checks that failed, and below them those that did not."""
    lines = [f"{row.title}: {row.state} ({row.value})" for row in (*rows, *passed)]
    html = render_fragment("checks", title=title, subtitle=subtitle, rows=rows, passed=passed)
    return Panel("health", title, html, _join_lines(lines or [subtitle]))


def build_notice(title: str, lines: Sequence[str]) -> Panel:
    """What to do where there is no data; its plain text repeats the title."""
    return _build("notice", title, [title, *lines], lines=lines)


def build_empty(kind: str, title: str, *, wide: bool = True) -> Panel:
    """A panel of that kind for a window without requests; without a title it is empty."""
    html = render_fragment("empty", title=title, subtitle=NO_REQUESTS) if title else ""
    return Panel(kind, title, html, f"{NO_REQUESTS}." if title else "", wide)


def build_downloads(files: Sequence[Mapping[str, Any]]) -> Panel:
    """Links to files.

    Args:
        files: `name`, `href`, `rows` and `columns` of each; all but `href` are facts of the part. A file without `href`
            is not linked.
    """
    lines = [f"{file['name']}: {file['rows']:,} rows" for file in files]
    facts = [{key: file[key] for key in ("name", "rows", "columns")} for file in files]
    links = [file for file in files if "href" in file]
    return _build("downloads", "", lines, facts={"files": facts}, files=links)


def _build(
    kind: str,
    title: str,
    lines: Sequence[str],
    /,
    *,
    wide: bool = True,
    facts: Mapping[str, Any] | None = None,
    **values: Any,  # noqa: ANN401  # the arguments of the kind's macro
) -> Panel:
    html = render_fragment(kind, **({"title": title} if title else {}), **values)
    return Panel(kind, show_name(title), html, _join_lines(lines), wide, facts or {})


def _join_lines(lines: Iterable[str]) -> str:
    return "\n".join(reveal_hidden(shorten(line, MAX_TEXT_LENGTH)) for line in lines)
