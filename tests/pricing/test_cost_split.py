"""A cost taken apart: by hand for one model, and adding up for all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import ibis
import pyarrow as pa
import pytest

import hanzo_reports as hr
from hanzo_reports.events import SCHEMA
from hanzo_reports.metrics.cost import BY_MODEL, PARTS
from hanzo_reports.pricing.cost_split import split_costs
from hanzo_reports.store.duckdb_session import connect_ibis

AT = datetime(2025, 11, 5, 12, tzinfo=UTC)
_SCHEMA = ibis.schema({name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()}).to_pyarrow()


def split(**row):
    """One event's parts."""
    values = {"event_id": "e", "timestamp": AT, "service": "s", "project": "p", "status": 200, "ingested_at": AT, **row}
    table = pa.table({field.name: pa.array([values.get(field.name)], field.type) for field in _SCHEMA})
    (row,) = split_costs(connect_ibis(duckdb.connect()).create_table("rows", table)).to_pyarrow().to_pylist()
    return row


SONNET = {
    "provider": "anthropic", "model": "claude-sonnet-4-5", "input_tokens": 1000, "output_tokens": 100,
    "cache_read_tokens": 600, "cache_write_tokens": 200,
}  # fmt: skip


def test_a_computed_cost_by_hand():
    """Claude Sonnet 4.5: 3 USD a million read, 15 written, 0.30 from the cache, 3.75 into it."""
    cost = Decimal("0.003030000")  # 200 x 3 + 600 x 0.3 + 200 x 3.75 + 100 x 15 millionths
    row = split(**SONNET, cost=cost, cost_source="computed:genai-prices/x")
    expected = {
        "input_cost": "0.0006", "output_cost": "0.0015", "cache_read_cost": "0.00018", "cache_write_cost": "0.00075",
        "unsplit_cost": "0", "cache_savings": "0.00147", "list_cost": "0.00303",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == {name: Decimal(value) for name, value in expected.items()}


def test_a_reported_cost_is_split_in_the_proportion_of_its_list_prices():
    row = split(**SONNET, cost=Decimal("0.001515"), cost_source="reported")  # half price
    assert (row["output_cost"], row["cache_read_cost"]) == (Decimal("0.00075"), Decimal("0.00009"))
    assert row["list_cost"] == Decimal("0.00303")
    assert row["cache_savings"] == Decimal("0.000735")


@pytest.mark.parametrize(
    ("row", "unsplit"),
    [
        ({"model": "nobody-knows-it", "input_tokens": 5, "cost": Decimal(2)}, 2),
        ({"cost": Decimal(2)}, 2),
        ({**SONNET, "cache_read_tokens": 5000, "cost": Decimal(2)}, 2),
        ({**SONNET, "input_tokens": None, "output_tokens": None, "cost": Decimal(2)}, 2),
        ({**SONNET, "cost": Decimal(-1)}, 0),
        ({**SONNET, "cost": None}, None),
    ],
)
def test_what_cannot_be_split_is_said(row, unsplit):
    row = split(**row)
    assert row["unsplit_cost"] == unsplit
    known = [row[name] for name in PARTS]
    assert known == [None] * 5 if row["cost"] is None else sum(known) == row["cost"]


def test_parts_add_up_to_the_cost_and_shares_to_one(workspace):
    for by in (["model"], ["project"], ["api_key"], ["endpoint", "service"], ["user"], ["team"]):
        rows = workspace.costs("all", BY_MODEL, by=by).rows()
        whole = workspace.costs("all", BY_MODEL).rows()[0]
        assert sum(row["cost"] or 0 for row in rows) == whole["cost"]
        assert sum(row["cost_share"] or 0 for row in rows) == pytest.approx(1, abs=1e-12)
        for row in [*rows, whole]:
            assert sum(row[name] or 0 for name in PARTS) == (row["cost"] or 0)


@pytest.mark.parametrize("every", ["hour", "day", "week", "month"])
def test_buckets_add_up_in_any_zone(sample_store, every):
    workspace = hr.open(str(sample_store), now="2026-03-31T12:00:00Z", timezone="America/New_York")
    rows = workspace.costs("all", BY_MODEL, every=every).rows()
    whole = workspace.costs("all", BY_MODEL).rows()[0]
    for name in ("cost", *PARTS, "cache_savings"):
        assert sum(row[name] or 0 for row in rows) == whole[name]
    assert sum(row["cost_share"] or 0 for row in rows) == pytest.approx(1, abs=1e-12)


def test_the_rest_of_a_top_list_keeps_the_shares_whole(workspace):
    rows = workspace.costs("all", by=["api_key"], top=3).rows()
    assert len(rows) == 4
    assert sum(row["cost_share"] for row in rows) == pytest.approx(1, abs=1e-12)


def test_reported_against_computed():
    halves = [Decimal("0.001515"), Decimal("0.00303"), None]
    rows = [{**SONNET, "cost": cost, "cost_source": "reported" if cost else None} for cost in halves]
    base = {"timestamp": AT, "service": "s", "project": "p", "status": 200, "ingested_at": AT}
    values = [base | {"event_id": str(n)} | row for n, row in enumerate(rows)]
    table = pa.table({field.name: pa.array([row.get(field.name) for row in values], field.type) for field in _SCHEMA})
    events = split_costs(connect_ibis(duckdb.connect()).create_table("rows", table))
    window = hr.Window.parse("2025-11-05..2025-11-05", now=AT)
    (row,) = (
        hr.costs(events, window, ["cost_over_list", "price_differences", "unpriced_share"]).to_pyarrow().to_pylist()
    )
    assert (row["cost_over_list"], row["price_differences"]) == (Decimal("-0.001515"), 1)
    assert row["unpriced_share"] == pytest.approx(1 / 3)
