"""Real logs, loaded as a user loads them, against figures computed independently from the same files.

tests/data/README.md names the sources of both.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import hanzo_reports as hr

DATA = Path(__file__).parent / "data"
TRUTH = json.loads((DATA / "truth.json").read_text(encoding="utf-8"), parse_float=Decimal)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def load_log(folder, source, file, times=1):
    """A workspace on a new store into which the file was loaded one or more times."""
    workspace = hr.open(str(folder / source), now=NOW, create=True)
    for number in range(times):
        loaded = workspace.ingest(source, [DATA / file])
        assert (loaded.quarantined, loaded.accepted * number) == (0, 0)
    return workspace


@pytest.fixture(scope="module", params=[1, 2], ids=["once", "twice"])
def aider(request, tmp_path_factory):
    return load_log(tmp_path_factory.mktemp("aider"), "aider", "aider_requests.csv.gz", request.param)


def near(value, expected):
    """Whether a value equals the truth to its nine digits, or both are not known."""
    return value is None if expected is None else value == pytest.approx(float(expected), rel=1e-6, abs=1e-8)


def test_aider_in_total(aider):
    (truth,) = TRUTH["aider_requests"]["overall"]
    (row,) = aider.usage("all", ["requests", "tokens", "cost", "active_users"]).rows()
    assert row == {
        "requests": truth["requests"],
        "input_tokens": truth["prompt_tokens"],
        "output_tokens": truth["completion_tokens"],
        "tokens": truth["total_tokens"],
        "cost": truth["cost_usd"],
        "active_users": truth["users"],
    }
    assert row["cost"] == Decimal("75.619557446")
    (health,) = aider.health("all", ["error_rate", "latency_p50", "latency_p95", "latency_p99"]).rows()
    assert near(health["error_rate"], truth["error_rate"])
    assert [health[f"latency_p{p}"] for p in (50, 95, 99)] == [
        float(truth[f"latency_s_p{p}_cont"] * 1000) for p in (50, 95, 99)
    ]


def test_aider_by_model(aider):
    truth = {row["model"]: row for row in TRUTH["aider_requests"]["by_model"]}
    metrics = ["requests", "tokens", "cost", "latency_p50", "latency_p95", "latency_p99"]
    rows_by_model = {
        row["model"]: row for row in aider.usage("all", metrics, by=["model"]).rows() if row["model"] is not None
    }
    assert set(rows_by_model) == set(truth)
    for model, row in rows_by_model.items():
        expected = truth[model]
        assert (row["requests"], row["input_tokens"], row["output_tokens"], row["cost"]) == (
            expected["requests"], expected["prompt_tokens"], expected["completion_tokens"], expected["cost_usd"],
        )  # fmt: skip
        for p in (50, 95, 99):
            seconds = expected[f"latency_s_p{p}_cont"]
            assert near(row[f"latency_p{p}"], None if seconds is None else seconds * 1000), (model, p)


@pytest.mark.parametrize(("grain", "part", "letters"), [("day", "by_day", 10), ("month", "by_month", 7)])
def test_aider_by_time(aider, grain, part, letters):
    truth = {row[grain]: row for row in TRUTH["aider_requests"][part]}
    rows = aider.usage("all", ["requests", "tokens", "cost", "error_rate"], every=grain).rows()
    rows_by_period = {row["period"][:letters]: row for row in rows if row["requests"]}
    assert set(rows_by_period) == set(truth)
    for period, row in rows_by_period.items():
        expected = truth[period]
        known = (row["requests"], row["tokens"] or 0, row["cost"] or 0, round(row["error_rate"] * row["requests"]))
        assert known == (
            expected["requests"], expected["total_tokens"] or 0, expected["cost_usd"] or 0, expected["errors"],
        )  # fmt: skip


def test_aider_by_day_and_model(aider):
    rows = aider.usage("all", ["requests", "tokens", "cost"], by=["model"], every="day").rows()
    rows_by_day_and_model = {
        (row["period"][:10], row["model"]): row for row in rows if row["requests"] and row["model"] is not None
    }
    truth = {(row["day"], row["model"]): row for row in TRUTH["aider_requests"]["by_day_model"] if row["model"]}
    assert {key: (row["requests"], row["tokens"], row["cost"]) for key, row in rows_by_day_and_model.items()} == {
        key: (row["requests"], row["total_tokens"], row["cost_usd"]) for key, row in truth.items()
    }


def test_azure(tmp_path):
    workspace = load_log(tmp_path, "azure_llm", "AzureLLMInferenceTrace_conv_2023.csv.gz")
    (truth,) = TRUTH["azure_2023_conv"]["overall"]
    (row,) = workspace.usage("all", ["requests", "tokens", "cost", "unpriced_requests"]).rows()
    assert (row["requests"], row["input_tokens"], row["output_tokens"], row["cost"], row["unpriced_requests"]) == (
        truth["requests"], truth["context_tokens"], truth["generated_tokens"], None, truth["requests"],
    )  # fmt: skip
    buckets = workspace.usage("all", ["requests", "tokens"], every="5m").rows()
    assert [(row["period"][:19].replace("T", " "), row["requests"], row["input_tokens"]) for row in buckets] == [
        (row["bucket"], row["requests"], row["context_tokens"]) for row in TRUTH["azure_2023_conv"]["by_5min"]
    ]


def test_llmperf_failures_have_no_latency(tmp_path):
    workspace = load_log(tmp_path, "llmperf", "llmperf_leaderboard_7b13b.parquet")
    (truth,) = TRUTH["llmperf"]["overall"]
    metrics = [
        "requests",
        "error_rate",
        "ttft_p50",
        "ttft_p95",
        "ttft_p99",
        "latency_p50",
        "latency_p95",
        "latency_p99",
    ]
    (row,) = workspace.health("all", metrics[:2]).rows()
    assert row["requests"] == truth["requests"]
    assert near(row["error_rate"], truth["error_rate"])
    (successful,) = workspace.health("all", metrics, where={"status": 200}).rows()
    for p in (50, 95, 99):
        assert near(successful[f"ttft_p{p}"], truth[f"ttft_ok_s_p{p}_cont"] * 1000)
        assert near(successful[f"latency_p{p}"], truth[f"e2e_ok_s_p{p}_cont"] * 1000)
    (limited,) = workspace.health("all", ["latency_p99"], where={"status": 429}).rows()
    assert limited["latency_p99"] is None


def test_spans_by_model_and_day(tmp_path):
    workspace = load_log(tmp_path, "genai_spans", "agent_llm_spans.parquet")
    metrics = ["requests", "input_tokens", "output_tokens", "error_rate", "latency_p50", "latency_p95", "latency_p99"]
    by_model = {row["model"]: row for row in workspace.health("all", metrics, by=["model"]).rows()}
    by_day = {
        row["period"][:10]: row for row in workspace.health("all", metrics, every="day").rows() if row["requests"]
    }
    truth = TRUTH["agent_llm_spans"]
    pairs = [(by_model[row["model"].removeprefix("azure/")], row) for row in truth["by_model"]]
    pairs += [(by_day[row["day"]], row) for row in truth["by_day"]]
    assert len(pairs) == len(by_model) + len(by_day)
    for row, expected in pairs:
        for name in ("requests", "input_tokens", "output_tokens"):
            assert row[name] == expected[name]
        assert near(row["error_rate"], expected["error_rate"])
        for p in (50, 95, 99):
            assert near(row[f"latency_p{p}"], expected[f"ok_ms_p{p}_cont"])


def test_tool_calls_by_tool(tmp_path):
    workspace = load_log(tmp_path, "tool_calls", "tool_calls.parquet")
    metrics = ["requests", "error_rate", "latency_p50", "latency_p95", "latency_p99"]
    rows_by_tool = {row["endpoint"]: row for row in workspace.health("all", metrics, by=["endpoint"]).rows()}
    truth = {row["tool_name"]: row for row in TRUTH["tool_calls"]["by_tool"]}
    assert set(rows_by_tool) == set(truth)
    for tool, row in rows_by_tool.items():
        assert row["requests"] == truth[tool]["calls"]
        assert near(row["error_rate"], truth[tool]["error_rate"])
        for p in (50, 95, 99):
            assert near(row[f"latency_p{p}"], truth[tool][f"all_ms_p{p}_cont"])


def test_a_web_server(tmp_path):
    workspace = load_log(tmp_path, "access_log", "apache_access_logs.parquet")
    (truth,) = TRUTH["apache_access_logs"]["overall"]
    (row,) = workspace.usage("all", ["requests", "bytes_out", "active_users", "error_rate", "server_error_rate"]).rows()
    assert (row["requests"], row["bytes_out"], row["active_users"]) == (
        truth["requests"], truth["bytes"], truth["clients"],
    )  # fmt: skip
    assert near(row["error_rate"], truth["rate_4xx_5xx"])
    assert near(row["server_error_rate"], truth["rate_5xx"])
    days = workspace.usage("all", ["requests"], every="day").rows()
    assert [(row["period"][:10], row["requests"]) for row in days] == [
        (row["day"], row["requests"]) for row in TRUTH["apache_access_logs"]["by_day"]
    ]
