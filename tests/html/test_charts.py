"""Charts: plain rows to one SVG for every theme."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.html.charts import (
    HALF,
    NARROW,
    WIDE,
    Chart,
    Line,
    _draw_curve,
    _scale_axis,
    _select_ticks,
    draw_chart,
)

LINES = (Line("before", "s3", dashed=True), Line("requests", "s1", filled=True))
MIDNIGHT, HOUR = datetime(2025, 6, 18, tzinfo=UTC), timedelta(hours=1)
SVG = "{http://www.w3.org/2000/svg}"


def rows(n, value=lambda hour: 100 + hour, first=MIDNIGHT):
    """A row an hour."""
    where = first.tzinfo
    return tuple(
        {
            "start": (first.astimezone(UTC) + hour * HOUR).astimezone(where),
            "end": (first.astimezone(UTC) + (hour + 1) * HOUR).astimezone(where),
            "tip": f"Wed {hour:02}:00 · <{hour}> & more",
            "requests": value(hour),
            "before": None,
        }
        for hour in range(n)
    )


def read(svg):
    return ET.fromstring(svg)  # noqa: S314  # ours


def words(svg):
    return [text.text for text in read(svg).iter(f"{SVG}text")]


def boxes(svg, *, tip=True):
    return [
        (float(rect.attrib["x"]), float(rect.attrib["width"]))
        for rect in read(svg).iter(f"{SVG}rect")
        if ("aria-label" in rect.attrib) == tip
    ]


def traced(path):
    """The points of each piece of one path, the controls first, in pixels from the corner."""
    head, *pieces = path.split("c")
    pieces_of_path = [[tuple(map(float, head[1:].split(",")))]]
    for piece in pieces:
        left, top = pieces_of_path[-1][-1]
        steps = [tuple(map(float, point.split(","))) for point in piece.split(" ")]
        pieces_of_path.append([(left + x, top + y) for x, y in steps])
    return pieces_of_path


@pytest.fixture(scope="module")
def svgs():
    return draw_chart(Chart(rows(24), LINES, "hour", [(MIDNIGHT + 9 * HOUR, MIDNIGHT + 10 * HOUR)]))


def test_it_is_drawn_at_each_size_and_scales_with_its_box(svgs):
    assert [read(svg).attrib["viewBox"] for svg in svgs] == [f"0 0 {w} {h}" for w, h in (WIDE, NARROW)]
    assert "width" not in read(svgs[0]).attrib


def test_its_colours_are_the_themes(svgs):
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svgs[0])) - {"none", "transparent"}
    assert colours == {
        "var(--hz-s1,#3d5afe)", "var(--hz-s3,#94a3b8)", "var(--hz-band,#fbd5dd)",
        "var(--hz-muted,#64748b)", "var(--hz-grid,#eef0f4)",
    }  # fmt: skip


def test_each_bucket_has_its_tooltip_and_nothing_else_has_a_label(svgs):
    labels = [element.attrib["aria-label"] for element in read(svgs[0]).iter() if "aria-label" in element.attrib]
    assert labels == [f"Wed {hour:02}:00 · <{hour}> & more" for hour in range(24)]
    assert boxes(svgs[0])[:2] == [(0, 39.6), (39.6, 39.6)]  # 950 pixels are 24 hours
    assert boxes(svgs[0], tip=False) == [(356.2, 39.6)]


def test_a_point_stands_where_its_numbers_say():
    (svg,) = draw_chart(Chart(rows(4, lambda hour: (0, 50, 100, 25)[hour]), LINES[1:], "hour", sizes=(HALF,)))
    line = re.search(r'd="(M[^"]+)" fill="none"', svg)[1]
    across, down = zip(*(piece[-1] for piece in traced(line)), strict=True)  # 420 x 230 pixels: 4 hours, 0 to 100
    assert across == pytest.approx((0, 105, 210, 315))
    assert down == pytest.approx((230, 115, 0, 172.5))


def test_the_clock_is_the_one_on_the_wall(svgs):
    labels = words(svgs[0])
    assert [text for text in labels if ":" in text or "Jun" in text][:3] == ["18 Jun", "02:00", "04:00"]
    assert {"0", "50", "100", "150"} <= set(labels)


def test_an_hour_that_comes_twice_has_room_for_both():
    berlin = datetime(2025, 10, 26, tzinfo=ZoneInfo("Europe/Berlin"))
    chart = Chart(rows(25, first=berlin), LINES, "hour")
    lefts = [left for left, _ in boxes(draw_chart(chart)[0])]
    assert lefts == sorted(set(lefts))
    assert {round(width) for _, width in boxes(draw_chart(chart)[0])} == {38}
    assert words(draw_chart(chart)[0])[-1] == "22:00"


def test_numbers_are_short_or_as_the_chart_says():
    large = rows(5, lambda hour: 1_500 * hour)
    assert {"0", "2K", "4K", "6K"} <= set(words(draw_chart(Chart(large, LINES, "hour"))[0]))
    assert "2,000" in words(draw_chart(Chart(large, LINES, "hour", label="{:,.0f}".format))[0])


@pytest.mark.parametrize(("grain", "labels"), [("day", ["18 Jun", "19 Jun"]), ("month", ["Jun 2025"])])
def test_days_and_months_have_names(grain, labels):
    days = [row | {"start": MIDNIGHT + place * 24 * HOUR, "end": MIDNIGHT + (place + 1) * 24 * HOUR}
            for place, row in enumerate(rows(2))]  # fmt: skip
    assert [text for text in words(draw_chart(Chart(days, LINES, grain))[0]) if "Jun" in text][: len(labels)] == labels


def test_few_labels_on_round_times():
    hours = [MIDNIGHT + place * HOUR for place in range(7 * 24)]
    assert len(_select_ticks(hours, 13)) == 7
    quarters = [MIDNIGHT + place * HOUR / 4 for place in range(96)]
    assert [tick.hour for tick in _select_ticks(quarters, 4)] == [0, 6, 12, 18]
    assert len(_select_ticks(hours[5:7], 13)) == 2
    assert _select_ticks([], 13) == []


def test_labels_keep_apart():
    hours = rows(24 * 7)
    for size in (WIDE, NARROW, HALF):
        (svg,) = draw_chart(Chart(hours, LINES, "hour", sizes=(size,)))
        edges = [
            (float(text.attrib["x"]) - len(text.text) * 3.1, float(text.attrib["x"]) + len(text.text) * 3.1)
            for text in read(svg).iter(f"{SVG}text")
            if text.attrib["text-anchor"] == "middle"
        ]
        assert len(edges) >= 3
        assert all(end + 8 <= start for (_, end), (start, _) in pairwise(edges))
        assert edges[-1][1] <= size[0] - 44


@given(st.floats(1e-6, 1e12))
def test_the_axis_of_numbers_ends_above_them_on_a_round_one(most):
    top, step = _scale_axis(most)
    assert most <= top * (1 + 1e-9)
    assert 1.4 <= top / step <= 7
    assert f"{step:e}"[0] in "125"


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=30))
def test_a_curve_rises_and_falls_only_where_its_points_do(values):
    path = _draw_curve([(10.0 * place, value) for place, value in enumerate(values)])
    pieces = traced(path)
    assert [y for *_, (_, y) in pieces] == pytest.approx(values, abs=0.051)
    for before, after in pairwise(pieces):
        low, high = sorted((before[-1][1], after[-1][1]))
        assert all(low - 0.11 <= y <= high + 0.11 for _, y in after)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_any_data_is_drawn_too(n):
    assert read(draw_chart(Chart(rows(n), LINES, "day", sizes=(HALF,)))[0]).tag.endswith("svg")


def test_nothing_but_zeros_lies_on_the_ground():
    (svg,) = draw_chart(Chart(rows(3, lambda _: 0), LINES[1:], "hour", sizes=(HALF,)))
    assert re.search(r'd="M0,230[^"]+" fill="none"', svg)


def test_a_gap_breaks_the_line_and_a_lonely_point_is_a_dot():
    values = [None if hour in {8, 9, 11} else 5 for hour in range(24)]
    (svg,) = draw_chart(Chart(rows(24, values.__getitem__), LINES[1:], "hour", sizes=(HALF,)))
    (line,) = re.findall(r'd="(M[^"]*)" fill="none"', svg)
    assert line.count("M") == 3
    assert line.count("h0") == 1
