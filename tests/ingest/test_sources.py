"""Sources: rows as the tools write them, and the events they are, by hand."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import hanzo_reports as hr
from hanzo_reports.errors import MappingError
from hanzo_reports.ingest.mapping_file import SOURCES_FOLDER, load_source, source_names

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DOC = (Path(__file__).parents[2] / "docs/sources.md").read_text(encoding="utf-8")

LITELLM = {
    "request_id": "chatcmpl-1", "call_type": "acompletion", "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df77",
    "spend": 0.00525, "prompt_tokens": 1000, "completion_tokens": 100, "startTime": "2025-06-01T10:00:00Z",
    "endTime": "2025-06-01T10:00:02.5Z", "completionStartTime": "2025-06-01T10:00:00.400Z",
    "model": "anthropic/claude-sonnet-4-5", "custom_llm_provider": "anthropic", "team_id": "t1", "end_user": "u1",
    "status": "success",
    "metadata": {"project_id": "search", "usage_object": {"cache_read_input_tokens": 400}},
}  # fmt: skip
SPAN = {
    "traceId": "aa", "spanId": "01", "name": "chat gpt-4o", "startTimeUnixNano": "1748772000000000000",
    "endTimeUnixNano": "1748772001250000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
        {"key": "gen_ai.response.model", "value": {"stringValue": "gpt-4o"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1000"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "100"}},
        {"key": "gen_ai.usage.cache_read.input_tokens", "value": {"intValue": "400"}},
        {"key": "http.route", "value": {"stringValue": "/v1/chat"}},
    ],
}  # fmt: skip
AGENT = {
    **SPAN,
    "spanId": "02",
    "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}}],
}
OTEL = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "assistant"}}]},
            "scopeSpans": [{"spans": [SPAN, AGENT]}],
        }
    ]
}
LANGFUSE = [
    {
        "id": "o1", "type": "GENERATION", "name": "answer", "projectId": "search", "model": "gpt-4o",
        "level": "DEFAULT", "startTime": "2025-06-01T10:00:00Z", "endTime": "2025-06-01T10:00:01Z",
        "updatedAt": updated,
        "usageDetails": {"input": 600, "input_cached_tokens": 400, "output": output}, "totalCost": cost,
    }
    for updated, output, cost in [("2025-06-01T10:00:01Z", 1, 0.001), ("2025-06-01T10:00:09Z", 100, 0.003)]
] + [{"id": "o2", "type": "SPAN", "projectId": "search", "startTime": "2025-06-01T10:00:00Z"}]  # fmt: skip
HELICONE = {
    "request_id": "h1", "request_created_at": "2025-06-01 10:00:00", "status": 200, "latency": 900,
    "prompt_tokens": 600, "completion_tokens": 100, "prompt_cache_read_tokens": 400, "prompt_cache_write_tokens": 0,
    "time_to_first_token": 120, "model": "gpt-4o", "provider": "OPENAI", "user_id": "u1", "country_code": "DE",
    "properties": {"project": "search"}, "cost": 3000000,
}  # fmt: skip


@pytest.fixture
def loaded(tmp_path):
    """A function that loads rows as a source and gives the events' columns that are asked for."""

    def run(source, rows, *columns, suffix="jsonl", **options):
        path = tmp_path / f"log.{suffix}"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        workspace = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
        result = workspace.ingest(source, [path], **options)
        assert result.quarantined == 0, result.reasons
        return workspace.events.order_by("event_id").select(*columns).to_pyarrow().to_pylist()

    return run


TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens")


def test_litellm(loaded):
    columns = ("event_id", "provider", "model", "operation", "project", "team", "user", "status", "latency_ms",
               "time_to_first_token_ms", *TOKENS, "cost", "cost_source", "timestamp")  # fmt: skip
    assert loaded("litellm", [LITELLM], *columns) == [
        dict(zip(columns, ("chatcmpl-1", "anthropic", "claude-sonnet-4-5", "chat", "search", "t1", "u1", 200, 2500.0,
                           400.0, 1000, 100, 400, Decimal("0.00525"), "reported",
                           datetime(2025, 6, 1, 10, tzinfo=UTC)), strict=True))
    ]  # fmt: skip


def test_a_litellm_failure_has_its_status_and_no_latency(loaded):
    failed = {
        **LITELLM, "status": "failure", "spend": 0, "prompt_tokens": 0, "completion_tokens": 0,
        "endTime": LITELLM["startTime"],
        "metadata": {"error_information": {"error_code": "429", "error_class": "RateLimitError"}},
    }  # fmt: skip
    columns = ("status", "error_type", "latency_ms", "project", "cost")
    assert loaded("litellm", [failed], *columns) == [
        dict(zip(columns, (429, "RateLimitError", None, "default", Decimal(0)), strict=True))
    ]


