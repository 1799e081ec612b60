"""Names from logs on pages: visible, bounded, escaped, and no formulas for a spreadsheet, in a store of any age."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

import hanzo_reports as hr
from hanzo_reports.dashboards.api_keys import ApiKeyDashboard
from hanzo_reports.dashboards.budgets import BudgetDashboard
from hanzo_reports.dashboards.costs import CostDashboard
from hanzo_reports.dashboards.models import ModelDashboard
from hanzo_reports.dashboards.overview import OverviewDashboard
from hanzo_reports.dashboards.quality import QualityDashboard
from hanzo_reports.events import SCHEMA
from hanzo_reports.html.page import render_page

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOSTILE = '=HYPERLINK("https://example.com")<script>alert(1)</script>\x1b]52;c;eA==\x07\u202edcba\r\n · '
LENGTH = 20_000
NAMES = [f"{HOSTILE}{'x' * LENGTH}{n}" for n in range(5)]
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
PANELS = {
    OverviewDashboard: ("tiles", "volume", "changes", "latency", "health", "takeaway"),
    CostDashboard: ("tiles", "over_time", "by_model", "reasons", "takeaway"),
    ModelDashboard: ("tiles", "models", "unit_cost_over_time", "value", "takeaway"),
    ApiKeyDashboard: ("tiles", "keys", "findings", "takeaway"),
    BudgetDashboard: ("tiles", "budgets", "month", "forecasts", "overspenders", "trust", "takeaway"),
    QualityDashboard: ("tiles", "checks", "freshness", "quarantine", "unpriced", "trend", "takeaway"),
}


class StoreOfBefore:
    """A store whose events hold names that a load would cut today."""

    def __init__(self, store, rows):
        self._store, self._rows = store, rows

    def __getattr__(self, name):
        return getattr(self._store, name)

    def events(self, _start=None, _end=None):
        return ibis.duckdb.connect().create_table("events", self._rows)


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    """Five names of each kind, over two months, that differ in their last character only."""
    ws = hr.open(str(tmp_path_factory.mktemp("hostile") / "store"), now=NOW, create=True)
    dimensions = ("service", "endpoint", "project", "model", "api_key", "user", "team")
    rows = [
        dict.fromkeys(SCHEMA)
        | dict.fromkeys(dimensions, NAMES[number % 5])
        | {"event_id": str(number), "timestamp": NOW - timedelta(hours=12 * (number + 1)), "latency_ms": 10.0}
        | {"status": 500 if number % 9 == 0 else 200, "input_tokens": 10, "output_tokens": 5}
        | {"cost": None if number % 7 == 0 else Decimal("0.5")}
        for number in range(120)
    ]
    table = pa.Table.from_pylist(
        rows, schema=ibis.schema({name: dtype.strip("!") for name, dtype in SCHEMA.items()}).to_pyarrow()
    )
    return replace(ws, store=StoreOfBefore(ws.store, table))


def parts_of(ws, kind):
    dashboard = kind(ws, "30d")
    parts = [getattr(dashboard, name)() for name in PANELS[kind]]
    if kind is OverviewDashboard:
        parts += [dashboard.ranking("model", "requests"), dashboard.ranking("project", "cost")]
    if kind is CostDashboard:
        parts += [
            dashboard.by(dimension) for dimension in ("project", "api_key", "endpoint", "team", "user", "service")
        ]
    if kind is ModelDashboard:
        parts += [dashboard.by("error_rate")]
    return parts


@pytest.mark.parametrize("kind", PANELS, ids=lambda kind: kind.__name__)
def test_names_are_shown_visibly_and_bounded(ws, kind):
    parts = parts_of(ws, kind)
    page = render_page([part.twin for part in parts], {"title": "x", "generated": NOW.isoformat()})
    texts = "".join(map(repr, parts))
    assert "x" * 1000 not in page + texts
    assert len(page) < 400_000
    assert HIDDEN.search(page + texts) is None
    assert page.count("<script") == 1
    if kind in {ModelDashboard, ApiKeyDashboard, BudgetDashboard}:
        assert all(f"x{n}" in texts for n in range(5))  # names that differ at their end stay distinct
        assert r"\x1b]52;c;eA==\x07\u202e" in texts


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("out", [False, True])
def test_a_page_offers_no_formula_and_the_folder_keeps_the_exact_names(ws, out, tmp_path):
    part = ModelDashboard(ws, "30d").downloads(str(tmp_path) if out else "").twin
    (variant,) = part["variants"].values()
    links = dict(re.findall(r'download="([^"]+)" href="([^"]+)"', variant["html"]))
    assert len(links) == 2
    if out:
        assert links == {"models.spreadsheet.csv": "models.spreadsheet.csv", "models.json": "models.json"}
        assert sorted(row["model"] for row in read_csv((tmp_path / "models.csv").read_bytes().decode())) == NAMES
        offered = (tmp_path / "models.spreadsheet.csv").read_bytes().decode()
        assert [file["name"] for file in part["files"]] == ["models.csv", "models.spreadsheet.csv", "models.json"]
    else:
        offered = b64decode(links["models.csv"].partition("base64,")[2]).decode()
    assert sorted(row["model"] for row in read_csv(offered)) == [f"'{name}" for name in NAMES]
    answer = (
        b64decode(links["models.json"].partition("base64,")[2]) if not out else (tmp_path / "models.json").read_bytes()
    )
    assert sorted(row["model"] for row in json.loads(answer)["data"]) == NAMES


def test_a_file_without_formulas_is_written_once(workspace, tmp_path):
    part = CostDashboard(workspace, "7d").downloads(str(tmp_path)).twin
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(file["name"] for file in part["files"])
    assert not list(tmp_path.glob("*.spreadsheet.csv"))
