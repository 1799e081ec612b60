"""The board: what its parts say is what the metrics say, for each range."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ibis
import pytest

import hanzo_reports as hr
from hanzo_reports.dashboards import overview_panels as views
from hanzo_reports.dashboards.overview import Board
from hanzo_reports.dashboards.overview_sums import Sums
from hanzo_reports.dashboards.overview_window import Span
from hanzo_reports.errors import UnknownNameError, WindowError
from hanzo_reports.html.components import MIME
from hanzo_reports.metrics.compare import comparison
from hanzo_reports.sample import sample
from hanzo_reports.window import Window

RANGES = ("24h", "7d", "30d")


@pytest.fixture(scope="module")
def board(sample_store):
    """Ten days and no more: the 30 days before have nothing, the week before three days."""
    return Board(hr.open(str(sample_store), now="2026-03-31T12:00:00Z"), "24h")


def bands(html):
    """Left edge and width of each band in the drawings, in pixels."""
    found = re.findall(r'<rect x="([\d.]+)" width="([\d.]+)" height="\d+" fill="var\(--hz-band', html)
    return [(float(left), float(width)) for left, width in found]


def twin(part):
    return part._repr_mimebundle_()[MIME]


def test_the_tiles_carry_the_numbers_of_the_metrics(board, workspace):
    kpis = twin(board.tiles())["kpis"]
    assert tuple(kpis) == RANGES
    for name in RANGES:
        usage = workspace.usage(name, ["requests", "tokens", "cost", "unpriced_requests"]).rows()[0]
        health = workspace.health(name).rows()[0]
        assert Decimal(kpis[name]["cost"]) == usage["cost"]
        assert {key: kpis[name][key] for key in ("requests", "tokens", "unpriced_requests")} == {
            key: usage[key] for key in ("requests", "tokens", "unpriced_requests")
        }
        assert {key: kpis[name][key] for key in health} == health


def test_groups_are_the_comparison(board):
    for span in board.spans.values():
        names = ("requests", "tokens", "cost", "unpriced_requests")
        table = comparison(span.events, span.window, names, by=["model", "project"]).to_pyarrow().to_pylist()
        expected = {
            (row["model"], row["project"]): [row[f"{name}{side}"] for name in names for side in ("", "_previous")]
            for row in table
        }
        found = {
            (row["model"], row["project"]): [row[f"{name}{side}"] for name in names for side in ("", "_previous")]
            for row in span.groups
        }
        assert found == expected


def test_a_ranking_sums_to_the_whole_and_ends_with_what_has_no_name(board):
    span = board.spans["7d"]
    rows = span.ranked("model", "requests", 3)
    assert [row["name"] for row in rows][-2:] == ["other", None]
    assert sum(row["now"] for row in rows) == span.now["requests"]
    assert sum(row["before"] for row in rows) <= span.before["requests"]
    assert [row["now"] for row in rows[:3]] == sorted((row["now"] for row in rows[:3]), reverse=True)
    twice = twin(board.ranking("model", "requests"))
    assert (twice["title"], twice["width"], twice["kind"]) == ("Top models", "half", "ranking")


def test_a_group_of_few_is_not_hidden_in_other(board):
    assert "other" not in [row["name"] for row in board.spans["24h"].ranked("project", "cost", 4)]


def test_the_course_holds_whole_buckets_beside_those_before(board, workspace):
    course = board.spans["24h"].course
    assert len(course) == 96
    assert sum(row["requests"] for row in course) == workspace.usage("24h", ["requests"]).rows()[0]["requests"]
    before = workspace.usage(workspace.window("24h").previous(), ["requests"]).rows()[0]
    assert sum(row["before"] for row in course) == before["requests"]
    days = board.spans["30d"].course  # from noon to noon: 29 whole days
    assert len(days) == 29
    assert [days[0]["bucket"].start.hour, days[-1]["bucket"].end.hour] == [0, 0]


def test_neighbouring_buckets_are_one_incident():
    window = Window.parse("2025-06-01T00:00Z..2025-06-01T02:00Z", now=datetime(2025, 6, 2, tzinfo=UTC))
    span = Span(None, window, {}, None)
    rates = [0.0, 0.5, 0.9, 0.0, None, 0.021, 0.02, 0.5]  # the last of 12 requests
    buckets = window.buckets(span.grain)
    span.__dict__["course"] = [
        {"bucket": bucket, "requests": 12 if place == 7 else 1000, "error_rate": rate}
        for place, (bucket, rate) in enumerate(zip(buckets, rates, strict=False))
    ]
    found = [(buckets.index(first), buckets.index(last), worst["error_rate"]) for first, last, worst in span.incidents]
    assert found == [(1, 2, 0.9), (5, 5, 0.021)]


def test_what_changed_names_the_largest_mover(board, workspace):
    text = twin(board.changes())["variants"]["24h"]["text"]
    top = workspace.movers("24h", "cost", ["model", "project"], top=1).rows()[0]
    assert f"{top['model']} in {top['project']}" in text
    assert len(text.splitlines()) >= 3
    assert "have nothing" not in text


def test_without_a_window_before_nothing_is_compared(board):
    view = twin(board.changes())["variants"]["30d"]
    assert "which has no requests" in view["html"]
    assert "rose" not in view["text"]
    assert "nothing before" in twin(board.tiles())["variants"]["30d"]["text"]


def test_health_says_which_limits_are_broken(board):
    lines = twin(board.health())["variants"]["7d"]["text"].splitlines()
    assert len(lines) == 6
    assert all(line.endswith((" OK", " Breach", " No limit")) for line in lines)
    now = board.spans["7d"].now
    assert (now["saturation"] > 0.8) == lines[-1].endswith("Breach")


def test_downloads_are_written_and_counted(board, tmp_path):
    part = twin(board.downloads(str(tmp_path)))
    assert {file["name"]: file["rows"] for file in part["files"]} == {
        path.name: len((tmp_path / path.name.replace(".json", ".csv")).read_text().splitlines()) - 1
        for path in tmp_path.iterdir()
    }
    assert len(part["files"]) == 4
    assert part["variants"]["24h"]["html"].count("data:") == 4
    assert list(twin(board.downloads())["variants"]) == ["24h"]


def test_another_range_stands_alone_and_the_named_one_comes_first(workspace):
    assert list(Board(workspace, "7d").spans) == ["7d", "24h", "30d"]
    assert list(Board(workspace, "mtd").spans) == ["mtd"]


def test_days_are_those_of_the_zone(sample_store):
    there = Board(hr.open(str(sample_store), timezone="America/New_York", now="2026-03-31T12:00:00Z"), "yesterday")
    (span,) = there.spans.values()
    assert (
        twin(there.volume())["variants"]["yesterday"]["span"]
        == "30 Mar 2026 00:00 \N{EN DASH} 31 Mar 2026 00:00 America/New_York"
    )
    assert 'aria-label="Mon 30 Mar 00:00 · ' in twin(there.volume())["variants"]["yesterday"]["html"]
    assert span.course[0]["bucket"].start == datetime(2026, 3, 30, 4, tzinfo=UTC)


def test_one_project_is_all_it_shows(workspace):
    only = Board(workspace, "yesterday", "bot")
    expected = workspace.usage("yesterday", ["requests"], where={"project": "bot"}).rows()[0]["requests"]
    assert twin(only.tiles())["kpis"]["yesterday"]["requests"] == expected > 0
    assert {row["project"] for row in only.spans["yesterday"].groups} == {"bot"}


def test_a_window_without_requests_says_so_and_what_to_do(workspace):
    empty = Board(workspace, "2020-01-01..2020-01-02")
    for part in (empty.tiles(), empty.volume(), empty.ranking("model", "cost"), empty.changes(), empty.latency(),
                 empty.health(), empty.downloads(), empty.takeaway()):  # fmt: skip
        assert "text/html" in part._repr_mimebundle_()
    text = repr(empty.tiles())
    assert "No requests in this window" in text
    assert "-p window=2026-03-21..2026-03-31" in text


def test_an_empty_store_says_what_to_do(tmp_path):
    nothing = Board(hr.open(str(tmp_path / "new"), now="2026-03-31T12:00:00Z", create=True), "mtd")
    assert "hanzo-reports ingest" in repr(nothing.tiles())


def test_names_are_checked(board, workspace):
    with pytest.raises(UnknownNameError, match="'model'"):
        board.ranking("modell", "requests")
    with pytest.raises(UnknownNameError, match="ranking"):
        board.ranking("model", "latency_p99")
    with pytest.raises(WindowError, match="unknown range"):
        Board(workspace, "fortnight")


@pytest.mark.parametrize("now", ["2025-06-18T12:35Z", "2025-06-18T19:50Z", "2025-06-19T03:10Z"])
def test_the_incident_of_the_demo_shows_in_every_range_whenever_it_is_made(now):
    end = datetime.fromisoformat(now)
    con = ibis.duckdb.connect()
    con.create_table("events", sample(end - timedelta(days=8), 8, 20_000).read_all())
    for name in ("24h", "7d"):
        window = Window.parse(name, now=end, timezone="UTC")
        span = Span(con.table("events"), window, {}, Sums(con.table("events"), (window, window.previous()), {}))
        ((first, last, _),) = span.incidents
        assert first.start <= end - timedelta(hours=15) <= last.end
        assert last.end - first.start <= timedelta(hours=1)
        assert span.worst["error_rate"] > 0.1
        assert "Errors peaked at" in views.notes(span)["text"]
        left, width = bands(views.volume(span)["html"])[0]
        assert width >= 3
        start, stop = span.course[0]["bucket"].start, span.course[-1]["bucket"].end
        assert left == pytest.approx(950 * (first.start - start) / (stop - start), abs=0.06)


def test_the_legend_names_bands_only_where_the_chart_has_one(workspace):
    span = Span(None, workspace.window("30d"), {}, None)
    days = span.window.buckets(span.grain)[1:-1]
    empty = dict.fromkeys(("before", "error_rate", "latency_p50", "latency_p95", "latency_p99"))
    span.__dict__["course"] = [empty | {"bucket": day, "requests": 0} for day in days]
    for instant, shown in ((days[-1].start, True), (days[-1].end, False)):
        hour = replace(days[0], start=instant, end=instant + timedelta(hours=1))
        span.__dict__["incidents"] = [(hour, hour, {})]
        html = views.volume(span)["html"]
        assert ("Errors above 2% in an hour" in html) == shown == bool(bands(html))


def test_a_sparkline_has_no_edges_but_its_own():
    whole, *_ = views.sparkline([1, 2, None, 4, 5])
    _, second = views.sparkline([1, 2, None, 4, 5])
    assert whole == "M-2.0,33L-2.0,22.8L0.0,22.8L25.0,17.6L25.0,17.6L25.0,33Z"
    assert second == "M75.0,33L75.0,7.2L75.0,7.2L100.0,2.0L102.0,2.0L102.0,33Z"
    assert views.sparkline([None, 3, None]) == []
