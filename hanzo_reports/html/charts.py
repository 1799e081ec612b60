"""Lines over time as SVG, one drawing for light, dark and print.

Colours are CSS variables with the light theme's colour behind them. A transparent column over each bucket carries the
text of its tooltip as `aria-label`, which the page's script shows. Drawn here and not by Altair: what a page needs is
two axes and some lines, and to start Altair and its browser engine takes longer than all the rest of the dashboard.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cached_property
from html import escape
from itertools import chain, groupby, pairwise
from math import ceil, floor, log10, sqrt
from typing import TYPE_CHECKING, Any

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
LEFT, TOP, RIGHT, BOTTOM = 44, 8, 6, 24  # room for the labels
LABEL_EVERY, LETTER, APART = 72, 6.2, 8  # pixels: between labels at best, a letter of one, between two at least
THIN = 3  # pixels of a band at least, or nobody sees it
ROWS = 4  # how many parts the height has, about
_MINUTES = (1, 5, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 4320, 7200, 10080, 20160)
_FORMATS = {"month": "{:%b %Y}", "week": "{0.day} {0:%b}", "day": "{0.day} {0:%b}"}  # by the grain; the clock else
_UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "K"))
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Args:
        column: where its numbers stand in the rows.
        color: ``s1``, ``s2``, ``s3`` or ``limit``.
        dashed: whether it stands behind the others, as what was before.
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
        bands: spans (start, end) to mark as bad.
        label: how the axis writes a number; None: shortened, as 1.5K.
        sizes: the widths and heights in pixels to draw it at.
    """

    rows: Sequence[dict[str, Any]]
    lines: tuple[Line, ...]
    grain: str
    bands: Sequence[tuple[datetime, datetime]] = ()
    label: Callable[[float], str] | None = None
    sizes: Sequence[tuple[int, int]] = (WIDE, NARROW)


def drawn(chart: Chart) -> list[str]:
    """A chart as SVG, once for each of its sizes."""
    return [_Frame(chart, width - LEFT - RIGHT, height - TOP - BOTTOM).svg() for width, height in chart.sizes]


