"""The overview: its parts show what the metrics say, for each range."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import ibis
import pytest

import hanzo_reports as hr
from hanzo_reports.dashboards import overview_panels as panels
from hanzo_reports.dashboards.overview import OverviewDashboard
from hanzo_reports.dashboards.overview_sums import WindowSums
from hanzo_reports.dashboards.overview_window import OverviewWindow
from hanzo_reports.errors import UnknownNameError, WindowError
from hanzo_reports.html.components import MIME
from hanzo_reports.metrics.compare import comparison
from hanzo_reports.sample import sample
from hanzo_reports.window import Window

RANGES = ("24h", "7d", "30d")


@pytest.fixture(scope="module")
def dashboard(sample_store):
    """Ten days and no more: the 30 days before have nothing, the week before three days."""
    return OverviewDashboard(hr.open(str(sample_store), now="2026-03-31T12:00:00Z"), "24h")


def bands(html):
    """Left edge and width of each band in the drawings, in pixels."""
    boxes = re.findall(r'<rect x="([\d.]+)" width="([\d.]+)" height="\d+" fill="var\(--hz-band', html)
    return [(float(left), float(width)) for left, width in boxes]


def twin(part):
    return part._repr_mimebundle_()[MIME]


def test_the_tiles_carry_the_numbers_of_the_metrics(dashboard, workspace):
    kpis = twin(dashboard.tiles())["kpis"]
    assert tuple(kpis) == RANGES
    for name in RANGES:
        usage = workspace.usage(name, ["requests", "tokens", "cost", "unpriced_requests"]).rows()[0]
        health = workspace.health(name).rows()[0]
        assert Decimal(kpis[name]["cost"]) == usage["cost"]
        assert {key: kpis[name][key] for key in ("requests", "tokens", "unpriced_requests")} == {
            key: usage[key] for key in ("requests", "tokens", "unpriced_requests")
        }
        assert {key: kpis[name][key] for key in health} == health


def test_groups_are_the_comparison(dashboard):
    for overview in dashboard.windows.values():
        names = ("requests", "tokens", "cost", "unpriced_requests")
        table = comparison(overview.events, overview.window, names, by=["model", "project"]).to_pyarrow().to_pylist()
        expected = {
            (row["model"], row["project"]): [row[f"{name}{side}"] for name in names for side in ("", "_previous")]
            for row in table
        }
        sums = {
            (row["model"], row["project"]): [row[f"{name}{side}"] for name in names for side in ("", "_previous")]
            for row in overview.groups
        }
        assert sums == expected


def test_a_ranking_sums_to_the_whole_and_ends_with_what_has_no_name(dashboard):
    overview = dashboard.windows["7d"]
    rows = overview.rank("model", "requests", 3)
    assert [row["name"] for row in rows][-2:] == ["other", None]
    assert sum(row["current"] for row in rows) == overview.totals["requests"]
    assert sum(row["previous"] for row in rows) <= overview.previous_totals["requests"]
    assert [row["current"] for row in rows[:3]] == sorted((row["current"] for row in rows[:3]), reverse=True)
    twice = twin(dashboard.ranking("model", "requests"))
    assert (twice["title"], twice["width"], twice["kind"]) == ("Top models", "half", "ranking")


def test_a_group_of_few_is_not_hidden_in_other(dashboard):
    assert "other" not in [row["name"] for row in dashboard.windows["24h"].rank("project", "cost", 4)]


def test_the_series_holds_complete_buckets_beside_the_previous_ones(dashboard, workspace):
    series = dashboard.windows["24h"].series
    assert len(series) == 96
    assert sum(row["requests"] for row in series) == workspace.usage("24h", ["requests"]).rows()[0]["requests"]
    previous = workspace.usage(workspace.window("24h").previous(), ["requests"]).rows()[0]
    assert sum(row["previous"] for row in series) == previous["requests"]
    days = dashboard.windows["30d"].series  # from noon to noon: 29 complete days
    assert len(days) == 29
    assert [days[0]["bucket"].start.hour, days[-1]["bucket"].end.hour] == [0, 0]


def overview_of(name, now, events=None):
    """The overview of one range, of a table instead of a store."""
    ws = SimpleNamespace(
        window=lambda name: Window.parse(name, now=now), timezone="UTC",
        store=SimpleNamespace(events=lambda _start, _end: events),
    )  # fmt: skip
    window = ws.window(name)
    sums = WindowSums((window, window.previous()), {})
    if events is not None:
        sums.load(events)
    return OverviewWindow(ws, name, sums=sums)


def test_neighbouring_buckets_are_one_incident():
    overview = overview_of("2025-06-01T00:00Z..2025-06-01T02:00Z", datetime(2025, 6, 2, tzinfo=UTC))
    rates = [0.0, 0.5, 0.9, 0.0, None, 0.021, 0.02, 0.5]  # the last of 12 requests
    buckets = overview.window.buckets(overview.grain)
    overview.__dict__["series"] = [
        {"bucket": bucket, "requests": 12 if place == 7 else 1000, "error_rate": rate}
        for place, (bucket, rate) in enumerate(zip(buckets, rates, strict=False))
    ]
    incidents = [
        (buckets.index(first), buckets.index(last), worst["error_rate"]) for first, last, worst in overview.incidents
    ]
    assert incidents == [(1, 2, 0.9), (5, 5, 0.021)]


def test_what_changed_names_the_largest_mover(dashboard, workspace):
    text = twin(dashboard.changes())["variants"]["24h"]["text"]
    top = workspace.movers("24h", "cost", ["model", "project"], top=1).rows()[0]
    assert f"{top['model']} in {top['project']}" in text
    assert len(text.splitlines()) >= 3
    assert "have nothing" not in text


def test_without_a_previous_period_nothing_is_compared(dashboard):
    variant = twin(dashboard.changes())["variants"]["30d"]
    assert "which has no requests" in variant["html"]
    assert "rose" not in variant["text"]
    assert "no previous data" in twin(dashboard.tiles())["variants"]["30d"]["text"]


def test_health_says_which_thresholds_are_breached(dashboard):
    lines = twin(dashboard.health())["variants"]["7d"]["text"].splitlines()
    assert len(lines) == 6
    assert all(line.endswith((" OK", " Breached", " Not rated")) for line in lines)
    saturation = dashboard.windows["7d"].totals["saturation"]
    assert (saturation > 0.8) == lines[-1].endswith("Breached")


def test_downloads_are_written_and_counted(dashboard, tmp_path):
    part = twin(dashboard.downloads(str(tmp_path)))
    assert {file["name"]: file["rows"] for file in part["files"]} == {
        path.name: len((tmp_path / path.name.replace(".json", ".csv")).read_text().splitlines()) - 1
        for path in tmp_path.iterdir()
    }
    assert len(part["files"]) == 4
    assert part["variants"]["24h"]["html"].count("data:") == 4
    assert list(twin(dashboard.downloads())["variants"]) == ["24h"]


def test_another_range_stands_alone_and_the_named_one_comes_first(workspace):
    assert list(OverviewDashboard(workspace, "7d").windows) == ["7d", "24h", "30d"]
    assert list(OverviewDashboard(workspace, "mtd").windows) == ["mtd"]


def test_days_are_those_of_the_zone(sample_store):
    there = OverviewDashboard(
        hr.open(str(sample_store), timezone="America/New_York", now="2026-03-31T12:00:00Z"), "yesterday"
    )
    (overview,) = there.windows.values()
    assert (
        twin(there.volume())["variants"]["yesterday"]["period"]
        == "30 Mar 2026 00:00 \N{EN DASH} 31 Mar 2026 00:00 America/New_York"
    )
    assert 'aria-label="Mon 30 Mar 00:00 · ' in twin(there.volume())["variants"]["yesterday"]["html"]
    assert overview.series[0]["bucket"].start == datetime(2026, 3, 30, 4, tzinfo=UTC)


def test_one_project_is_all_it_shows(workspace):
    only = OverviewDashboard(workspace, "yesterday", "bot")
    expected = workspace.usage("yesterday", ["requests"], where={"project": "bot"}).rows()[0]["requests"]
    assert twin(only.tiles())["kpis"]["yesterday"]["requests"] == expected > 0
    assert {row["project"] for row in only.windows["yesterday"].groups} == {"bot"}


def test_a_window_without_requests_says_so_and_what_to_do(workspace):
    empty = OverviewDashboard(workspace, "2020-01-01..2020-01-02")
    for part in (empty.tiles(), empty.volume(), empty.ranking("model", "cost"), empty.changes(), empty.latency(),
                 empty.health(), empty.downloads(), empty.takeaway()):  # fmt: skip
        assert "text/html" in part._repr_mimebundle_()
    text = repr(empty.tiles())
    assert "No requests in this window" in text
    assert "-p window=2026-03-21..2026-03-31" in text


def test_an_empty_store_says_what_to_do(tmp_path):
    nothing = OverviewDashboard(hr.open(str(tmp_path / "new"), now="2026-03-31T12:00:00Z", create=True), "mtd")
    assert "hanzo-reports ingest" in repr(nothing.tiles())


def test_names_are_checked(dashboard, workspace):
    with pytest.raises(UnknownNameError, match="'model'"):
        dashboard.ranking("modell", "requests")
    with pytest.raises(UnknownNameError, match="ranking"):
        dashboard.ranking("model", "latency_p99")
    with pytest.raises(WindowError, match="unknown range"):
        OverviewDashboard(workspace, "fortnight")


@pytest.mark.parametrize("now", ["2025-06-18T12:35Z", "2025-06-18T19:50Z", "2025-06-19T03:10Z"])
def test_the_incident_of_the_demo_shows_in_every_range_at_any_time_of_day(now):
    end = datetime.fromisoformat(now)
    con = ibis.duckdb.connect()
    con.create_table("events", sample(end - timedelta(days=8), 8, 20_000).read_all())
    for name in ("24h", "7d"):
        overview = overview_of(name, end, con.table("events"))
        ((first, last, _),) = overview.incidents
        assert first.start <= end - timedelta(hours=15) <= last.end
        assert last.end - first.start <= timedelta(hours=1)
        assert overview.worst_bucket["error_rate"] > 0.1
        assert "Errors peaked at" in panels.changes_panel(overview).text
        left, width = bands(panels.volume_panel(overview).html)[0]
        assert width >= 3
        start, stop = overview.series[0]["bucket"].start, overview.series[-1]["bucket"].end
        assert left == pytest.approx(950 * (first.start - start) / (stop - start), abs=0.06)


def test_the_legend_names_bands_only_where_the_chart_has_one(workspace):
    overview = overview_of("30d", workspace.now)
    days = overview.window.buckets(overview.grain)[1:-1]
    empty = dict.fromkeys(("previous", "error_rate", "latency_p50", "latency_p95", "latency_p99"))
    overview.__dict__["series"] = [empty | {"bucket": day, "requests": 0} for day in days]
    for instant, shown in ((days[-1].start, True), (days[-1].end, False)):
        hour = replace(days[0], start=instant, end=instant + timedelta(hours=1))
        overview.__dict__["incidents"] = [(hour, hour, {})]
        html = panels.volume_panel(overview).html
        assert ("Errors above 2% in an hour" in html) == shown == bool(bands(html))
