"""The chart of a backtest: how far off each method is, by the day of the period on which it forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import vl_convert

from hanzo_reports.atomic_write import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLORS = {"forecast": "#3d5afe", "run_rate": "#c0203f", "last_7_days": "#0d9488", "seasonal_naive": "#94a3b8",
          "auto_ets": "#8a5a00"}  # fmt: skip
CLASSES = ("all", "steady", "uneven", "bursty")


def write_backtest_chart(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw a backtest into an SVG file, one panel for each class of spend; the file appears whole or not at all.

    Args:
        rows: what `forecast.backtest.backtest` returns.
        path: the file.

    Raises:
        ReportsError: the file cannot be written.
    """
    methods = [method for method in COLORS if any(row["method"] == method for row in rows)]
    scale = alt.Scale(domain=methods, range=[COLORS[method] for method in methods])
    base = alt.Chart(alt.InlineData(values=list(rows)), width=260, height=190).encode(
        x=alt.X("day:O", title="day of the period", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("wape:Q", title="WAPE", axis=alt.Axis(format="%")),
        color=alt.Color("method:N", title=None, scale=scale, legend=alt.Legend(orient="bottom")),
    )
    panels = alt.layer(base.mark_line(), base.mark_point(filled=True))
    order = [name for name in CLASSES if any(row["class"] == name for row in rows)]
    drawing = panels.facet(column=alt.Column("class:N", title=None, sort=order)).resolve_scale(y="independent")
    write_text(path, vl_convert.vegalite_to_svg(drawing.configure(font="Inter, system-ui, sans-serif").to_dict()))