@dataclass(frozen=True)
class _Frame:
    """One drawing; places in it are pixels from the upper left corner of the box that its lines fill."""

    chart: Chart
    across: int
    down: int

    @cached_property
    def starts(self) -> list[datetime]:
        """Where each bucket begins."""
        return [row["start"] for row in self.chart.rows]

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The end of the axis of numbers, and the distance of its labels."""
        numbers = (row[line.column] for line in self.chart.lines for row in self.chart.rows)
        return _top(float(max((number for number in numbers if number is not None), default=0)))

    def x(self, instant: datetime) -> float:
        """Pixels from the left."""
        first, last = self.starts[0], self.chart.rows[-1]["end"]
        return self.across * _seconds(first, instant) / _seconds(first, last)

    def y(self, number: float) -> float:
        """Pixels from the top."""
        return self.down * (1 - float(number) / self.scale[0])

    def svg(self) -> str:
        """All of it, from back to front."""
        box = f"0 0 {self.across + LEFT + RIGHT} {self.down + TOP + BOTTOM}"
        inside = "".join(chain(self._numbers(), self._bands(), self._lines(), self._tips(), self._times()))
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" font-size="11" fill="{COLORS["ink"]}">'
        return f'{head}<g transform="translate({LEFT},{TOP})">{inside}</g></svg>'

    def _numbers(self) -> Iterator[str]:
        top, step = self.scale
        for number in (count * step for count in range(round(top / step) + 1)):
            place, text = self.y(number), escape((self.chart.label or _short)(number))
            yield f'<path d="M0,{_n(place)}h{self.across}" stroke="{COLORS["grid"]}"/>'
            yield f'<text x="-8" y="{_n(place + 4)}" text-anchor="end">{text}</text>'

    def _bands(self) -> Iterator[str]:
        for start, end in self.chart.bands:
            left, right = max(self.x(start), 0), min(self.x(end), self.across)
            box = f'x="{_n(left)}" width="{_n(max(right - left, THIN))}" height="{self.down}"'
            if left < right:
                yield f'<rect {box} fill="{COLORS["band"]}"/>'

    def _lines(self) -> Iterator[str]:
        """Lines with a gap where nothing is known, and the areas under them."""
        for line in self.chart.lines:
            if line.floor:
                yield self._between(line)
                continue
            numbers = [(self.x(row["start"]), row[line.column]) for row in self.chart.rows]
            runs = groupby(numbers, lambda place: place[1] is not None)
            points = [[(x, self.y(number)) for x, number in run] for known, run in runs if known]
            curves = [_curve(run) for run in points]
            color = COLORS[line.color]
            if line.filled:
                area = "".join(
                    f"{curve}L{_n(run[-1][0])},{self.down}L{_n(run[0][0])},{self.down}Z"
                    for run, curve in zip(points, curves, strict=True)
                )
                yield f'<path d="{area}" fill="{color}" fill-opacity=".13"/>'
            style = 'stroke-width="1.25" stroke-dasharray="4,3"' if line.dashed else 'stroke-width="1.75"'
            ends = 'stroke-linecap="round" stroke-linejoin="round"'
            yield f'<path d="{"".join(curves)}" fill="none" stroke="{color}" {style} {ends}/>'

    def _between(self, line: Line) -> str:
        """The area between a column and its floor, where both are known."""
        known = [row for row in self.chart.rows if row[line.column] is not None and row[line.floor] is not None]
        if not known:
            return ""
        above, below = (
            [(self.x(row["start"]), self.y(row[name])) for row in known] for name in (line.column, line.floor)
        )
        area = f"{_curve(above)}L{_curve(below[::-1])[1:]}Z"
        return f'<path d="{area}" fill="{COLORS[line.color]}" fill-opacity=".2"/>'

    def _tips(self) -> Iterator[str]:
        yield '<g fill="transparent">'
        for row in self.chart.rows:
            left, right = self.x(row["start"]), self.x(row["end"])
            box = f'x="{_n(left)}" width="{_n(right - left)}" height="{self.down}"'
            yield f'<rect class="tip" aria-label="{escape(row["tip"])}" {box}/>'
        yield "</g>"

    def _times(self) -> Iterator[str]:
        """A day's name at its midnight and for buckets of days, the clock else; left out where there is no room."""
        free = -float(LEFT)
        for tick in _ticks(self.starts, max(2, (self.across + LEFT + RIGHT) // LABEL_EVERY)):
            form = _FORMATS.get(self.chart.grain) or (_FORMATS["day"] if tick.time() == time() else "{:%H:%M}")
            text = form.format(tick)
            place, half = self.x(tick), len(text) * LETTER / 2
            if place - half >= free and place + half <= self.across + RIGHT:
                free = place + half + APART
                yield f'<text x="{_n(place)}" y="{self.down + 18}" text-anchor="middle">{text}</text>'


def _curve(points: Sequence[Point]) -> str:
    """A smooth path through points that rises and falls only where they do; one point alone is a dot.

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
        path += "c" + " ".join(f"{_n(x - here[0])},{_n(y - here[1])}" for x, y in controls)  # relative ones are short
        here = (round(x2 - here[0], 1) + here[0], round(y2 - here[1], 1) + here[1])
    return path


def _tangent(before: float, after: float, width: float, next_width: float) -> float:
    """A point's slope from the slopes and widths on its two sides: 0 at a peak, else no steeper than overshoots."""
    if before * after <= 0:
        return 0
    mean = (before * next_width + after * width) / (width + next_width)
    size = 2 * min(abs(before), abs(after), abs(mean) / 2)
    return size if before > 0 else -size


def _top(most: float) -> tuple[float, float]:
    """The end of an axis from 0 that holds a number, and the distance of its labels: 1, 2 or 5 times a power of ten."""
    most = most or 1
    while True:
        power = 10.0 ** floor(log10(most / ROWS))
        size = most / ROWS / power
        step = power * (10 if size >= sqrt(50) else 5 if size >= sqrt(10) else 2 if size >= sqrt(2) else 1)
        top = ceil(round(most / step, 9)) * step
        if top == most:
            return top, step
        most = top


def _ticks(starts: Sequence[datetime], most: int) -> list[datetime]:
    """The buckets to label: at most so many, on round local times."""
    wall = [start.replace(tzinfo=UTC).timestamp() for start in starts]
    for minutes in _MINUTES:
        found = [start for start, second in zip(starts, wall, strict=True) if second % (60 * minutes) == 0]
        if 2 <= len(found) <= most:  # noqa: PLR2004  # one label alone tells no distance
            return found
    return list(starts[:: -(-len(starts) // most) or 1])


def _seconds(start: datetime, end: datetime) -> float:
    """Seconds from one instant to another: what clocks on the wall say would be an hour off where they change."""
    return end.timestamp() - start.timestamp()


def _short(value: float) -> str:
    unit, letter = next(((unit, letter) for unit, letter in _UNITS if value >= unit), (1, ""))
    return f"{value / unit:g}{letter}"


def _n(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return (
        f"{value:z.1f}".removesuffix(".0").replace("0.", ".") if abs(value) < 1 else f"{value:.1f}".removesuffix(".0")
    )
