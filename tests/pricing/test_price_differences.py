"""`price_differences` and `unpriced_requests` mean the same in a load, in a store and in the guard, on each engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.workspace import Workspace

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)
USUAL = {
    "timestamp": "2025-06-30T10:00:00Z", "service": "g", "project": "p", "status": 200, "provider": "openai",
    "model": "gpt-4o", "output_tokens": 0,
}  # fmt: skip
PER_TOKEN = Decimal("0.0000025")  # USD for an input token of gpt-4o
NANO = Decimal("1e-9")
FREE_FAILURE = {"status": 500, "input_tokens": 0}
UNKNOWN = {"model": "nobody-knows-this", "provider": None}


@pytest.fixture(params=["lake", "postgres", "clickhouse"])
def workspace(request, tmp_path):
    """An empty workspace on each kind of store."""
    if request.param == "lake":
        yield hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    elif request.param == "postgres":
        yield Workspace(store.open(request.getfixturevalue("database"), create=True), "UTC", NOW)
    else:
        import clickhouse_connect  # noqa: PLC0415  # slow to load

        client = clickhouse_connect.get_client(dsn="chdb://memory")
        url = "chdb://memory/differences"
        yield Workspace(store.open(url, create=True, state=str(tmp_path / "state.db")), "UTC", NOW)
        client.command("DROP DATABASE IF EXISTS differences")
        client.close()


@pytest.fixture
def counts(workspace, tmp_path):
    """A function that loads rows, and returns what the load, the store and the guard count."""

    def run(rows):
        path = tmp_path / "log.jsonl"
        lines = [USUAL | {"event_id": f"e{number}"} | row for number, row in enumerate(rows)]
        path.write_text("".join(json.dumps(line, default=str) + "\n" for line in lines))
        loaded = workspace.ingest("events", [path], suite="")
        assert loaded.accepted == len(rows), loaded.reasons
        (row,) = workspace.costs("7d", ["price_differences", "unpriced_requests"]).rows()
        checks = {check.id: check.unexpected or 0 for check in workspace.guard("events", "7d").checks}
        return (
            (loaded.price_differences, row["price_differences"], checks["cost_near_list"]),
            (loaded.unpriced, row["unpriced_requests"], checks["cost_known"]),
        )

    return run


def priced(tokens, share, **columns):
    """A request whose stated cost is a share of its list price."""
    return {"input_tokens": tokens, "cost": tokens * PER_TOKEN * share} | columns


def test_a_cost_differs_beyond_one_percent_and_not_at_it(counts):
    edges = [priced(tokens, Decimal(share)) for tokens in range(400, 4_400, 400) for share in ("1.01", "0.99")]
    beyond = [priced(1000, Decimal(1), cost=cost) for cost in (Decimal("0.002525") + NANO, Decimal("0.002475") - NANO)]
    differences, _ = counts([*edges, *beyond, priced(1000, 0), priced(1000, 1)])
    assert differences == (3, 3, 3)


def test_every_cost_that_the_log_states_is_compared_whatever_it_calls_its_source(counts):
    stated = [None, "", "reported", "estimated", "reported:EUR@1.0812(2026-09-01)", "invoice", "Computed"]
    computed = ["computed:genai-prices/0.0.1", "computed:contract-2026@3f9a1c"]
    rows = [priced(1000, Decimal("1.11"), cost_source=source) for source in [*stated, *computed]]
    assert counts(rows)[0] == (len(stated),) * 3


def test_what_has_no_list_price_is_not_compared_and_what_is_free_is(counts):
    rows = [
        UNKNOWN | {"input_tokens": 5, "cost": 1},
        {"model": None, "cost": 1},
        {"cost": -1, "output_tokens": None},
        FREE_FAILURE | {"cost": 0},
        FREE_FAILURE | {"cost": 5},
    ]
    (loaded, stored, _), _ = counts(rows)  # the guard compares by a quotient, and nothing can be divided by 0
    assert (loaded, stored) == (1, 1)


def test_a_request_is_unpriced_where_it_has_tokens_and_no_cost(counts):
    rows = [
        UNKNOWN | {"input_tokens": 1, "output_tokens": None},
        UNKNOWN | {"input_tokens": None, "output_tokens": 1},
        UNKNOWN | {"input_tokens": 0},
        UNKNOWN | {"input_tokens": None, "output_tokens": None},
        UNKNOWN | {"input_tokens": 5, "cost": 1},
        {"input_tokens": 5},
    ]
    assert counts(rows)[1] == (2, 2, 2)
