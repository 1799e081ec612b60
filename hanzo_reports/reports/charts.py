"""Lines over time: plain rows in, Altair's specification, one SVG for light, dark and print out.

Colours are CSS variables with the light theme's colour behind them. A transparent column over each bucket carries the
text of its tooltip as `aria-label`, which the page's script shows. As a program it draws for another process: a chart
as a line of JSON in, its drawings as a line of JSON out.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import altair as alt
import vl_convert

from hanzo_reports.reports.chart import Chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.reports.chart import Line

FONT = "Inter, system-ui, sans-serif"
COLORS = {
    "s1": "var(--hz-s1,#3d5afe)",
    "s2": "var(--hz-s2,#0d9488)",
    "s3": "var(--hz-s3,#94a3b8)",
    "bad": "var(--hz-band,#fbd5dd)",
}
INK, GRID = "var(--hz-muted,#64748b)", "var(--hz-grid,#eef0f4)"
PADDING = {"left": 44, "top": 8, "right": 6, "bottom": 24}  # room for the labels; measuring it doubles the time
LABEL_EVERY = 72  # pixels
_MINUTES = (1, 5, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10080, 20160)
_LABEL = (  # a day's name at its midnight and for buckets of days, the clock else
    "labels == 'month' ? utcFormat(datum.value, '%b %Y') : "
    "labels == 'day' || utchours(datum.value) + utcminutes(datum.value) == 0 ? utcFormat(datum.value, '%-d %b') : "
    "utcFormat(datum.value, '%H:%M')"
)
_LABELS = {"month": "month", "week": "day", "day": "day"}  # by the bucket's grain; the clock else


@cache
def specification(lines: tuple[Line, ...]) -> dict[str, Any]:
    """Lines over time as a Vega specification without data: bands, areas, lines, and the columns with the tooltips."""
    axis = alt.Axis(grid=False, ticks=False, values=alt.ExprRef("ticks"), labelExpr=_LABEL, labelBound=True)
    x = alt.X("start:T", scale=alt.Scale(type="utc", nice=False), title=None, axis=axis)
    axis = alt.Axis(domain=False, ticks=False, tickCount=4, labelExpr="format(datum.value, digits)")
    base = alt.Chart()
    bands = alt.Chart(alt.NamedData("bands")).mark_rect(color=COLORS["bad"], aria=False).encode(x=x, x2="end:T")
    layers: list[Any] = [bands]
    for line in lines:
        y = alt.Y(f"{line.column}:Q", title=None, axis=axis, scale=alt.Scale(nice=4))
        style: dict[str, Any] = {"color": COLORS[line.color], "interpolate": "monotone", "aria": False}
        if line.filled:
            layers.append(base.mark_area(opacity=0.13, **style).encode(x=x, y=y))
        style |= {"strokeDash": [4, 3], "strokeWidth": 1.25} if line.dashed else {"strokeWidth": 1.75}
        layers.append(base.mark_line(**style).encode(x=x, y=y))
    layers.append(base.mark_rect(opacity=0).encode(x=x, x2="end:T", description="tip:N"))
    drawing = alt.layer(*layers, data=alt.NamedData("rows")).configure(
        font=FONT, background="transparent", autosize=alt.AutoSizeParams(type="none"), padding=PADDING
    )
    drawing = drawing.configure_view(stroke=None).configure_axis(
        labelColor=INK, labelFontSize=11, labelPadding=8, gridColor=GRID, domainColor=GRID,
        labelOverlap="greedy", labelSeparation=8, aria=False,
    )  # fmt: skip
    empty = {"params": [{"name": name, "value": ""} for name in ("ticks", "labels", "digits")], "width": 1, "height": 1}
    made: dict[str, Any] = vl_convert.vegalite_to_vega(drawing.to_dict(validate=False) | empty)
    return made


def drawn(chart: Chart) -> list[str]:
    """A chart as SVG, once for each of its sizes."""
    spec = specification(chart.lines)
    data = {"rows": list(chart.rows), "bands": [{"start": start, "end": end} for start, end in chart.bands]}
    starts = [str(row["start"]) for row in chart.rows]
    made = []
    for width, height in chart.sizes:
        ticks = _ticks(starts, max(2, width // LABEL_EVERY))
        signals = {"ticks": ticks, "labels": _LABELS.get(chart.grain, "clock"), "digits": chart.digits}
        full = spec | {
            "width": width - PADDING["left"] - PADDING["right"],
            "height": height - PADDING["top"] - PADDING["bottom"],
            "data": _given(spec["data"], "values", data),
            "signals": _given(spec["signals"], "value", signals),
        }
        made.append(_lean(vl_convert.vega_to_svg(full)))
    return made


def main() -> None:
    """Charts drawn for another process, until it has no more."""
    for text in sys.stdin:
        sys.stdout.write(json.dumps(drawn(Chart.read(text))) + "\n")


def _given(entries: Sequence[dict[str, Any]], key: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """A specification's entries, those of the given names with their values."""
    return [entry | {key: values[entry["name"]]} if entry["name"] in values else entry for entry in entries]


def _ticks(starts: Sequence[str], most: int) -> list[int]:
    """Milliseconds of the buckets to label: at most so many, on round local times."""
    epoch = [int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()) for start in starts]
    for minutes in _MINUTES:
        found = [1000 * second for second in epoch if second % (60 * minutes) == 0]
        if 2 <= len(found) <= most:  # noqa: PLR2004  # one label alone tells no distance
            return found
    return [1000 * second for second in epoch[:: -(-len(epoch) // most) or 1]]


def _lean(svg: str) -> str:
    """An SVG that scales with its box, coordinates to a tenth of a pixel, without what says nothing."""
    svg = re.sub(r'(<svg [^>]*?) width="[\d.]+" height="[\d.]+"', r"\1", svg, count=1)
    svg = re.sub(r'<path class="(?:back|fore)ground"[^>]*/>', "", svg)
    svg = re.sub(r'<path (aria-label="[^"]*").*? (d="[^"]*")[^>]*>', r'<path class="tip" \1 \2 opacity="0"/>', svg)
    dull = (
        r'role|aria-roledescription|aria-hidden|stroke-miterlimit|pointer-events|font-family|font-size|opacity(?==\"1")'
    )
    svg = re.sub(rf' (?:{dull})="[^"]*"', "", svg)
    return re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", svg)


if __name__ == "__main__":
    main()
