"""Computed spend beside billed spend."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

import hanzo_reports as hr
from hanzo_reports.errors import ColumnError, UnreadableError
from hanzo_reports.quality.verdict import State, Status

DAY = 1_750_982_400  # 2025-06-27T00:00:00Z
HEAD = "BilledCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ProviderName,ServiceName,x_Model\n"
LINE = "1,USD,Usage,2025-06-27,2025-06-28,x,y,z\n"


@pytest.fixture
def ws(tmp_path, arrow, now):
    """Events of two days: each request 1,000,000 tokens in and 100,000 out of gpt-4o, USD 3.50."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    rows = [
        {"event_id": f"{day} {n}", "timestamp": now - timedelta(days=3 - day, hours=n), "cost": None,
         "input_tokens": 1_000_000, "output_tokens": 100_000, "cache_read_tokens": 0, "provider": "openai"}
        for day in range(2) for n in range(4)
    ]  # fmt: skip
    path = tmp_path / "events.parquet"
    pq.write_table(arrow(rows), path)
    workspace = hr.open(str(tmp_path / "w"), now=now, create=True)
    assert workspace.ingest("events", [path]).accepted == 8
    return workspace


@pytest.fixture
def usage(tmp_path):
    """A function that writes a page of OpenAI's usage, a bucket a day."""

    def write(*buckets, name="usage.json"):
        data = [
            {"object": "bucket", "start_time": DAY + 86_400 * number, "end_time": DAY + 86_400 * (number + 1),
             "results": list(results)}
            for number, results in enumerate(buckets)
        ]  # fmt: skip
        path = tmp_path / name
        path.write_text(json.dumps({"object": "page", "data": data, "has_more": False}))
        return path

    return write


def bucket(requests, model="gpt-4o", **other):
    return {"object": "organization.usage.completions.result", "input_tokens": requests * 1_000_000, "model": model,
            "output_tokens": requests * 100_000, "num_model_requests": requests, **other}  # fmt: skip


def rows(ws):
    table = ws.reconciliation().to_pyarrow().to_pylist()
    return [(r["day"], r["model"], r["requests"], r["billed_requests"], r["cost"], r["billed_cost"]) for r in table]


def test_usage_that_agrees_passes(ws, usage):
    read = ws.load_bills([usage([bucket(4)], [bucket(4)])])
    assert (read.files, read.lines, read.left_out) == (1, 2, 0)
    assert rows(ws) == [(day, "gpt-4o", 4, 4, Decimal(14), Decimal(14)) for day in ("2025-06-27", "2025-06-28")]
    verdict = ws.guard("bill", "7d")
    assert (verdict.status, verdict.rows) == (Status.PASSED, 2)


def test_billed_usage_without_events_is_named_with_its_dollars(ws, usage):
    ws.load_bills([usage([bucket(5), bucket(2, "gpt-4o-mini")], [bucket(4)])])
    checks = {check.id: check for check in ws.guard("bill", "7d").checks}
    assert (checks["cost_matches"].state, checks["cost_matches"].at_stake) == (State.FAILED, Decimal("3.5"))
    assert checks["nothing_unseen"].groups[0]["value"] == "gpt-4o-mini"
    assert checks["nothing_unseen"].at_stake == Decimal("0.42")  # 2 M at 0.15 and 0.2 M at 0.60 a million
    assert checks["requests_match"].state is State.FAILED
    assert {c.id: c.state for c in ws.guard("bill", "7d", tolerance="0.5").checks}["cost_matches"] is State.PASSED


def test_loading_a_bill_again_replaces_it(ws, usage):
    ws.load_bills([usage([bucket(9)])])
    ws.load_bills([usage([bucket(4)], name="later.json")])
    ws.load_bills([usage([bucket(4)], name="later.json")])
    assert rows(ws) == [("2025-06-27", "gpt-4o", 4, 4, Decimal(14), Decimal(14))]


