"""Charts: plain rows to one SVG for every theme."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest

from hanzo_reports.reports.chart import HALF, NARROW, WIDE, Chart, Draftsman, Line
from hanzo_reports.reports.charts import _ticks, drawn

LINES = (Line("before", "s3", dashed=True), Line("requests", "s1", filled=True))


def rows(n, value=lambda hour: 100 + hour):
    """A row an hour."""
    return tuple(
        {
            "start": f"2025-06-18T{hour:02}:00:00",
            "end": f"2025-06-18T{hour:02}:59:59",
            "tip": f"Wed {hour:02}:00 · <{hour}> & more",
            "requests": value(hour),
            "before": None,
        }
        for hour in range(n)
    )


@pytest.fixture(scope="module")
def svgs():
    return drawn(Chart(rows(24), LINES, "hour", [("2025-06-18T09:00:00", "2025-06-18T10:00:00")]))


def test_it_is_drawn_at_each_size_and_scales_with_its_box(svgs):
    assert [ET.fromstring(svg).attrib["viewBox"] for svg in svgs] == [f"0 0 {w} {h}" for w, h in (WIDE, NARROW)]  # noqa: S314
    assert "width" not in ET.fromstring(svgs[0]).attrib  # noqa: S314


def test_its_colours_are_the_themes(svgs):
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svgs[0])) - {"none", "transparent"}
    assert colours == {
        "var(--hz-s1,#3d5afe)", "var(--hz-s3,#94a3b8)", "var(--hz-band,#fbd5dd)",
        "var(--hz-muted,#64748b)", "var(--hz-grid,#eef0f4)",
    }  # fmt: skip


def test_each_bucket_has_its_tooltip_and_nothing_else_has_a_label(svgs):
    elements = ET.fromstring(svgs[0]).iter()  # noqa: S314
    labels = [element.attrib["aria-label"] for element in elements if "aria-label" in element.attrib]
    assert labels == [f"Wed {hour:02}:00 · <{hour}> & more" for hour in range(24)]


def test_the_clock_is_the_one_on_the_wall(svgs):
    words = re.findall(r">([^<>]+)</text>", svgs[0])
    assert words[:3] == ["18 Jun", "02:00", "04:00"]
    assert {"0", "50", "100"} <= set(words)


def test_few_labels_on_round_times():
    hours = [f"2025-06-{day:02}T{hour:02}:00:00" for day in range(1, 8) for hour in range(24)]
    assert len(_ticks(hours, 13)) == 7
    quarters = [f"2025-06-01T{hour:02}:{minute:02}:00" for hour in range(24) for minute in (0, 15, 30, 45)]
    assert [tick // 60_000 % 1440 for tick in _ticks(quarters, 4)] == [0, 360, 720, 1080]
    assert len(_ticks(hours[5:7], 13)) == 2
    assert _ticks([], 13) == []


@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_any_data_is_drawn_too(n):
    assert ET.fromstring(drawn(Chart(rows(n), LINES, "day", sizes=(HALF,)))[0]).tag.endswith("svg")  # noqa: S314


def test_a_gap_breaks_the_line():
    chart = Chart(rows(24, lambda hour: None if 8 <= hour < 12 else 5), LINES[1:], "hour", sizes=(HALF,))
    line = re.findall(r'<path d="(M[^"]*)"[^>]*stroke=', drawn(chart)[0])
    assert max(path.count("M") for path in line) == 2


def test_another_process_draws_the_same():
    charts = [Chart(rows(24), LINES, "hour"), Chart(rows(3), LINES, "day", [("a", "b")], sizes=(HALF,))]
    with Draftsman() as draftsman:
        for chart in charts:
            draftsman.add(chart)
        assert draftsman.drawn() == [drawn(chart) for chart in charts]


def test_who_stops_in_the_middle_leaves_no_process():
    draftsman = Draftsman()
    with suppress(KeyError), draftsman:
        draftsman.add(Chart(rows(24), LINES, "hour"))
        raise KeyError
    assert draftsman._process.returncode is not None  # noqa: SLF001


def test_a_chart_that_cannot_be_drawn_is_an_error(capfd):
    with Draftsman() as draftsman:
        draftsman.add(Chart(({"start": "no time", "end": "", "tip": ""},), LINES, "hour"))
        with pytest.raises(RuntimeError, match="drawing the charts failed"):
            draftsman.drawn()
    assert "ValueError" in capfd.readouterr().err
