"""Sparklines: the shape of a series, without axes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.formats import Number

Point = tuple[float, str]


def draw_sparkline(values: Sequence[Number | None]) -> list[str]:
    """Closed SVG paths for a box of 100 x 30; the sides that close them lie outside of it.

    Args:
        values: the series; where one is None, the line has a gap.
    """
    largest, last = (
        max((float(value) for value in values if value is not None), default=0) or 1,
        max(1, len(values) - 1),
    )
    points = [
        None if value is None else (100 * place / last, f"{28 - 26 * float(value) / largest:.1f}")
        for place, value in enumerate(values)
    ]
    runs = [[point for point in run if point] for known, run in groupby(points, key=bool) if known]
    return [_close_path(run) for run in runs if len(run) > 1]


def _close_path(points: Sequence[Point]) -> str:
    left, right = (x if 0 < x < 100 else x * 1.04 - 2 for x in (points[0][0], points[-1][0]))  # noqa: PLR2004
    line = "L".join(f"{x:.1f},{y}" for x, y in points)
    return f"M{left:.1f},33L{left:.1f},{points[0][1]}L{line}L{right:.1f},{points[-1][1]}L{right:.1f},33Z"