def test_cached_tokens_cost_less_and_a_batch_has_no_list_price(ws, usage):
    ws.load_bills([usage([bucket(4, input_cached_tokens=4_000_000)], [bucket(4, batch=True)])])
    assert [row[5] for row in rows(ws)] == [Decimal(9), None]  # half the price for what is cached: 4 x 1.25 + 4 x 1


def test_costs_of_openai_are_taken_as_they_are(ws, usage):
    line = {
        "object": "organization.costs.result",
        "amount": {"value": 13.99, "currency": "usd"},
        "line_item": "gpt-4o, input",
    }
    other = {
        "object": "organization.costs.result",
        "amount": {"value": 0.01, "currency": "usd"},
        "line_item": "gpt-4o, output",
    }
    ws.load_bills([usage([line, other])])
    assert rows(ws) == [("2025-06-27", "gpt-4o", 4, None, Decimal(14), Decimal(14))]


def test_a_focus_file(ws, tmp_path):
    path = tmp_path / "focus.csv"
    at = "2025-06-27T00:00:00Z,2025-06-28T00:00:00Z"
    path.write_text(
        f"{HEAD}13.5,USD,Usage,{at},OpenAI,OpenAI API,gpt-4o\n0.5,USD,Usage,{at},OpenAI,OpenAI API,openai/gpt-4o\n"
        f"2.66,USD,Tax,{at},OpenAI,OpenAI API,NULL\n8e-07,EUR,Usage,{at},OpenAI,Storage,NULL\n"
    )
    assert ws.load_bills([path]).left_out == 1
    assert rows(ws) == [
        ("2025-06-27", "gpt-4o", 4, None, Decimal(14), Decimal(14)),
        ("2025-06-27", "storage", None, None, None, Decimal("0.0000008")),
    ]
    assert {c.id for c in ws.guard("bill", "7d").checks if c.state is State.FAILED} == {"currency_known"}


