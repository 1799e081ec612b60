"""Lines over time as SVG, one drawing for light, dark and print.

Colours are CSS variables with the light theme's colour as fallback. A transparent column over each bucket carries the
text of its tooltip as `aria-label`, which the page's script shows. The charts are not drawn by Altair, because starting
Altair and its browser engine takes longer than the rest of the dashboard.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cached_property
from html import escape
from itertools import chain, groupby, pairwise
from math import ceil, floor, log10, sqrt
from typing import TYPE_CHECKING, Any

from hanzo_reports.html.text import MAX_TEXT_LENGTH, reveal_hidden, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WIDE, NARROW, HALF = (1000, 250), (326, 190), (470, 262)
COLORS = {
    "s1": "var(--hz-s1,#3d5afe)",
    "s2": "var(--hz-s2,#0d9488)",
    "s3": "var(--hz-s3,#94a3b8)",
    "band": "var(--hz-band,#fbd5dd)",
    "limit": "var(--hz-bad,#c0203f)",
    "ink": "var(--hz-muted,#64748b)",
    "grid": "var(--hz-grid,#eef0f4)",
}
LEFT, TOP, RIGHT, BOTTOM = 44, 8, 6, 24  # pixels around the plot, for the labels
LABEL_SPACING, LETTER_WIDTH, LABEL_GAP = 72, 6.2, 8  # pixels: wanted between labels, of a letter, least between labels
MIN_BAND_WIDTH = 3  # pixels; a narrower band is hard to see
GRID_ROWS = 4  # about how many parts the axis of numbers has
_MINUTES = (1, 5, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 4320, 7200, 10080, 20160)
_TIME_FORMATS = {"month": "{:%b %Y}", "week": "{0.day} {0:%b}", "day": "{0.day} {0:%b}"}  # other grains show the clock
_MULTIPLES = ((1e9, "B"), (1e6, "M"), (1e3, "K"))
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Args:
        column: the rows' column with its numbers.
        color: ``s1``, ``s2``, ``s3`` or ``limit``.
        dashed: whether the line is thin and dashed, as for previous values.
        filled: whether the area under it is tinted.
        floor: the column of a lower edge: the area between both is tinted, and no line is drawn; empty: a line.
    """

    column: str
    color: str = "s1"
    dashed: bool = False
    filled: bool = False
    floor: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines over time.

    Args:
        rows: one for each bucket: `start` and `end` in the zone of its labels, `tip`, and the lines' columns.
        lines: what to draw, the last one on top.
        grain: the bucket's length, a value of `hanzo_reports.units.Grain`.
        bands: intervals (start, end) to mark as bad.
        label: formats a number of the axis; None: short, as 1.5K.
        sizes: the widths and heights in pixels to draw it at.
    """

    rows: Sequence[dict[str, Any]]
    lines: tuple[Line, ...]
    grain: str
    bands: Sequence[tuple[datetime, datetime]] = ()
    label: Callable[[float], str] | None = None
    sizes: Sequence[tuple[int, int]] = (WIDE, NARROW)


def draw_chart(chart: Chart) -> list[str]:
    """A chart as SVG, once for each of its sizes."""
    return [_Drawing(chart, width - LEFT - RIGHT, height - TOP - BOTTOM).svg() for width, height in chart.sizes]


@dataclass(frozen=True)
class _Drawing:
    """One drawing; its coordinates are pixels from the upper left corner of the plot."""

    chart: Chart
    width: int
    height: int

    @cached_property
    def starts(self) -> list[datetime]:
        """The start of each bucket."""
        return [row["start"] for row in self.chart.rows]

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The end of the axis of numbers, and the distance between its labels."""
        numbers = (row[line.column] for line in self.chart.lines for row in self.chart.rows)
        return _scale_axis(float(max((number for number in numbers if number is not None), default=0)))

    def x(self, instant: datetime) -> float:
        """Pixels from the left."""
        first, last = self.starts[0], self.chart.rows[-1]["end"]
        return self.width * _seconds_between(first, instant) / _seconds_between(first, last)

    def y(self, number: float) -> float:
        """Pixels from the top."""
        return self.height * (1 - float(number) / self.scale[0])

    def svg(self) -> str:
        """The whole drawing, from back to front."""
        box = f"0 0 {self.width + LEFT + RIGHT} {self.height + TOP + BOTTOM}"
        inside = "".join(chain(self._grid_lines(), self._bands(), self._lines(), self._tips(), self._time_labels()))
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" font-size="11" fill="{COLORS["ink"]}">'
        return f'{head}<g transform="translate({LEFT},{TOP})">{inside}</g></svg>'

    def _grid_lines(self) -> Iterator[str]:
        top, step = self.scale
        for number in (count * step for count in range(round(top / step) + 1)):
            place, text = self.y(number), escape((self.chart.label or _shorten_number)(number))
            yield f'<path d="M0,{_n(place)}h{self.width}" stroke="{COLORS["grid"]}"/>'
            yield f'<text x="-8" y="{_n(place + 4)}" text-anchor="end">{text}</text>'

    def _bands(self) -> Iterator[str]:
        for start, end in self.chart.bands:
            left, right = max(self.x(start), 0), min(self.x(end), self.width)
            box = f'x="{_n(left)}" width="{_n(max(right - left, MIN_BAND_WIDTH))}" height="{self.height}"'
            if left < right:
                yield f'<rect {box} fill="{COLORS["band"]}"/>'

    def _lines(self) -> Iterator[str]:
        """Lines with a gap where a number is unknown, and the areas under them."""
        for line in self.chart.lines:
            if line.floor:
                yield self._area_between(line)
                continue
            numbers = [(self.x(row["start"]), row[line.column]) for row in self.chart.rows]
            runs = groupby(numbers, lambda place: place[1] is not None)
            points = [[(x, self.y(number)) for x, number in run] for known, run in runs if known]
            curves = [_draw_curve(run) for run in points]
            color = COLORS[line.color]
            if line.filled:
                area = "".join(
                    f"{curve}L{_n(run[-1][0])},{self.height}L{_n(run[0][0])},{self.height}Z"
                    for run, curve in zip(points, curves, strict=True)
                )
                yield f'<path d="{area}" fill="{color}" fill-opacity=".13"/>'
            style = 'stroke-width="1.25" stroke-dasharray="4,3"' if line.dashed else 'stroke-width="1.75"'
            ends = 'stroke-linecap="round" stroke-linejoin="round"'
            yield f'<path d="{"".join(curves)}" fill="none" stroke="{color}" {style} {ends}/>'

    def _area_between(self, line: Line) -> str:
        """The area between a column and its floor, where both are known."""
        known = [row for row in self.chart.rows if row[line.column] is not None and row[line.floor] is not None]
        if not known:
            return ""
        above, below = (
            [(self.x(row["start"]), self.y(row[name])) for row in known] for name in (line.column, line.floor)
        )
        area = f"{_draw_curve(above)}L{_draw_curve(below[::-1])[1:]}Z"
        return f'<path d="{area}" fill="{COLORS[line.color]}" fill-opacity=".2"/>'

    def _tips(self) -> Iterator[str]:
        yield '<g fill="transparent">'
        for row in self.chart.rows:
            left, right = self.x(row["start"]), self.x(row["end"])
            box = f'x="{_n(left)}" width="{_n(right - left)}" height="{self.height}"'
            tip = escape(reveal_hidden(shorten(row["tip"], MAX_TEXT_LENGTH)))
            yield f'<rect class="tip" aria-label="{tip}" {box}/>'
        yield "</g>"

    def _time_labels(self) -> Iterator[str]:
        """The day at midnight and for buckets of days, else the clock; a label without room is left out."""
        free = -float(LEFT)
        for tick in _select_ticks(self.starts, max(2, (self.width + LEFT + RIGHT) // LABEL_SPACING)):
            clock = _TIME_FORMATS["day"] if tick.time() == time() else "{:%H:%M}"
            text = _TIME_FORMATS.get(self.chart.grain, clock).format(tick)
            place, half = self.x(tick), len(text) * LETTER_WIDTH / 2
            if place - half >= free and place + half <= self.width + RIGHT:
                free = place + half + LABEL_GAP
                yield f'<text x="{_n(place)}" y="{self.height + 18}" text-anchor="middle">{text}</text>'


def _draw_curve(points: Sequence[Point]) -> str:
    """A smooth path through points that rises and falls only where they do; a single point is a dot.

    Source: Steffen, A simple method for monotonic interpolation in one dimension (1990), as d3's curveMonotoneX.
    """
    here = (round(points[0][0], 1), round(points[0][1], 1))
    path = f"M{_n(here[0])},{_n(here[1])}"
    if len(points) == 1:
        return f"{path}h0"
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairwise(points)]
    widths = [x2 - x1 for (x1, _), (x2, _) in pairwise(points)]
    inner = [_tangent(a, b, h, k) for (a, b), (h, k) in zip(pairwise(slopes), pairwise(widths), strict=True)]
    ends = (slopes[0], slopes[-1]) if not inner else ((3 * slopes[0] - inner[0]) / 2, (3 * slopes[-1] - inner[-1]) / 2)
    tangents = [ends[0], *inner, ends[1]]
    for ((x1, y1), (x2, y2)), (t1, t2) in zip(pairwise(points), pairwise(tangents), strict=True):
        third = (x2 - x1) / 3
        controls = ((x1 + third, y1 + third * t1), (x2 - third, y2 - third * t2), (x2, y2))
        path += "c" + " ".join(f"{_n(x - here[0])},{_n(y - here[1])}" for x, y in controls)  # relative: shorter
        here = (round(x2 - here[0], 1) + here[0], round(y2 - here[1], 1) + here[1])
    return path


def _tangent(before: float, after: float, width: float, next_width: float) -> float:
    """A point's slope from the slopes and widths on its two sides: 0 at a peak, else flat enough not to overshoot."""
    if before * after <= 0:
        return 0
    mean = (before * next_width + after * width) / (width + next_width)
    size = 2 * min(abs(before), abs(after), abs(mean) / 2)
    return size if before > 0 else -size


def _scale_axis(largest: float) -> tuple[float, float]:
    """The end of an axis from 0 that holds a number, and the step between labels: 1, 2 or 5 times a power of ten."""
    largest = largest or 1
    while True:
        power = 10.0 ** floor(log10(largest / GRID_ROWS))
        size = largest / GRID_ROWS / power
        step = power * (10 if size >= sqrt(50) else 5 if size >= sqrt(10) else 2 if size >= sqrt(2) else 1)
        top = ceil(round(largest / step, 9)) * step
        if top == largest:
            return top, step
        largest = top


def _select_ticks(starts: Sequence[datetime], limit: int) -> list[datetime]:
    """The buckets to label: at most `limit`, on round local times."""
    wall_clock = [start.replace(tzinfo=UTC).timestamp() for start in starts]
    for minutes in _MINUTES:
        ticks = [start for start, second in zip(starts, wall_clock, strict=True) if second % (60 * minutes) == 0]
        if 2 <= len(ticks) <= limit:  # noqa: PLR2004  # a single label shows no distance
            return ticks
    return list(starts[:: -(-len(starts) // limit) or 1])


def _seconds_between(start: datetime, end: datetime) -> float:
    """Seconds that pass between two instants; the difference of local times would be off where clocks change."""
    return end.timestamp() - start.timestamp()


def _shorten_number(value: float) -> str:
    size, letter = next(((size, letter) for size, letter in _MULTIPLES if value >= size), (1, ""))
    return f"{value / size:g}{letter}"


def _n(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return (
        f"{value:z.1f}".removesuffix(".0").replace("0.", ".") if abs(value) < 1 else f"{value:.1f}".removesuffix(".0")
    )
