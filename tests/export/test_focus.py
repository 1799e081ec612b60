"""The export of charges against the column rules of FOCUS 1.2, Cost and Usage: presence, nulls and allowed values."""

from __future__ import annotations

import csv
import json
import re
from datetime import timedelta
from decimal import Decimal

import ibis
import pyarrow.parquet as pq
import pytest

import hanzo_reports as hr
from hanzo_reports.export import focus

MANDATORY = {  # present in every FOCUS 1.2 file
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart",
    "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "SubAccountId", "SubAccountName",
}  # fmt: skip
FILLED = (MANDATORY - {"ChargeClass", "ChargeDescription"}) | {
    "ConsumedQuantity",
    "ConsumedUnit",
}  # for charges of usage
WORDS = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"", "Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
        "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media",
        "Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other",
    },
}  # fmt: skip
SUBCATEGORIES = {  # of the categories that this export has
    "AI and Machine Learning": {
        "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
        "Other (AI and Machine Learning)",
    },
    "Other": {"Other (Other)"},
}  # fmt: skip
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.0+)?(Z|\+00(:00)?)")
TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")


@pytest.fixture(scope="module")
def charges(tmp_path_factory, arrow, now):
    """An export of events with and without a model, a provider, tokens and further dimensions."""
    folder = tmp_path_factory.mktemp("focus")
    rows = [
        {"event_id": "a"},
        {"event_id": "b", "timestamp": now - timedelta(days=2), "team": 'a "team"', "region": "eu"},
        {"event_id": "c", "provider": None, "cost": Decimal("0.1"), "cost_source": "reported"},
        {"event_id": "d", "model": None, "provider": None, "input_tokens": None, "output_tokens": None,
         "cache_read_tokens": None, "cache_write_tokens": None, "reasoning_tokens": None, "cost": Decimal("0.01")},
    ]  # fmt: skip
    pq.write_table(arrow(rows), folder / "events.parquet")
    ws = hr.open(str(folder / "w"), now=now, create=True)
    assert ws.ingest("events", [folder / "events.parquet"]).accepted == 4
    ws.export(folder / "focus.csv", "focus", "7d")
    with (folder / "focus.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_mandatory_columns_exist_and_required_ones_are_filled(charges):
    assert len(charges) == 4
    assert MANDATORY - set(charges[0]) == set()
    assert [name for row in charges for name in FILLED if not row[name]] == []
    own = [name for name in charges[0] if not re.fullmatch(r"x_[A-Z]\w*|[A-Z][A-Za-z]*", name)]
    assert own == []


def test_values_are_those_of_the_specification(charges):
    assert [row[name] for row in charges for name, words in WORDS.items() if row[name] not in words] == []
    assert [row for row in charges if row["ServiceSubcategory"] not in SUBCATEGORIES[row["ServiceCategory"]]] == []
    assert all(re.fullmatch("[A-Z]{3}", row["BillingCurrency"]) for row in charges)


@pytest.mark.parametrize(
    "team", ['a "team"', "back\\slash", "two\nlines", "\x1b[31m\t\x00", "\u2028 山", "", "null", "=1+1"]
)
def test_tags_are_json_whatever_a_name_holds(arrow, now, team):
    events = ibis.memtable(arrow([{"event_id": "a", "team": team, "environment": None, "operation": None}]))
    (row,) = focus.charges(events, hr.Window(now - timedelta(days=1), now)).to_pyarrow().to_pylist()
    assert json.loads(row["Tags"]) == {"team": team, "service": "gateway"}


def test_amounts_are_numbers_and_times_are_utc_in_order(charges):
    assert all(Decimal(row[name]).is_finite() for row in charges for name in (*COSTS, "PricingQuantity"))
    assert [row[name] for row in charges for name in TIMES if not INSTANT.fullmatch(row[name])] == []
    for row in charges:
        month, start, end, following = (row[name] for name in (TIMES[0], TIMES[2], TIMES[3], TIMES[1]))
        assert month <= start < end <= following
    assert sum(Decimal(row["BilledCost"]) for row in charges) == Decimal("0.117")
