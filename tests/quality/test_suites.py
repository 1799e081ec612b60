"""Suite files: their content, and the errors of wrong ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from hanzo_reports.errors import SuiteError, UnknownNameError
from hanzo_reports.quality import suites
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.verdict import State, Status

ONE = "{type: expect_column_values_to_not_be_null, kwargs: {column: event_id}}"


@pytest.mark.parametrize("name", suites.suite_names())
def test_shipped_suites_describe_each_expectation_in_a_line(name, suite_of):
    loaded = suite_of(name)
    assert loaded.title
    assert [one.id for one in loaded.expectations if not one.description or "\n" in one.description] == []
    assert [one.id for one in loaded.expectations if ";" in one.description] == []  # it separates reasons


def test_the_shipped_suites():
    assert suites.suite_names() == ["events", "daily", "rollup", "bill"]


def test_parameters_keep_their_type_and_a_dollar_can_be_written(written, now):
    loaded = written(
        '{type: a, kwargs: {column: t, max_value: $now, text: "at $now", regex: "^x$", other: "^y$$", at: 2025-06-01 10:00:00}}'
    )
    kwargs = loaded.expectations[0].kwargs
    assert (kwargs["max_value"], kwargs["text"], kwargs["regex"], kwargs["other"]) == (now, f"at {now}", "^x$", "^y$")
    assert kwargs["at"] == datetime(2025, 6, 1, 10, tzinfo=UTC)


def test_a_missing_id_is_made_from_type_and_columns(written):
    loaded = written(ONE, "{type: expect_column_pair_values_to_be_equal, kwargs: {column_A: a, column_B: b}}")
    assert [one.id for one in loaded.expectations] == [
        "column_values_to_not_be_null_event_id",
        "column_pair_values_to_be_equal_a_b",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expectations: [", r"bad\.yaml: line 1, column 16: this is not YAML"),
        ("just a text", "the file must be a mapping"),
        ("expectations: []", "must be a list of at least one"),
        ("expectation: []", "unknown key 'expectation'; did you mean 'expectations'"),
        ("expectations: [text]", "expectation 1 must be a mapping"),
        ("expectations: [{kwargs: {}}]", "expectation 1 has no `type`"),
        ("expectations: [{type: a, kwarg: {}}]", "unknown key 'kwarg'; did you mean 'kwargs'"),
        ("expectations: [{type: a, kwargs: {x: $nwo}}]", r"needs the parameter \$nwo, which has no value; did you mean \$now"),
        ("expectations: [{type: a, kwargs: {x: $limit}}]", "--set limit=VALUE"),
        ("expectations: [{type: a, kwargs: {row_condition: model is odd}}]", "cannot read the row_condition 'model is odd'"),
        (f"expectations: [{ONE}, {ONE}]", "two expectations have the id"),
    ],
)  # fmt: skip
def test_a_wrong_file_says_where_and_what_to_do(tmp_path, suite_of, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=message):
        suite_of(path)


def test_a_missing_file_and_an_unknown_name(suite_of, tmp_path):
    with pytest.raises(SuiteError, match=r"cannot read the suite .*none\.yaml"):
        suite_of(tmp_path / "none.yaml")
    with pytest.raises(UnknownNameError, match=r"unknown suite 'evnts'.*did you mean 'events'"):
        suite_of("evnts")


@pytest.mark.parametrize(
    ("line", "meta", "message"),
    [
        ("{type: a, severity: grave}", "", "unknown severity 'grave'"),
        (ONE, "meta: {table: evnts}\n", "unknown table 'evnts'.*did you mean 'events'"),
    ],
)
def test_an_unknown_value_comes_with_the_nearest(written, line, meta, message):
    with pytest.raises(UnknownNameError, match=message):
        written(line, meta=meta)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{type: expect_column_values_to_be_nul, kwargs: {column: model}}",
         "unknown expectation type 'expect_column_values_to_be_nul'; did you mean 'expect_column_values_to_be_null'"),
        ("{type: expect_column_values_to_be_between, kwargs: {column: cost, min: 0}}", "does not take these arguments: .*min"),
        ("{type: expect_column_values_to_be_between, kwargs: {column: cost}}", "min_value and max_value cannot both be None"),
    ],
)  # fmt: skip
def test_what_great_expectations_does_not_know_is_refused_first(written, arrow, local, now, line, message):
    with pytest.raises(SuiteError, match=message):
        guard(local(arrow([{"event_id": "a"}])), written(line), now=now)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{type: expect_column_values_to_not_be_null, kwargs: {column: modle}}", "no column 'modle'; the nearest is 'model'"),
        ("{type: expect_column_max_to_be_between, kwargs: {column: modle, max_value: 3}}", "no column 'modle'"),
        ("{type: expect_column_values_to_be_between, kwargs: {column: model, min_value: 3}}", ""),
        ('{type: expect_column_values_to_match_regex, kwargs: {column: model, regex: "("}}', ""),
        ('{type: unexpected_rows_expectation, kwargs: {unexpected_rows_query: "select * from {batch} where modle = 1"}}', "modle"),
        ('{type: unexpected_rows_expectation, kwargs: {unexpected_rows_query: "selct {batch}"}}', ""),
    ],
)  # fmt: skip
def test_a_check_that_cannot_be_evaluated_is_an_error(written, arrow, local, now, line, message):
    verdict = guard(local(arrow([{"event_id": "a"}, {"event_id": None}])), written(line, ONE), now=now)
    first, second = verdict.checks
    assert first.state is State.ERROR
    assert message in first.observed
    assert (second.state, second.unexpected) == (State.FAILED, 1)
    assert verdict.status is Status.FAILED


def test_an_error_fails_the_verdict_at_any_severity(written, arrow, local, now):
    line = "{type: expect_column_values_to_not_be_null, kwargs: {column: nope}, severity: info}"
    verdict = guard(local(arrow([{"event_id": "a"}])), written(line), now=now)
    assert (verdict.status, verdict.blocking) == (Status.FAILED, [])


def test_a_suite_that_skips_says_why(arrow, local, suite_of, now):
    verdict = guard(local(arrow([])), suite_of("rollup"), now=now)
    assert (verdict.status, verdict.checks) == (Status.SKIPPED, ())
    assert verdict.reason.startswith("no rollups are kept yet")


def test_parameters_are_filled_in_in_descriptions(suite_of):
    descriptions = {one.id: one.description for one in suite_of("bill", tolerance=0.02).expectations}
    assert descriptions["cost_matches"].endswith("is within 0.02 of the bill (as a share), or within 0.01 USD")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"meta: {{tabel: daily}}\nexpectations: [{ONE}]", "meta has the unknown key 'tabel'; did you mean 'table'"),
        ("expectations: [{type: a, meta: {at_stak: cost}}]", "unknown key 'at_stak'; did you mean 'at_stake'"),
    ],
)
def test_an_unknown_key_of_meta_comes_with_the_nearest(tmp_path, suite_of, text, message):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=message):
        suite_of(path)


def test_a_users_suite_never_has_the_name_of_a_shipped_one(tmp_path, suite_of):
    path = tmp_path / "events.yaml"
    path.write_text(f"expectations: [{ONE}]")
    assert (suite_of("events").name, suite_of("events").shipped) == ("events", True)
    assert (suite_of(path).name.partition("-")[0], suite_of(path).name == "events", suite_of(path).shipped) == (
        "events", False, False,
    )  # fmt: skip


def test_the_suite_of_rollups_works_once_there_are_some(suite_of, local, now):
    ready = replace(suite_of("rollup"), skip="")
    columns = {
        "rollup_requests": [1, 2, None],
        "requests": [1, 3, 1],
        "rollup_cost": [1.5, 2.5, None],
        "cost": [1.5, 2.5, None],
    }
    checks = guard(local(pa.table(columns)), ready, now=now).checks
    assert [(check.state, check.unexpected) for check in checks] == [(State.FAILED, 2), (State.PASSED, 0)]
