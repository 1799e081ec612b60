"""Sparklines: closed paths, a gap where a value is unknown."""

from __future__ import annotations

from hanzo_reports.html.sparkline import draw_sparkline


def test_a_sparkline_has_no_edges_but_its_own():
    whole, *_ = draw_sparkline([1, 2, None, 4, 5])
    _, second = draw_sparkline([1, 2, None, 4, 5])
    assert whole == "M-2.0,33L-2.0,22.8L0.0,22.8L25.0,17.6L25.0,17.6L25.0,33Z"
    assert second == "M75.0,33L75.0,7.2L75.0,7.2L100.0,2.0L102.0,2.0L102.0,33Z"
    assert draw_sparkline([None, 3, None]) == []
