"""Queries on the command line: answers on stdout, notes on stderr, errors before any work."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest

QUESTIONS = ["usage", "costs", "health"]


def test_json_is_what_python_gives(cli, workspace):
    answer = json.loads(cli("usage", "--range", "7d", "--by", "model,project", "--format", "json").stdout)
    result = workspace.usage("7d", by=["model", "project"])
    assert answer == json.loads(result.to_json())
    assert answer["summary"]["total_requests"] == sum(row["requests"] for row in answer["data"])


def test_csv_has_exact_money(cli, workspace):
    read = list(csv.DictReader(io.StringIO(cli("costs", "-r", "7d", "--by", "project", "-f", "csv").stdout)))
    assert [Decimal(row["cost"]) for row in read] == [
        row["cost"] for row in workspace.costs("7d", by=["project"]).rows()
    ]


@pytest.mark.parametrize("noun", QUESTIONS)
def test_the_default_format_is_a_table_with_notes_on_stderr(cli, noun):
    finished = cli(noun, "--range", "7d", "--by", "model", "--top", "2")
    assert "claude" in finished.stdout
    assert "other" in finished.stdout
    unpriced = "Cost excludes 857 requests with no known price. List them with `-m unpriced_requests --by model`\n"
    assert finished.stderr == ("" if noun == "health" else unpriced)


def test_filters_buckets_and_metrics(cli, workspace):
    answer = json.loads(
        cli("usage", "-r", "2d", "-m", "requests,cost", "--every", "day", "-w", "project=platform", "-w", "status=200",
            "-w", "status=429", "-f", "json").stdout
    )  # fmt: skip
    where = {"project": ["platform"], "status": [200, 429]}
    query = workspace.usage("2d", ["requests", "cost"], every="day", where=where)
    assert answer == json.loads(query.to_json())
    assert len(answer["data"]) == 3


def test_days_follow_the_time_zone(cli):
    answer = json.loads(cli("--tz", "Asia/Kolkata", "usage", "-r", "2d", "--every", "day", "-f", "json").stdout)
    assert [row["period"][-6:] for row in answer["data"]] == ["+05:30"] * 3


def test_an_empty_window_suggests_another_range(cli):
    finished = cli("usage", "--range", "2020-01-01..2020-01-02", "-f", "json")
    assert json.loads(finished.stdout)["data"][0]["requests"] == 0
    assert "the store holds 2026-03-21" in finished.stderr
    assert "--range all" in finished.stderr


def test_the_catalogue_is_listed(cli):
    from hanzo_reports.metrics.catalog import CATALOG  # noqa: PLC0415

    rows = json.loads(cli("metrics", "-f", "json").stdout)
    assert [row["name"] for row in rows] == list(CATALOG)
    assert {row["name"]: row["limit"] for row in rows}["error_rate"] == 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["usage", "-m", "request"], "unknown metric 'request'; did you mean 'requests'?"),
        (["usage", "--by", "modle"], "unknown dimension 'modle'; did you mean 'model'?"),
        (["usage", "--by", "day"], "ask for time buckets with every='day'"),
        (["usage", "--range", "mdt"], "did you mean 'mtd'?"),
        (["usage", "--every", "hours"], "unknown grain 'hours'; did you mean 'hour'?"),
        (["usage", "-w", "project"], "--where 'project': give name=value"),
        (["usage", "-w", "projct=x"], "unknown dimension 'projct'; did you mean 'project'?"),
        (["usage", "-w", "status=ok"], "status is a whole number"),
        (["usage", "--by", "model", "--top", "0"], "top must be at least 1"),
        (["usage", "--format", "cvs"], "unknown format 'cvs'; did you mean 'csv'?"),
        (["--tz", "Europe/Berln", "usage"], "did you mean 'Europe/Berlin'?"),
        (["--now", "noonish", "usage"], "'noonish' is neither a date"),
        (["usgae"], "No such command 'usgae'"),
        (["usage", "--rnage", "7d"], "--range"),
    ],
)
def test_a_mistake_is_answered_with_the_nearest_name(cli, arguments, message):
    finished = cli(*arguments, code=2)
    assert message in finished.stderr
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr


def test_a_missing_store_is_answered_with_how_to_create_one(cli, tmp_path):
    finished = cli("usage", store=tmp_path / "nothing", code=1)
    assert "nothing" in finished.stderr
    assert "ingest" in finished.stderr
