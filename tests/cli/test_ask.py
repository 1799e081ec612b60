"""Questions on the command line: answers on stdout, talk on stderr, and what is wrong is named before any work."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest

QUESTIONS = ["usage", "costs", "health"]


def test_json_is_what_python_gives(cli, workspace):
    told = json.loads(cli("usage", "--range", "7d", "--by", "model,project", "--format", "json").stdout)
    result = workspace.usage("7d", by=["model", "project"])
    assert told == json.loads(result.to_json())
    assert told["summary"]["total_requests"] == sum(row["requests"] for row in told["data"])


def test_csv_has_exact_money(cli, workspace):
    read = list(csv.DictReader(io.StringIO(cli("costs", "-r", "7d", "--by", "project", "-f", "csv").stdout)))
    assert [Decimal(row["cost"]) for row in read] == [
        row["cost"] for row in workspace.costs("7d", by=["project"]).rows()
    ]


@pytest.mark.parametrize("noun", QUESTIONS)
def test_a_table_is_for_people(cli, noun):
    done = cli(noun, "--range", "7d", "--by", "model", "--top", "2")
    assert "claude" in done.stdout
    assert "other" in done.stdout
    unpriced = "Cost excludes 857 requests with no known price. List them with `-m unpriced_requests --by model`\n"
    assert done.stderr == ("" if noun == "health" else unpriced)


def test_filters_buckets_and_metrics(cli, workspace):
    told = json.loads(
        cli("usage", "-r", "2d", "-m", "requests,cost", "--every", "day", "-w", "project=platform", "-w", "status=200",
            "-w", "status=429", "-f", "json").stdout
    )  # fmt: skip
    where = {"project": ["platform"], "status": [200, 429]}
    asked = workspace.usage("2d", ["requests", "cost"], every="day", where=where)
    assert told == json.loads(asked.to_json())
    assert len(told["data"]) == 3


def test_the_zone_cuts_the_days(cli):
    told = json.loads(cli("--tz", "Asia/Kolkata", "usage", "-r", "2d", "--every", "day", "-f", "json").stdout)
    assert [row["period"][-6:] for row in told["data"]] == ["+05:30"] * 3


def test_an_empty_window_says_what_to_ask_instead(cli):
    done = cli("usage", "--range", "2020-01-01..2020-01-02", "-f", "json")
    assert json.loads(done.stdout)["data"][0]["requests"] == 0
    assert "the store holds 2026-03-21" in done.stderr
    assert "--range all" in done.stderr


def test_the_catalogue_is_listed(cli):
    from hanzo_reports.metrics.catalog import CATALOG  # noqa: PLC0415

    rows = json.loads(cli("metrics", "-f", "json").stdout)
    assert [row["name"] for row in rows] == list(CATALOG)
    assert {row["name"]: row["limit"] for row in rows}["error_rate"] == 0.01


@pytest.mark.parametrize(
    ("arguments", "said"),
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
def test_a_mistake_is_named_with_the_nearest_right_word(cli, arguments, said):
    done = cli(*arguments, code=2)
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_no_store_says_how_to_get_one(cli, tmp_path):
    done = cli("usage", store=tmp_path / "nothing", code=1)
    assert "nothing" in done.stderr
    assert "ingest" in done.stderr
