"""The page about the data's quality, built from real verdicts, a real quarantine and real days."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

import hanzo_reports as hr
from hanzo_reports.dashboards.quality import QualityDashboard, render_verdicts


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, now):
    """A store into which bad rows came along, guarded every hour of two days, and once by a suite of one's own."""
    folder = tmp_path_factory.mktemp("guarded")
    log, own = folder / "log.jsonl", folder / "own.yaml"
    usual = {"service": "g", "project": "p", "status": 200, "model": "gpt-4o", "input_tokens": 10, "output_tokens": 1}
    times = [now - timedelta(hours=hours) for hours in (1, 2, 3)] + [now + timedelta(days=2)]
    rows = [usual | {"event_id": f"e{n}", "timestamp": at.isoformat()} for n, at in enumerate(times)]
    rows.append(usual | {"event_id": "z", "timestamp": "never"})
    rows.append(usual | {"event_id": "free", "timestamp": times[0].isoformat(), "cost": 0})
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own.write_text("expectations: [{type: expect_table_row_count_to_equal, kwargs: {value: 99}, description: none}]")
    for hours in range(24, -1, -1):
        ws = hr.open(str(folder / "w"), now=now - timedelta(hours=hours), create=True)
        ws.guard("daily", "7d")
    assert ws.ingest("events", [log]).accepted == 4
    for suite in ("events", "daily", str(own)):
        ws.guard(suite, "7d")
    return ws


def test_checks_quarantine_and_trust_are_shown(guarded):
    dashboard = QualityDashboard(guarded, "7d")
    text = {name: json.dumps(getattr(dashboard, name)().twin) for name in ("tiles", "checks", "quarantine", "takeaway")}
    assert "With care" in text["tiles"]
    assert "rows that loads rejected" in text["tiles"]
    assert "no response with output tokens costs nothing" in text["checks"]
    assert "own: table_row_count_to_equal" in text["checks"]
    assert "guard timestamp_not_future: no event is from the future" in text["quarantine"]
    assert "timestamp: \\u2026 is not a time" in text["quarantine"]
    assert "These numbers can be used with care" in text["takeaway"]


def test_the_trend_counts_each_open_check_once_a_day(guarded):
    part = QualityDashboard(guarded, "7d").trend().twin
    (shown,) = part["variants"].values()
    days = dict(re.findall(r"(\d{4}-\d\d-\d\d)</t[dh]>\s*<td[^>]*>(\d+)<", shown["html"]))
    assert (days["2025-06-06"], days["2025-06-07"]) == ("0", "1")  # all day long fresh_ever, as there was no event


def test_the_page_has_the_badge_and_what_failed(guarded, tmp_path):
    run = guarded.report("data_quality", out=tmp_path, window="7d")
    page = run.page.read_text()
    assert re.search(r"Data quality <b>\d+ warnings?</b>", page)
    assert "events (store): warned" in page
    assert "no event is from the future" in page
    manifest = json.loads((run.page.parent / "manifest.json").read_text())
    assert manifest["quality"]["status"] == "warned"
    assert {one["suite"] for one in manifest["quality"]["suites"]} == {"events", "daily"}


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_checks_with_long_names_fit_the_screen_and_the_paper(guarded, chromium, tmp_path, width):
    verdicts = [replace(verdict, checks=tuple(map(lengthen, verdict.checks))) for verdict in
                QualityDashboard(guarded, "7d").verdicts]  # fmt: skip
    meta = {"title": "Data quality", "generated": "2025-06-08T09:30:00Z", "window": "7d", "events": None}
    file = tmp_path / "report.html"
    file.write_text(render_verdicts(verdicts, meta), encoding="utf-8")
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.goto(file.as_uri())
    for media in ("screen", "print"):
        page.emulate_media(media=media)
        page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= max(width, 400 if media == "print" else 0)
    page.close()


def lengthen(check):
    return replace(
        check, description=f"{check.description}, which takes {'many ' * 20}words", observed="1 of 12,345 rows (0.01%)"
    )
