"""Forecasts and budgets as a person asks for them."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys

import pytest

from hanzo_reports.cli import main


@pytest.fixture
def own(sample_store, tmp_path):
    """A copy of the sample store: budgets are written into it."""
    return shutil.copytree(sample_store, tmp_path / "own")


def read(result):
    return json.loads(result.stdout)


def test_a_forecast_of_the_total_against_a_limit(cli, own):
    (answer,) = read(cli("forecast", "--limit", "40", "-f", "json", store=own))
    assert answer["low_95"] <= answer["p10"] <= answer["p50"] <= answer["p90"] <= answer["high_95"]
    assert answer["spent"] < answer["p50"]
    assert (answer["limit"], answer["confidence"], answer["period"]) == (40, "medium", "2026-03")
    assert 0 <= answer["p_exceed"] <= 1


def test_forecasts_by_project_are_those_of_their_budgets(cli, own):
    cli("budgets", "set", "platform", "--monthly", "10", store=own)
    rows = list(csv.DictReader(io.StringIO(cli("forecast", "--by", "project", "-f", "csv", store=own).stdout)))
    limits = {row["project"]: row["limit"] for row in rows}
    assert limits.pop("platform") == "10"
    assert set(limits.values()) == {""}
    path = read(cli("forecast", "--by", "project", "--path", "-f", "json", store=own))
    assert {row["day"] for row in path} == {"2026-03-31"}


def test_a_forecast_is_scored_only_after_its_month(cli, own):
    cli("forecast", store=own)
    result = cli("forecast", "--scorecard", "-f", "json", store=own)
    assert read(result)[0]["forecasts"] == 0
    assert "a month must be over" in result.stderr


def test_backtest_on_the_shipped_series_with_a_chart(cli, tmp_path):
    rows = read(cli("backtest", "--shipped", "--days", "10", "--chart", tmp_path / "b.svg", "-f", "json"))
    assert {row["method"] for row in rows} >= {"forecast", "run_rate", "last_7_days", "seasonal_naive"}
    assert {row["day"] for row in rows} == {10}
    assert (tmp_path / "b.svg").read_text(encoding="utf-8").startswith("<svg")


def test_the_absence_of_anomalies_is_reported(cli, own):
    result = cli("anomalies", "--stake", "1000", "-f", "json", store=own)
    assert (read(result), "No day of the last 30" in result.stderr) == ([], True)


def test_a_budget_from_set_to_removed(cli, own):
    result = cli("budgets", "set", "comerce", "--monthly", "5000", "--thresholds", "0.5,0.8", "--tz", "Asia/Kolkata",
               "--on-exceed", "soft_limit", "--forecast-alert", "-f", "json", store=own)  # fmt: skip
    (stored,) = read(result)
    assert stored == {
        "project": "comerce", "monthly_limit": 5000, "thresholds": "0.5 0.8 1", "on_exceed": "soft_limit",
        "timezone": "Asia/Kolkata", "forecast_alert": True, "limit_revision": 1, "flagged": True,
    }  # fmt: skip
    assert "No event has the project 'comerce' yet; did you mean 'commerce'?" in result.stderr
    assert len(read(cli("budgets", "list", "-f", "json", store=own))) == 1
    cli("budgets", "remove", "comerce", store=own)
    assert "No budgets" in cli("budgets", "list", store=own).stderr
    assert "unknown budget 'comerce'" in cli("budgets", "show", "comerce", store=own, code=2).stderr


def test_status_check_and_decide(cli, own):
    cli("budgets", "set", "platform", "--monthly", "4", "--on-exceed", "hard_limit", store=own)
    (status,) = read(cli("budgets", "status", "-f", "json", store=own))
    assert (status["state"], status["limit"], status["as_of"]) == ("blocked", 4, "2026-03-31T12:00:00Z")
    assert status["share"] > 1
    answer = read(cli("budgets", "check", "-f", "json", store=own))
    assert [(row["threshold"], row["notify"]) for row in answer] == [
        (0.5, False),
        (0.75, False),
        (0.9, False),
        (1, True),
    ]
    assert read(cli("budgets", "check", "-f", "json", store=own)) == answer  # looking records nothing
    assert "1 of 2026-03" not in cli("budgets", "show", "platform", store=own).stdout
    cli("check", store=own)
    assert read(cli("budgets", "check", "-f", "json", store=own)) == []
    assert "1 of 2026-03" in cli("budgets", "show", "platform", store=own).stdout
    (denied,) = read(cli("budgets", "decide", "platform", "--estimate", "0.37", "-f", "json", store=own, code=4))
    assert (denied["decision"], denied["estimate"]) == ("deny", 0.37)
    cli("budgets", "set", "platform", "--monthly", "4000", "--on-exceed", "hard_limit", store=own)
    options = ("decide", "platform", "--estimate", "0.37", "--event-id", "req-1", "-f", "json")
    (allowed,) = read(cli("budgets", *options, store=own))
    assert (allowed["decision"], allowed["event_id"], allowed["reserved"]) == ("allow", "req-1", 0.37)
    assert allowed["expires_at"] == "2026-03-31T12:10:00Z"


def test_an_unknown_project_is_allowed_and_flagged_with_the_nearest_name(cli, own):
    for options, right in (("platfrom", "platform"), ("lab-2", "lab-1")):
        cli("budgets", "set", "lab-1", "--monthly", "5", store=own)
        result = cli("budgets", "decide", options, "--estimate", "1", "-f", "json", store=own)
        (answer,) = read(result)
        assert (answer["decision"], answer["flagged"]) == ("allow", True)
        assert f"did you mean '{right}'?" in result.stderr
    result = cli("budgets", "decide", "research", "--estimate", "1", "-f", "json", store=own)
    assert (read(result)[0]["flagged"], result.stderr) == (False, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("budgets", "set", "a", "--monthly", "0"), "above 0"),
        (("budgets", "set", "a", "--monthly", "much"), "must be a finite number"),
        (("budgets", "set", "a", "--monthly", "5", "--thresholds", "90"), "at most 1"),
        (("budgets", "set", "a", "--monthly", "5", "--on-exceed", "block"), "unknown action 'block'"),
        (("budgets", "set", "a", "--monthly", "5", "--tz", "Mars"), "unknown time zone"),
        (("budgets", "decide", "a", "--estimate", "nan"), "finite"),
        (("budgets", "decide", "a", "--estimate", "-1"), "0 or more"),
        (("budgets", "decide", "a", "--estimate", "1", "--hold", "0"), "above 0 and at most 2678400 seconds"),
        (
            ("budgets", "decide", "a", "--estimate", "1", "--hold", "99999999999999"),
            "at most 2678400 seconds (31 days)",
        ),
        (("budgets", "decide", "a", "--estimate", "1e12"), "the estimate must be at most 1,000,000,000"),
        (("budgets", "set", "a", "--monthly", "1e12"), "--monthly must be at most 1,000,000,000"),
        (("forecast", "--limit", "1e12"), "--limit must be at most"),
        (("forecast", "--charge", "2026-03-31=1e30"), "--charge must be at most"),
        (("forecast", "--charge", "2026-04-01=5"), "the charge of 2026-04-01 is not in March 2026"),
        (("forecast", "--limit", "0"), "above 0"),
        (("forecast", "--by", "project", "--limit", "5"), "budgets"),
        (("forecast", "--by", "projct"), "did you mean 'project'"),
        (("forecast", "--charge", "soon=5"), "is not a date"),
        (("forecast", "--charge", "2026-03-31=x"), "must be a finite number"),
        (("forecast", "--charge", "2026-03-31=5", "--charge", "20260331=7"), "names 2026-03-31 twice"),
        (("forecast", "-f", "xml"), "unknown format"),
        (("backtest",), "no series is long enough"),
        (("backtest", "--shipped", "--days", "x"), "is not a day"),
        (("backtest", "--shipped", "--days", "40"), "1 to 29"),
        (("anomalies", "--days", "0"), "at least 1"),
        (("anomalies", "--stake", "-1"), "above 0"),
    ],
)
def test_a_usage_error_has_exit_code_2(own, arguments, message, monkeypatch, capsys):
    """In this process: there are many."""
    monkeypatch.setenv("HANZO_REPORTS_STORE", str(own))
    monkeypatch.setenv("HANZO_REPORTS_NOW", "2026-03-31T12:00:00Z")
    monkeypatch.setattr(sys, "argv", ["hanzo-reports", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_costs_by_model_are_split_by_kind_of_token(cli):
    rows = read(cli("costs", "--range", "all", "--by", "model", "-f", "json"))["data"]
    assert {"input_cost", "output_cost", "cache_read_cost", "cache_write_cost", "cost_share"} <= set(rows[0])
    assert sum(row["cost_share"] or 0 for row in rows) == pytest.approx(1)


def test_cost_share_is_returned_only_with_groups_or_buckets(cli):
    query = ("costs", "--range", "7d", "-m", "requests,cost", "-f", "json")
    assert "cost_share" not in read(cli(*query))["data"][0]
    for more in (("--by", "model"), ("--every", "day")):
        assert sum(row["cost_share"] or 0 for row in read(cli(*query, *more))["data"]) == pytest.approx(1)


def test_differences_is_one_name_for_several_metrics(cli):
    (row,) = read(cli("costs", "--range", "all", "-m", "differences", "-f", "json"))["data"]
    assert {"cost", "list_cost", "cost_over_list", "price_differences", "requests", "unpriced_share"} == set(row)
