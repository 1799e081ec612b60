"""The page in a browser: no request, no error, the numbers of the metrics, ranges, tooltips, themes, a phone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import hanzo_reports as hr
from hanzo_reports.dashboards.overview import OverviewDashboard
from hanzo_reports.formats import Change, format_short
from hanzo_reports.html.components import MIME, render_fragment
from hanzo_reports.html.page import render_page
from hanzo_reports.units import Unit

NOW = "2026-03-31T12:00:00Z"
META = {
    "title": "Usage dashboard", "project": "", "generated": NOW, "events": 20_000, "run": "20260331T120000Z-0a1b2c3d",
    "synthetic": True, "quality": None, "banner": None, "traceback": None,
}  # fmt: skip
FAINT = """() => {  // texts whose contrast is below 4.5, WCAG 2.2 level AA
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    const color = parse(getComputedStyle(node).backgroundColor);
    return color.length === 3 || color[3] === 1 ? color : behind(node.parentElement ?? document.body);
  };
  const speaks = (node) => node.checkVisibility() && !node.closest("svg,.hz-words")
    && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  return [...document.querySelectorAll(".hz *")].filter(speaks).map((node) => {
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.className, node.textContent.trim().slice(0, 20)];
  }).filter(([ratio]) => ratio < 4.5);
}"""
TIP = r"\w{3} \d+ \w{3} \d\d:\d\d\n[\d,]+ requests\nprevious [\d,]+\n[\d.]+% errors"
COMMAND = Path(sys.executable).with_name("hanzo-reports")


def twins(dashboard):
    """What the runner collects from the notebook."""
    parts = (
        dashboard.tiles(),
        dashboard.volume(),
        dashboard.ranking("model", "requests"),
        dashboard.ranking("project", "cost"),
        dashboard.changes(),
        dashboard.latency(),
        dashboard.health(),
        dashboard.downloads(),
        dashboard.takeaway(),
    )
    return [part._repr_mimebundle_()[MIME] for part in parts]


@pytest.fixture(scope="module")
def html(sample_store):
    return render_page(twins(OverviewDashboard(hr.open(str(sample_store), now=NOW))), META)


@pytest.fixture
def open_page(chromium, tmp_path):
    """A function that opens a page and checks, at the end, that it requested nothing and reported no error."""
    troubles, pages = [], []

    def visit(text, anchor="", **look):
        file = tmp_path / "report.html"
        file.write_text(text, encoding="utf-8")
        page = chromium.new_page(**look)
        pages.append(page)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or troubles.append(request.url))
        page.goto(f"{file.as_uri()}{anchor}")
        return page

    yield visit
    for page in pages:
        page.close()
    assert troubles == []


def pick(page, name):
    page.locator(".hz-ranges label", has_text=name).click()


def shown(page, metric):
    return page.locator(f"[data-metric={metric}] strong:visible").inner_text()


def test_the_file_is_small_and_names_no_other_place(html):
    assert len(html.encode()) < 400_000
    assert set(re.findall(r"https?://[^\s\"'<>)]+", html)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
    }  # fmt: skip
    assert "default-src 'none'" in html


def test_the_tiles_are_what_the_command_answers_in_every_range(html, open_page, sample_store):
    page = open_page(html)
    command = [
        COMMAND,
        "--store",
        sample_store,
        "--now",
        NOW,
        "usage",
        "-m",
        "requests,tokens,cost,latency_p99",
        "-f",
        "json",
    ]
    for name in ("24h", "7d", "30d"):
        pick(page, name)
        process = subprocess.run([*command, "-r", name], check=True, capture_output=True, text=True)
        (row,) = json.loads(process.stdout, parse_float=Decimal)["data"]
        assert shown(page, "requests") == format_short(row["requests"], Unit.REQUESTS)
        assert shown(page, "tokens") == format_short(row["tokens"], Unit.TOKENS)
        assert shown(page, "cost") == format_short(row["cost"], Unit.USD)
        assert shown(page, "latency_p99") == format_short(row["latency_p99"], Unit.MILLISECONDS)


def test_the_range_is_picked_by_key_and_remembered_in_the_address(html, open_page):
    page = open_page(html)
    page.get_by_label("24h", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("location.hash") == "#7d"
    page.reload()
    assert page.get_by_label("7d", exact=True).is_checked()
    assert page.get_by_text("This 7d").is_visible()
    assert not page.get_by_text("This 24h").is_visible()
    page.evaluate("location.hash = '30d'")
    page.wait_for_function("document.querySelector('[value=\"30d\"]').checked")


def test_a_hash_that_is_no_percent_encoding_selects_nothing(html, open_page):
    page = open_page(html, "#50%")
    assert page.get_by_label("24h", exact=True).is_checked()
    assert page.get_by_role("button", name="Theme").is_visible()


def test_a_bucket_shows_its_tooltip(html, open_page):
    page = open_page(html, viewport={"width": 1280, "height": 900})
    page.locator(".hz-drawings .tip:visible").nth(40).hover(force=True)
    assert re.fullmatch(TIP, page.locator("#tip").inner_text())
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()


def test_every_chart_has_a_table(html, open_page):
    page = open_page(html)
    summaries = page.get_by_text("View as table").locator("visible=true")
    assert summaries.count() == 2
    summaries.first.click()
    assert page.locator("details[open] tbody tr:visible").count() == 96


def test_the_theme_changes_and_stays(html, open_page):
    page = open_page(html, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Theme").click()
    dark = page.evaluate(background)
    assert (light, dark) == ("rgb(246, 247, 251)", "rgb(11, 15, 26)")
    page.reload()
    assert page.evaluate(background) == dark
    assert open_page(html, color_scheme="dark").evaluate(background) == dark
    page.emulate_media(media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(html, open_page, width):
    page = open_page(html, viewport={"width": width, "height": 800})
    for name in ("24h", "7d", "30d"):
        pick(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg:visible").count() > 4


def test_on_paper_it_is_two_pages_that_break_between_parts(html, open_page):
    page = open_page(html)
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 2
    page.emulate_media(media="print")
    assert (
        page.locator(".hz-ranking .hz-bar:visible").first.evaluate("bar => getComputedStyle(bar).printColorAdjust")
        == "exact"
    )
    assert page.locator(".hz-controls").is_hidden()


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_labels_of_charts_are_as_large_as_they_should_be(html, open_page, width):
    page = open_page(html, viewport={"width": width, "height": 800})
    scales = page.locator(".hz-drawings svg:visible").evaluate_all(
        "all => all.map((svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"
    )
    assert len(scales) == 2
    assert all(0.85 < scale < 1.3 for scale in scales)


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_that_differ_at_their_end_are_distinguishable(open_page, width):
    names = [f"a-project-with-an-exceedingly-long-name-for-a-team-of-teams-number-{n}" for n in range(3)]
    row = {"vague": False, "bar": "50", "value": "$10.00", "exact": "$10.00", "share": "33.3%",
           "change": Change("↑ 1.0%", "up", "even")}  # fmt: skip
    html = render_fragment(
        "ranking", title="Cost by project", subtitle="US dollars", rows=[row | {"name": n} for n in names]
    )
    part = {"kind": "ranking", "width": "half", "variants": {"24h": {"html": html, "text": ""}}}
    page = open_page(render_page([part], META), viewport={"width": width, "height": 800})
    for name in names:
        cell = page.get_by_title(name)
        head, tail = cell.locator("span").all()
        assert head.inner_text() + tail.inner_text() == name
        assert head.evaluate("node => node.scrollWidth > node.clientWidth")
        box, end = cell.bounding_box(), tail.bounding_box()
        assert box["x"] < end["x"]
        assert end["x"] + end["width"] <= box["x"] + box["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_can_be_read_in_both_themes(html, open_page):
    for scheme in ("light", "dark"):
        assert open_page(html, color_scheme=scheme).evaluate(FAINT) == []


def test_a_file_is_downloaded_from_the_page_itself(html, open_page, workspace):
    page = open_page(html)
    with page.expect_download() as download:
        page.get_by_role("link", name="usage_by_model_project.csv").click()
    text = download.value.path().read_text(encoding="utf-8").splitlines()
    assert download.value.suggested_filename == "usage_by_model_project.csv"
    assert len(text) - 1 == len(workspace.usage("24h", by=["model", "project"]))


def test_what_users_wrote_is_text(open_page):
    evil = '<img src="http://example.com/x" onerror="alert(1)"><script>alert(2)</script>'
    parts = [{"kind": "text", "title": evil, "text": f"{evil}\n\n{evil}"}, {"kind": "heading", "title": evil}]
    page = open_page(render_page(parts, META | dict.fromkeys(("title", "project", "run", "banner", "traceback"), evil)))
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.locator("h1").inner_text().startswith(evil)


def test_a_failed_run_says_why_and_shows_what_there_is(html, open_page):
    page = open_page(
        render_page([], META | {"banner": "cell 4: no store", "traceback": "in line 2", "synthetic": False})
    )
    assert page.get_by_role("alert").inner_text().split("\n\n")[:2] == ["This run failed", "cell 4: no store"]
    page.get_by_text("Traceback").first.click()
    assert page.locator("pre").is_visible()
    assert page.get_by_text("Synthetic sample data").count() == 0
    assert open_page(html).get_by_text("Synthetic sample data").is_visible()


def test_a_window_without_requests_is_a_page_that_says_so(open_page, workspace):
    page = open_page(
        render_page(twins(OverviewDashboard(workspace, "2020-01-01..2020-01-02")), META | {"project": "bot"})
    )
    assert page.get_by_role("heading", name="No requests in this window").is_visible()
    assert page.get_by_text("Choose another range").is_visible()
    assert page.get_by_role("radio").locator("visible=true").count() == 0
    assert "Project bot" in page.locator("header").first.inner_text()


def test_a_cell_in_jupyter_stands_alone(sample_store, open_page):
    dashboard = OverviewDashboard(hr.open(str(sample_store), now=NOW), "yesterday")
    cells = [
        part._repr_mimebundle_()["text/html"] for part in (dashboard.tiles(), dashboard.volume(), dashboard.health())
    ]
    page = open_page(f"<!doctype html><meta charset=utf-8><body data-jp-theme-light=false>{''.join(cells)}")
    assert page.locator("[data-metric=cost] strong").is_visible()
    assert page.locator(".hz-drawings svg").first.is_visible()
    ink = page.locator("[data-metric=cost] strong").evaluate("node => getComputedStyle(node).color")
    assert ink == "rgb(232, 236, 246)"