def test_our_own_focus_export_is_a_bill_that_agrees(ws, tmp_path):
    for name in ("focus.csv", "focus.parquet"):
        assert ws.export(tmp_path / name, "focus", "7d") == 2
        ws.load_bills([tmp_path / name])
        assert [row[4:] for row in rows(ws)] == [(Decimal(14), Decimal(14))] * 2


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("a.json", "{", UnreadableError, "is not JSON"),
        ("a.json", '{"data": [{"start_time": 1}]}', UnreadableError, "no usage buckets"),
        ("a.json", '{"data": [{"start_time": 1, "results": []}]}', UnreadableError, "a bucket does not have the format of OpenAI's"),
        ("a.json", '{"data": []}', UnreadableError, "no usage in it"),
        ("a.json", '{"data": null}', UnreadableError, "no usage buckets"),
        ("a.json", '{"start_time": 1, "end_time": 2, "results": ["x"]}', UnreadableError, "a bucket does not have the format of OpenAI's"),
        ("a.json", '{"start_time": 1, "end_time": 2, "results": [{"amount": {"value": NaN, "currency": "usd"}}]}',
         UnreadableError, "an amount of NaN"),
        ("a.csv", HEAD, UnreadableError, "no usage in it"),
        ("a.csv", HEAD + LINE.replace("2025-06-28", ""), UnreadableError, "no ChargePeriodStart or no ChargePeriodEnd"),
        ("a.csv", HEAD.replace("BilledC", "BiledC") + LINE, ColumnError, "no column 'BilledCost'; the nearest is 'BiledCost'"),
        ("a.csv", HEAD + LINE.replace("1", "much", 1), UnreadableError, "is not a FOCUS file"),
    ],
)  # fmt: skip
def test_a_bill_that_cannot_be_read_changes_nothing(ws, tmp_path, name, text, error, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(error, match=message):
        ws.load_bills([path])
    assert ws.guard("bill").reason.startswith("no bill is loaded")


def test_amounts_finer_than_a_billionth_are_added_exactly_and_shown_as_money(ws, tmp_path):
    path = tmp_path / "fine.csv"
    path.write_text(HEAD + LINE.replace("1,", "0.0000000004,", 1) + LINE.replace("1,", "0.0000000008,", 1))
    ws.load_bills([path])
    rows = ws.reconciliation("2025-06-27..2025-06-27").to_pyarrow().to_pylist()
    assert [row["billed_cost"] for row in rows if row["provider"] == "x"] == [Decimal("0.000000001")]


def cost_of(model, value):
    return {"object": "organization.costs.result", "line_item": model, "amount": {"value": value, "currency": "usd"}}


def test_cost_comes_from_one_bill_and_requests_from_the_usage(ws, usage):
    ws.load_bills([usage([bucket(4)]), usage([cost_of("gpt-4o, input", 13.99)], name="costs.json")])
    assert rows(ws) == [("2025-06-27", "gpt-4o", 4, 4, Decimal(14), Decimal("13.99"))]


def test_a_revised_bill_replaces_everything_in_its_period(ws, usage, tmp_path):
    ws.load_bills([usage([bucket(4), bucket(7, "gpt-4o-mini")], [bucket(4)])])
    ws.load_bills([usage([bucket(2, project_id="a"), bucket(2, project_id="b")], [])])
    assert rows(ws) == [("2025-06-27", "gpt-4o", 4, 4, Decimal(14), Decimal(14))]
    path = tmp_path / "focus.csv"
    other = LINE.replace(",x,y,z", ",OpenAI,y,gpt-4o")
    path.write_text(HEAD + other + other.replace("2025-06-28", "2025-06-29").replace("2025-06-27", "2025-06-28"))
    ws.load_bills([path])
    path.write_text(HEAD + other.replace("2025-06-28", "2025-06-27T12:00:00Z").replace("1,", "13.5,", 1))
    ws.load_bills([path])
    assert [row[5] for row in rows(ws)] == [Decimal("13.5"), Decimal(1)]


def test_each_usage_endpoint_is_a_bill_of_its_own(ws, usage):
    embedded = bucket(3, "text-embedding-3-small", object="organization.usage.embeddings.result")
    ws.load_bills([usage([bucket(4)])])
    ws.load_bills([usage([embedded], name="embeddings.json")])
    assert [row[1] for row in rows(ws)] == ["gpt-4o", "text-embedding-3-small"]
    with pytest.raises(UnreadableError, match=r"usage\.json also bills 2025-06-27T00:00:00Z to .*; load one of them"):
        ws.load_bills([usage([bucket(4)]), usage([bucket(4)], name="again.json")])


def test_a_truncated_bill_is_refused_without_its_other_pages(ws, usage):
    first = usage([bucket(4)])
    first.write_text(first.read_text().replace('"has_more": false', '"has_more": true'))
    with pytest.raises(UnreadableError, match=r"usage\.json: the bill ends at 2025-06-28T00:00:00Z, but has_more"):
        ws.load_bills([first])
    following = usage([], [bucket(4)], name="next.json")
    page = json.loads(following.read_text())
    following.write_text(json.dumps(page | {"data": page["data"][1:]}))
    assert ws.load_bills([first, following]).lines == 2


def test_a_charge_for_more_than_a_day_is_compared_over_its_days(ws, tmp_path):
    path = tmp_path / "focus.csv"
    path.write_text(
        HEAD + "28,USD,Usage,2025-06-01,2025-06-30,OpenAI,y,gpt-4o\n3,USD,Usage,2025-06-28,2025-06-29,OpenAI,y,z\n"
    )
    ws.load_bills([path])
    assert rows(ws) == [
        ("2025-06-01..2025-06-29", "gpt-4o", 8, None, Decimal(28), Decimal(28)),
        ("2025-06-28", "z", None, None, None, Decimal(3)),
    ]


def test_a_version_of_a_model_is_the_model_that_the_price_list_has(ws, usage):
    ws.load_bills([usage([bucket(4, "gpt-4o-2024-08-06"), bucket(1, "gpt-4o-2024-05-13")])])
    assert [row[1:4] for row in rows(ws)] == [("gpt-4o-2024-05-13", None, 1), ("gpt-4o-2024-08-06", 4, 4)]
