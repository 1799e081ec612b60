"""The reports of money: their numbers are those of the metrics, in a store with and without budgets, keys, events."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

import hanzo_reports as hr
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.dashboards.api_keys import ApiKeyDashboard
from hanzo_reports.dashboards.budgets import BudgetDashboard
from hanzo_reports.dashboards.budgets_chart import spend_by_day
from hanzo_reports.dashboards.costs import CostDashboard
from hanzo_reports.dashboards.models import ModelDashboard
from hanzo_reports.errors import UnknownNameError, WindowError
from hanzo_reports.forecast import daily_spend, forecast_panel
from hanzo_reports.forecast.scorecard import record_forecasts
from hanzo_reports.forecast.series import build_panel
from hanzo_reports.formats import format_short
from hanzo_reports.html.charts import Chart, Line, draw_chart
from hanzo_reports.html.components import MIME
from hanzo_reports.html.page import render_page
from hanzo_reports.metrics.cost import PARTS
from hanzo_reports.units import Unit

NOW = "2026-03-31T12:00:00Z"


def twin(part):
    return part._repr_mimebundle_()[MIME]


def html(part):
    return next(iter(twin(part)["variants"].values()))["html"]


@pytest.fixture(scope="module")
def store(sample_store, tmp_path_factory):
    """A copy of the sample store with three budgets: one passed, one likely to be, one safe."""
    folder = shutil.copytree(sample_store, tmp_path_factory.mktemp("money") / "warehouse")
    ws = hr.open(str(folder), now=NOW)
    spent = {row["project"]: row["cost"] for row in ws.costs("mtd", ["cost"], by=["project"]).rows()}
    for project, share in (("bot", "0.9"), ("platform", "1.02"), ("research", "5")):
        ws.budgets.set(Budget(project, (spent[project] * Decimal(share)).quantize(Decimal("0.01"))), ws.now)
    return folder


@pytest.fixture(scope="module")
def ws(store):
    return hr.open(str(store), now=NOW)


def cost_parts(dashboard):
    dimensions = ("project", "api_key", "endpoint", "team", "user", "service")
    return [
        dashboard.tiles(),
        dashboard.over_time(),
        dashboard.by_model(),
        *map(dashboard.by, dimensions),
        dashboard.reasons(),
        dashboard.downloads(),
        dashboard.takeaway(),
    ]


def budget_parts(dashboard):
    return [
        dashboard.tiles(),
        dashboard.budgets(),
        dashboard.month(),
        dashboard.burn_down(0),
        dashboard.burn_down(1),
        dashboard.forecasts(),
        dashboard.overspenders(),
        dashboard.trust(),
        dashboard.downloads(),
        dashboard.takeaway(),
    ]


def model_parts(dashboard):
    ranked = ("cost_per_million_tokens", "latency_p50", "error_rate")
    return [
        dashboard.tiles(),
        dashboard.models(),
        dashboard.unit_cost_over_time(),
        *map(dashboard.by, ranked),
        dashboard.value(),
        dashboard.downloads(),
        dashboard.takeaway(),
    ]


def key_parts(dashboard):
    return [
        dashboard.tiles(),
        dashboard.keys(),
        dashboard.ranking("api_key", "cost"),
        dashboard.findings(),
        dashboard.downloads(),
        dashboard.takeaway(),
    ]


DASHBOARDS = {
    "cost": (CostDashboard, cost_parts),
    "budgets": (BudgetDashboard, budget_parts),
    "models": (ModelDashboard, model_parts),
    "keys": (ApiKeyDashboard, key_parts),
}


def test_cost_tiles_and_parts_are_the_metrics(ws):
    dashboard = CostDashboard(ws, "7d")
    kpis = twin(dashboard.tiles())["kpis"]["7d"]
    whole = ws.costs("7d", ("cost", *PARTS, "cache_savings", "unpriced_requests")).rows()[0]
    for name, value in whole.items():
        assert Decimal(str(kpis[name])) == value
    models = ws.costs("7d", ["cost"], by=["model"]).rows()
    text = html(dashboard.by_model())
    for row in models:
        if row["cost"]:
            assert row["model"] in text
            assert format_short(row["cost"], Unit.USD) in text
    widths = [float(width) for width in re.findall(r'style="width:([\d.]+)%"', text)]
    assert max(widths) <= 100
    assert len(widths) == 5 * sum(1 for row in models if row["cost"])


def test_exports_add_up_to_the_whole(ws, tmp_path):
    CostDashboard(ws, "7d").downloads(str(tmp_path))
    whole = ws.costs("7d", ["cost"]).rows()[0]["cost"]
    files = sorted(tmp_path.glob("cost_by_*.csv"))
    assert len(files) == 8
    for file in files:
        head, *lines = file.read_text(encoding="utf-8").splitlines()
        place = head.split(",").index("cost")
        assert sum(Decimal(line.split(",")[place] or 0) for line in lines) == whole


def test_budgets_say_who_and_when(ws):
    dashboard = BudgetDashboard(ws, "mtd")
    assert [status.budget.project for status in dashboard.statuses] == ["bot", "platform", "research"]
    kpis = twin(dashboard.tiles())["kpis"]["mtd"]
    assert Decimal(kpis["spent"]) == ws.costs("mtd", ["cost"]).rows()[0]["cost"]
    assert kpis["likely_to_exceed"] >= 1
    text = repr(dashboard.overspenders())
    assert "bot is over its limit by" in text
    assert "1 of 3 budgets are safe" in text
    assert "Likely to exceed: bot" in repr(dashboard.takeaway())
    assert 'fill-opacity=".2"' in html(dashboard.month())  # the band
    assert "budgets.csv: 3 rows" in repr(dashboard.downloads())


def test_without_budgets_the_page_says_how_to_set_one(workspace):
    dashboard = BudgetDashboard(workspace, "mtd")
    assert "hanzo-reports budgets set" in html(dashboard.budgets())
    assert "No project has a budget" in repr(dashboard.takeaway())
    assert "Fewer budgets than charts" in html(dashboard.burn_down(0))


def loaded(folder, rows, now=NOW):
    """A workspace of its own with requests from (instant, cost), all of one project and model."""
    ws = hr.open(str(folder / "lake"), now=now, create=True)
    lines = ["event_id,timestamp,service,project,model,status,input_tokens,cost"]
    lines += [f"e{n},{at.isoformat()},gateway,search,m,200,5,{cost}" for n, (at, cost) in enumerate(rows)]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ws.ingest("events", [folder / "rows.csv"])
    return ws


def test_budgets_of_a_month_that_is_over_are_shown_at_its_end(tmp_path):
    february = datetime(2026, 2, 1, 12, tzinfo=UTC)
    ws = loaded(tmp_path, [(february + timedelta(days=day), 10 if day < 28 else 1) for day in range(-30, 58)])
    ws.budgets.set(Budget("search", Decimal(500)), ws.now)
    dashboard = BudgetDashboard(ws, "2026-02-01..2026-02-28")
    assert Decimal(twin(dashboard.tiles())["kpis"]["2026-02-01..2026-02-28"]["spent"]) == 280
    assert "February 2026" in html(dashboard.budgets())
    assert "search · 56% of $500.00" in repr(dashboard.budgets())


def test_a_budget_without_a_forecast_is_not_called_safe(tmp_path):
    ws = loaded(tmp_path, [(datetime(2026, 3, 31, 11, tzinfo=UTC), 1)])
    ws.budgets.set(Budget("search", Decimal(100)), ws.now)
    text = repr(BudgetDashboard(ws, "mtd").overspenders())
    assert "search has no forecast yet" in text
    assert "safe" not in text


def test_accuracy_is_that_of_public_series_until_a_month_is_scored(tmp_path):
    """January 2025 is scored in March 2026, when its first weeks lie over 402 days back."""
    january = datetime(2025, 1, 1, 12, tzinfo=UTC)
    ws = loaded(tmp_path, [(january + timedelta(days=day), 10) for day in range(-40, 60)])
    shipped = html(BudgetDashboard(ws, "mtd").trust())
    assert "Shipped calibration" in shipped
    assert "82% of steady, 83% of uneven, 88% of bursty public series" in shipped

    def issue(days):
        for day in days:
            then = january + timedelta(days=day - 0.5)
            forecasted = forecast_panel(daily_spend(ws.events, then, by=["project"]))
            record_forecasts(ws.budgets.state, forecasted, ["project"], "UTC", then)
        return html(BudgetDashboard(ws, "mtd").trust())

    few = issue([10])
    assert "Your data, still few" in few
    assert "<b>1 forecast</b> of 1 month could be scored" in few
    assert re.search(r"[01]\.\d% off", few)  # the month ended at 310
    many = issue(range(8, 29))
    assert ("Your data" in many, "still few" in many, "Shipped" in many) == (True, False, False)


def test_a_refund_is_off_the_course_of_the_month():
    daily = {date(2026, 2, 1) + timedelta(days=at): 10 for at in range(58)} | {date(2026, 3, 5): -25}
    panel = build_panel(daily, datetime(2026, 3, 31, tzinfo=UTC))
    spent = {row["day"]: row["spent"] for row in spend_by_day(panel, forecast_panel(panel)[0])}
    assert [spent[date(2026, 3, day)] for day in (4, 5, 6)] == [40, 15, 25]


def test_reported_costs_are_mentioned_only_where_there_are_some(tmp_path, ws):
    assert "No reported cost of" in repr(CostDashboard(ws, "7d").reasons())
    now = datetime(2026, 3, 30, tzinfo=UTC)
    computed = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    lines = ["event_id,timestamp,service,project,provider,model,status,input_tokens,output_tokens"]
    lines += [f"e{n},{now.isoformat()},gateway,search,openai,gpt-4o,200,50,5" for n in range(3)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    computed.ingest("events", [tmp_path / "rows.csv"])
    dashboard = CostDashboard(computed, "7d")
    assert dashboard.totals["cost"] > 0
    assert "eported cost" not in repr(dashboard.reasons())


def test_the_best_model_is_the_one_computed_by_hand(ws):
    dashboard = ModelDashboard(ws, "7d")
    rows = ws.usage("7d", ["requests", "cost_per_million_tokens", "output_tokens"], by=["model"]).rows()
    able = [
        row
        for row in rows
        if row["model"] and row["requests"] >= 50 and row["output_tokens"] and row["cost_per_million_tokens"]
    ]
    cheap = min(able, key=lambda row: row["cost_per_million_tokens"])
    assert f"{cheap['model']} costs {format_short(cheap['cost_per_million_tokens'], Unit.USD)} per 1M tokens" in repr(
        dashboard.takeaway()
    )
    assert f"<b>{format_short(cheap['cost_per_million_tokens'], Unit.USD)}</b>" in html(dashboard.models())
    with pytest.raises(UnknownNameError, match="did you mean 'latency_p95'"):
        dashboard.by("latency_p5")


def test_a_free_model_is_the_cheapest(tmp_path):
    ws = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    lines = ["event_id,timestamp,service,project,model,status,input_tokens,output_tokens,cost"]
    for model, cost in (("own", 0), ("bought", "0.00001")):
        lines += [f"{model}{n},2026-03-30T12:00:00Z,gateway,p,{model},200,5,5,{cost}" for n in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ws.ingest("events", [tmp_path / "rows.csv"])
    dashboard = ModelDashboard(ws, "7d")
    assert "own costs $0.00 per 1M tokens, bought $1.00." in repr(dashboard.takeaway())
    assert "own is the cheapest with an acceptable error rate" in repr(dashboard.value())


def test_a_new_a_silent_a_failing_and_a_grown_key_are_flagged(tmp_path):
    ws = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    end = datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp()
    lines = ["event_id,timestamp,service,project,api_key,status,input_tokens,cost"]
    plan = [
        ("old", 200, 9, 200), ("silent", 40, 9, 200), ("old", 200, 2, 200), ("new", 120, 2, 200),
        ("failing", 150, 9, 200), ("failing", 150, 2, 500), ("grown", 50, 9, 200), ("grown", 300, 2, 200),
        ("", 5, 2, 200), ("old", 1, 20, 200),
    ]  # fmt: skip
    for number, (key, count, days, status) in enumerate(plan):
        at = datetime.fromtimestamp(end - days * 86_400, UTC).isoformat()
        lines += [f"e{number}-{n},{at},gateway,search,{key},{status},5,0.01" for n in range(count)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ws.ingest("events", [tmp_path / "rows.csv"])
    flags = {row["api_key"]: row["flags"] for row in ApiKeyDashboard(ws, "7d").key_rows}
    assert flags == {
        "old": [], "silent": ["silent"], "new": ["new"], "failing": ["failing"], "grown": ["grown"], None: ["unnamed"],
    }  # fmt: skip
    kpis = twin(ApiKeyDashboard(ws, "7d").tiles())["kpis"]["7d"]
    assert (kpis["new"], kpis["silent"], kpis["odd"]) == (1, 1, 2)


def test_in_the_store_s_first_week_no_key_has_grown(tmp_path):
    ws = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    end = datetime(2026, 3, 31, 11, tzinfo=UTC)
    lines = ["event_id,timestamp,service,project,api_key,status,input_tokens,cost"]
    lines += [f"e{n},{(end - timedelta(minutes=20 * n)).isoformat()},gateway,search,k,200,5,0.01" for n in range(550)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ws.ingest("events", [tmp_path / "rows.csv"])
    (row,) = ApiKeyDashboard(ws, "7d").key_rows
    assert (row["requests"] > 5 * row["requests_previous"] > 0, row["flags"]) == (True, [])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_store_without_events_says_what_to_do(name, tmp_path):
    kind, parts_of = DASHBOARDS[name]
    ws = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    for part in parts_of(kind(ws, "7d")):
        assert repr(part)
    with pytest.raises(WindowError, match="unknown range"):
        kind(ws, "7x")


def test_a_band_is_drawn_between_its_edges():
    day = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [
        {"start": day.replace(day=at), "end": day.replace(day=at + 1), "tip": "", "low": low, "high": high}
        for at, low, high in ((1, None, None), (2, 10, 10), (3, 10, 20))
    ]
    (svg,) = draw_chart(Chart(rows, (Line("high", "s2", floor="low"),), "day", sizes=((470, 262),)))
    assert re.search(r'<path d="M[\d., cC-]+L[\d., cC-]+Z" fill="var\(--hz-s2,#0d9488\)" fill-opacity=".2"/>', svg)
    assert "stroke-dasharray" not in svg


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_page_requests_nothing_and_fits_a_phone(name, ws, tmp_path, chromium):
    kind, parts_of = DASHBOARDS[name]
    twins = [twin(part) for part in parts_of(kind(ws, "7d"))]
    page_file = tmp_path / "report.html"
    page_file.write_text(render_page(twins, {"title": name, "generated": NOW}), encoding="utf-8")
    troubles = []
    for width, scheme in ((1260, "light"), (390, "dark")):
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or troubles.append(request.url))
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.locator(".hz-tile").count() == 4
        page.close()
    assert troubles == []
