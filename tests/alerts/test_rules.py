"""Rules: a rule that cannot work is refused with its reason and unit; every other one survives a round trip."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.presets import build_burn_rate_rules, build_default_rules
from hanzo_reports.alerts.rule import Condition, Rule, Severity
from hanzo_reports.errors import RuleError, UnknownNameError

FULL = {
    "name": "search-errors", "metric": "error_rate", "gte": "0.02", "window": "10m", "short_window": "2m", "for": "5m",
    "keep_firing_for": "15m", "clear": "0.01", "min_samples": 50, "no_data": "alert", "where": {"project": ["search"]},
    "by": ["model", "region"], "repeat": "1h", "severity": "critical", "runbook": "https://wiki/errors",
    "burn_rate": "6", "channels": ["oncall"],
}  # fmt: skip


def test_a_rule_survives_a_round_trip():
    assert parse_rule(FULL).to_dict() == FULL
    assert parse_rule(parse_rule(FULL).to_dict()) == parse_rule(FULL)


def test_defaults_are_left_out_of_the_dictionary():
    assert parse_rule({"name": "a", "metric": "cost", "gt": "5"}).to_dict() == {
        "name": "a", "metric": "cost", "gt": "5", "window": "5m",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "error_rat"}, "unknown metric 'error_rat'; did you mean 'error_rate'?"),
        ({"gt": None}, "needs one threshold: one of gt, gte, lt, lte"),
        ({"lt": "1%"}, "needs one threshold"),
        ({"gt": "5"}, "a share, at least 0 and at most 1"),
        ({"gt": "100%"}, "could never fire: error_rate (share) is never > 100%"),
        (
            {"gt": "5 ms"},
            "the threshold of error_rate must be in the unit share, and '5 ms' is not; give for example 0.01 or 1%",
        ),
        (
            {"metric": "latency_p99", "gt": "1%"},
            "latency_p99 must be in the unit ms, and '1%' is not; give for example 2000 or 2s",
        ),
        ({"metric": "latency_p99", "gt": "nan"}, "latency_p99 must be a finite number (ms), not 'nan'"),
        ({"metric": "cost", "gt": "-inf"}, "cost must be a finite number (USD), not '-inf'"),
        ({"metric": "cost", "gt": "1e9999999999"}, "too large"),
        ({"clear": "2%"}, "clear threshold 2% must be at most the threshold 1%"),
        ({"window": "5 minutes"}, "window '5 minutes' is not a duration"),
        ({"window": "0"}, "window must be between 1s and 90d"),
        ({"for": "91d"}, "for must be between 0 and 90d"),
        ({"short_window": "5m"}, "short_window 5m must be shorter than window 5m"),
        ({"repeat": "1s"}, "repeat must be at least 1m"),
        ({"min_samples": "-1"}, "at least 0"),
        ({"min_samples": "some"}, "whole number of requests"),
        ({"no_data": "okay"}, "unknown no_data 'okay'; did you mean 'ok'?"),
        ({"severity": "critcal"}, "did you mean 'critical'?"),
        ({"by": ["modle"]}, "unknown dimension 'modle'; did you mean 'model'?"),
        ({"where": {"projct": "x"}}, "did you mean 'project'?"),
        ({"name": "my rule"}, "letters, digits"),
        ({"burn_rate": "fast"}, "burn_rate must be a number above 0, not 'fast'"),
        ({"burn_rate": float("nan")}, "a number above 0, not NaN"),
        ({"burn_rate": 0}, "a number above 0, not 0"),
        ({"where": ["project"]}, "where must map dimensions to values"),
        ({"where": {5: "x"}}, "unknown dimension '5'"),
        ({"no_data": ["keep"]}, "unknown no_data \"['keep']\""),
        ({"severity": {"a": 1}}, "unknown severity"),
        ({"enabled": "false"}, "enabled must be true or false, not 'false'"),
        ({"metric": "cost", "gt": "1e99999"}, "too large or too small"),
        ({"metric": "cost", "gt": "1e-99999"}, "too large or too small"),
        ({"window": "999999w" * 9}, "longer than a century"),
        ({"keep_fireing_for": "5m"}, "unknown field 'keep_fireing_for'; did you mean 'keep_firing_for'?"),
    ],
)
def test_a_rule_that_could_never_work_is_refused(fields, message):
    with pytest.raises((RuleError, UnknownNameError)) as caught:
        parse_rule({"name": "a", "metric": "error_rate", "gt": "0.01"} | fields)
    assert message in str(caught.value)


def test_a_rule_refuses_a_threshold_that_is_not_finite():
    with pytest.raises(RuleError, match=r"threshold \(USD\) must be a finite number"):
        Rule("a", "cost", Condition.GT, Decimal("NaN"))


def test_default_rules_have_the_default_thresholds_of_the_catalogue():
    assert {(rule.metric, rule.breach_text) for rule in build_default_rules()} == {
        ("error_rate", "> 1%"),
        ("availability", "< 99.9%"),
        ("latency_p50", "> 200 ms"),
        ("latency_p99", "> 2,000 ms"),
        ("saturation", "> 80%"),
    }


def test_burn_rates_are_those_of_the_workbook():
    rules = build_burn_rate_rules("api", "availability", Decimal("0.999"), {"by": ["project"]})
    assert [(r.name, str(r.threshold), r.window, r.short_window, r.severity) for r in rules] == [
        ("api-fast", "0.9856", timedelta(hours=1), timedelta(minutes=5), Severity.CRITICAL),
        ("api-slow", "0.994", timedelta(hours=6), timedelta(minutes=30), Severity.CRITICAL),
        ("api-ticket", "0.999", timedelta(days=3), timedelta(hours=6), Severity.WARNING),
    ]
    assert all(rule.by == ("project",) for rule in rules)
    errors = build_burn_rate_rules("api", "error_rate", Decimal("0.99"), {})
    assert [(r.condition, str(r.threshold)) for r in errors] == [("gt", "0.144"), ("gt", "0.06"), ("gt", "0.01")]


def test_a_burn_rate_that_cannot_be_reached_is_left_out():
    assert [rule.name for rule in build_burn_rate_rules("api", "availability", Decimal("0.9"), {})] == [
        "api-slow",
        "api-ticket",
    ]


@pytest.mark.parametrize(
    ("metric", "slo", "message"),
    [
        ("latency_p99", "0.99", "needs a share"),
        ("saturation", "0.9", "needs a share"),
        ("availability", "1", "0 and 1"),
    ],
)
def test_an_objective_that_cannot_be_measured_is_refused(metric, slo, message):
    with pytest.raises(RuleError, match=message):
        build_burn_rate_rules("api", metric, Decimal(slo), {})


def test_the_fingerprint_depends_only_on_what_is_evaluated():
    rule = parse_rule(FULL)
    same = {"name": "other", "repeat": "2h", "severity": "info", "runbook": "", "channels": []}
    assert parse_rule(FULL | same).fingerprint == rule.fingerprint
    assert parse_rule(FULL | {"gte": "0.03"}).fingerprint != rule.fingerprint


def test_an_upgrade_keeps_the_fingerprint_of_stored_rules():
    """Another fingerprint would resolve and start over every alert that fires."""
    assert parse_rule(FULL).fingerprint == "b38f98dd009849b2"
    assert parse_rule({"name": "a", "metric": "cost", "gt": "$50"}).fingerprint == "09e781c3632e3755"


@pytest.mark.parametrize(
    ("metric", "condition", "text"),
    [
        ("availability", {"lt": "99.995%"}, "< 99.995%"),
        ("error_rate", {"gt": "0.123456"}, "> 12.3456%"),
        ("latency_p99", {"gte": "1234.5"}, ">= 1,234.5 ms"),
        ("cost", {"gt": "$0.0000001"}, "> $0.0000001"),
        ("cost", {"gt": "$1234.5"}, "> $1,234.50"),
        ("requests", {"lt": "1M"}, "< 1,000,000 requests"),
        ("requests_per_second", {"lt": "0.125"}, "< 0.125 per second"),
    ],
)
def test_a_threshold_is_printed_with_all_its_digits(metric, condition, text):
    assert parse_rule({"name": "a", "metric": metric} | condition).breach_text == text