def test_otel_counts_calls_and_not_the_agents_around_them(loaded):
    columns = ("event_id", "service", "endpoint", "operation", "provider", "model", "status", "latency_ms", *TOKENS,
               "cost")  # fmt: skip
    assert loaded("otel", [OTEL], *columns, suffix="json") == [
        dict(zip(columns, ("aa-01", "assistant", "/v1/chat", "chat", "openai", "gpt-4o", 200, 1250.0, 1000, 100, 400,
                           Decimal("0.0030")), strict=True))
    ]  # fmt: skip


def test_langfuse_takes_the_newest_version_of_a_generation(loaded):
    columns = ("event_id", "project", "model", "status", *TOKENS, "cost")
    assert loaded("langfuse", LANGFUSE, *columns) == [
        dict(zip(columns, ("o1", "search", "gpt-4o", 200, 1000, 100, 400, Decimal("0.003")), strict=True))
    ]


def test_helicone_adds_cached_tokens_and_scales_the_cost(loaded):
    columns = ("project", "region", "latency_ms", "time_to_first_token_ms", *TOKENS, "cost")
    assert loaded("helicone", [HELICONE], *columns) == [
        dict(zip(columns, ("search", "DE", 900.0, 120.0, 1000, 100, 400, Decimal("0.003")), strict=True))
    ]


def test_burstgpt_counts_from_a_day_that_can_be_set(tmp_path):
    workspace = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    file = Path(__file__).parents[1] / "data/BurstGPT_1_first54.csv"
    result = workspace.ingest("burstgpt", [file], constants={"base": "2023-03-01T00:00:00Z"})
    assert (result.read, result.accepted) == (54, 54)
    assert workspace.window("all").start == datetime(2023, 3, 1, 0, 0, 5, tzinfo=UTC)


def test_the_mapping_of_the_docs_does_what_they_say(loaded, tmp_path):
    mapping, line = (re.search(rf"```{kind}\n(.*?)```", DOC, re.DOTALL)[1] for kind in ("toml", "json"))
    (tmp_path / "gateway.toml").write_text(mapping)
    other = {"id": "r2", "kind": "health check"}
    failed = {**json.loads(line), "id": "r3", "outcome": "error", "seconds": 0, "labels": {}, "usage": {}}
    columns = ("event_id", "project", "provider", "model", "status", "latency_ms", *TOKENS, "cost")
    assert loaded(
        "gateway", [json.loads(line), other, failed], *columns, mapping_file=tmp_path / "gateway.toml"
    ) == [
        dict(zip(columns, ("r1", "search", "openai", "gpt-4o", 200, 800.0, 1000, 100, 400, Decimal("0.003")),
                 strict=True)),
        dict(zip(columns, ("r3", "unassigned", "openai", "gpt-4o", 500, None, None, None, None, Decimal(0)),
                 strict=True)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("fromm = 'id'", "did you mean 'from'?"),
        ("from = 'id', value = 'x'", "exactly one of"),
        ("from = 'id', time = 'epoch'", "not a time format"),
        ("from = 'id', other = 'x'", "'other' is for values that are not in 'map'"),
        ("from = 'a..b'", "is not a path"),
    ],
)
def test_a_mistake_in_a_mapping_is_named(tmp_path, change, message):
    path = tmp_path / "mine.toml"
    text = (SOURCES_FOLDER / "azure_llm.toml").read_text()
    path.write_text(re.sub(r"^event_id = .*$", f"event_id = {{ {change} }}", text, flags=re.MULTILINE))
    with pytest.raises(MappingError, match=re.escape(message)) as caught:
        load_source("mine", path, {})
    assert str(path) in str(caught.value)
    assert "event_id" in str(caught.value)


def test_a_mapping_without_a_needed_column_or_with_an_unknown_one_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    text = (SOURCES_FOLDER / "azure_llm.toml").read_text()
    path.write_text(re.sub(r"^project = .*$", "", text, flags=re.MULTILINE))
    with pytest.raises(MappingError, match="lacks project"):
        load_source("mine", path, {})
    path.write_text(text.replace("input_tokens =", "input_token ="))
    with pytest.raises(MappingError, match="did you mean 'input_tokens'"):
        load_source("mine", path, {})


@pytest.mark.parametrize("name", source_names())
def test_every_source_says_what_it_is(name):
    assert len(load_source(name, None, {}).about) > 20


def test_a_key_that_is_a_secret_is_hashed_and_masked(tmp_path):
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"  # noqa: S105  # no key of anyone
    rows = [{**LITELLM, "api_key": secret}, {**LITELLM, "request_id": "bad", "api_key": secret, "startTime": "never"}]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    workspace = hr.open(str(tmp_path / "lake"), now=NOW, create=True)
    result = workspace.ingest("litellm", [path])
    assert (result.accepted, result.quarantined) == (1, 1)
    stored = json.dumps(workspace.events.select("api_key").to_pyarrow().to_pylist())
    stored += json.dumps(workspace.store.quarantine().drop("quarantined_at").to_pyarrow().to_pylist())
    assert secret not in stored
    assert "never" in stored
