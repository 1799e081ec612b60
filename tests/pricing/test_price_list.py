"""Prices: by hand, and against the price list's own calculation."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import ibis
import pyarrow as pa
import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from hanzo_reports.pricing.price_cards import price_list_version
from hanzo_reports.pricing.price_list import price_events
from hanzo_reports.store.duckdb_session import open_load_session

AT = datetime(2025, 9, 1, 12, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("timestamp", pa.timestamp("us", "UTC")), ("provider", pa.string()), ("model", pa.string()),
        ("status", pa.int16()), ("input_tokens", pa.int64()), ("output_tokens", pa.int64()),
        ("cache_read_tokens", pa.int64()), ("cache_write_tokens", pa.int64()),
        ("cost", pa.decimal128(18, 9)), ("cost_source", pa.string()), ("n", pa.int64()),
    ]
)  # fmt: skip
COMPUTED = f"computed:{price_list_version()}"


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    return open_load_session(tmp_path_factory.mktemp("duck"))


@pytest.fixture(scope="module")
def priced(con):
    """A function that prices rows given as dictionaries."""

    def run(*rows):
        usual = {"timestamp": AT, "provider": "openai", "model": "gpt-4o", "status": 200}
        whole = [{**usual, **row, "n": n} for n, row in enumerate(rows)]
        table = con.create_table(ibis.util.gen_name("rows"), pa.Table.from_pylist(whole, SCHEMA), temp=True)
        answer = price_events(table).order_by("n").to_pyarrow()
        assert answer.column_names == [*SCHEMA.names, "list_cost"]
        assert answer.schema.field("cost").type == pa.decimal128(18, 9)
        return answer.to_pylist()

    return run


def costs(rows):
    return [(row["cost"], row["cost_source"]) for row in rows]


def test_by_hand(priced):
    rows = priced(
        {"input_tokens": 1_000_000, "output_tokens": 0},
        {"input_tokens": 0, "output_tokens": 1_000},
        {"input_tokens": 3, "output_tokens": 1},
        {"input_tokens": 1_000, "output_tokens": 10, "cache_read_tokens": 400},
        {"provider": "anthropic", "model": "claude-sonnet-4-5", "input_tokens": 1_000, "output_tokens": 0,
         "cache_read_tokens": 100, "cache_write_tokens": 200},
    )  # fmt: skip
    assert [row["cost"] for row in rows] == [
        Decimal("2.5"),
        Decimal("0.01"),
        Decimal("0.0000175"),
        Decimal("0.0015") + Decimal("0.0005") + Decimal("0.0001"),
        Decimal("0.0021") + Decimal("0.00003") + Decimal("0.00075"),
    ]
    assert {row["cost_source"] for row in rows} == {COMPUTED}


def test_what_is_not_known_is_null(priced):
    unknown = [
        {"model": "no-such-model-9000", "provider": None, "input_tokens": 5, "output_tokens": 5},
        {"model": None, "provider": None, "input_tokens": 5},
        {"model": None, "provider": None, "status": 500},
        {"model": "no-such-model-9000", "status": 500, "input_tokens": 0, "output_tokens": 0},
        {"input_tokens": None, "output_tokens": None},
        {"input_tokens": 5, "cache_read_tokens": 6},
    ]
    assert costs(priced(*unknown)) == [(None, None)] * len(unknown)


def test_a_failure_without_tokens_is_free(priced):
    rows = priced(
        {"status": 429},
        {"status": 500, "input_tokens": 0, "output_tokens": 0},
        {"status": 500, "input_tokens": 1_000_000, "output_tokens": 0},
    )
    assert costs(rows) == [(Decimal(0), COMPUTED), (Decimal(0), COMPUTED), (Decimal("2.5"), COMPUTED)]


def test_a_reported_cost_is_kept_with_the_list_beside_it(priced):
    reported = {"input_tokens": 1_000_000, "output_tokens": 0, "cost": Decimal(3)}
    rows = priced(reported, {**reported, "cost": Decimal(0)}, {**reported, "cost_source": "computed:older/1"})
    assert costs(rows) == [(Decimal(3), "reported"), (Decimal(0), "reported"), (Decimal(3), "computed:older/1")]
    assert [row["list_cost"] for row in rows] == [Decimal("2.5")] * 3


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        (None, "gpt-4o"),
        (None, "openai/gpt-4o"),
        ("openai", "openai/gpt-4o"),
        ("litellm", "openai/gpt-4o"),
        ("my-gateway", "gpt-4o"),
        ("my-gateway", "my-gateway/openai/gpt-4o"),
        ("openai", "GPT-4o"),
    ],
)
def test_prefixes_and_gateways_do_not_hide_a_model(priced, provider, model):
    (row,) = priced({"provider": provider, "model": model, "input_tokens": 1_000_000, "output_tokens": 0})
    assert row["cost"] == Decimal("2.5")


def test_a_tier_holds_for_the_whole_request(priced):
    model = {"provider": "google", "model": "gemini-2.5-pro", "output_tokens": 0}
    rows = priced({**model, "input_tokens": 200_000}, {**model, "input_tokens": 200_001})
    assert [row["cost"] for row in rows] == [Decimal("0.25"), Decimal("0.5000025")]


def test_the_price_is_that_of_the_time(priced):
    chat = {"provider": "deepseek", "model": "deepseek-chat", "input_tokens": 1_000_000, "output_tokens": 0}
    midnight = AT.replace(hour=0)
    edges = [midnight, midnight + timedelta(minutes=30), midnight + timedelta(hours=16, minutes=30)]
    rows = priced(*({**chat, "timestamp": edge} for edge in edges))
    assert [row["cost"] for row in rows] == [Decimal("0.135"), Decimal("0.27"), Decimal("0.135")]


def test_nothing_to_price(priced):
    assert priced() == []


MODELS = [
    ("openai", "gpt-4o"), ("openai", "o3"), ("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-3-5-haiku-latest"), ("google", "gemini-2.5-pro"), ("google", "gemini-2.5-flash"),
    ("deepseek", "deepseek-chat"), ("deepseek", "deepseek-reasoner"), ("mistral", "mistral-large-latest"),
    ("groq", "llama-3.3-70b-versatile"), ("x-ai", "grok-4"), ("cohere", "command-r-plus"), ("openai", "gpt-5.5"),
    ("deepseek", "deepseek-v4-pro"), ("openai", "text-embedding-3-small"),
]  # fmt: skip


@st.composite
def requests(draw):
    provider, model = draw(st.sampled_from(MODELS))
    tokens = draw(st.integers(0, 2_000) | st.integers(0, 1_200_000))
    read = draw(st.integers(0, tokens))
    return {
        "provider": provider,
        "model": model,
        "timestamp": draw(st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31))).replace(tzinfo=UTC),  # noqa: DTZ001
        "input_tokens": tokens,
        "output_tokens": draw(st.integers(0, 100_000)),
        "cache_read_tokens": read,
        "cache_write_tokens": draw(st.integers(0, tokens - read)),
    }


def listed(row):
    """The list's own answer, rounded as money is."""
    counts = {name: row[name] for name in row if name.endswith("_tokens")}
    try:
        cost = calc_price(
            Usage(**counts), row["model"], provider_id=row["provider"], genai_request_timestamp=row["timestamp"]
        ).total_price
    except LookupError:
        return None
    return cost.quantize(Decimal("1e-9"), ROUND_HALF_UP)


@settings(max_examples=25, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=30))
def test_it_is_what_the_list_calculates(priced, rows):
    assert [row["cost"] for row in priced(*rows)] == [listed(row) for row in rows]


def test_most_of_those_models_are_in_the_list():
    row = {"timestamp": AT, "input_tokens": 10, "output_tokens": 10, "cache_read_tokens": 0, "cache_write_tokens": 0}
    known = [m for p, m in MODELS if listed({**row, "provider": p, "model": m}) is not None]
    assert len(known) >= len(MODELS) - 3


def test_no_network_is_asked(priced, monkeypatch):
    def refused(*_, **__):
        msg = "the price list went to the network"
        raise AssertionError(msg)

    monkeypatch.setattr(socket.socket, "connect", refused)
    assert priced({"input_tokens": 1, "output_tokens": 1})[0]["cost"] is not None
