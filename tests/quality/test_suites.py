"""Suites as files: what is in them, and what is said where they are wrong."""

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
def test_those_that_come_along_say_what_they_mean_in_plain_words(name, suite_of):
    found = suite_of(name)
    assert found.title
    assert [one.id for one in found.expectations if not one.description or "\n" in one.description] == []
    assert [one.id for one in found.expectations if ";" in one.description] == []  # it parts reasons


def test_those_that_come_along():
    assert suites.suite_names() == ["events", "daily", "rollup", "bill"]


def test_parameters_keep_their_type_and_a_dollar_can_be_written(written, now):
    found = written(
        '{type: a, kwargs: {column: t, max_value: $now, text: "at $now", regex: "^x$", other: "^y$$", at: 2025-06-01 10:00:00}}'
    )
    kwargs = found.expectations[0].kwargs
    assert (kwargs["max_value"], kwargs["text"], kwargs["regex"], kwargs["other"]) == (now, f"at {now}", "^x$", "^y$")
    assert kwargs["at"] == datetime(2025, 6, 1, 10, tzinfo=UTC)


def test_an_id_is_made_where_none_is_given(written):
    found = written(ONE, "{type: expect_column_pair_values_to_be_equal, kwargs: {column_A: a, column_B: b}}")
    assert [one.id for one in found.expectations] == [
        "column_values_to_not_be_null_event_id",
        "column_pair_values_to_be_equal_a_b",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
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
def test_a_file_that_is_wrong_says_where_and_what_to_do(tmp_path, suite_of, text, said):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=said):
        suite_of(path)


def test_a_file_that_is_not_there_and_a_name_that_is_unknown(suite_of, tmp_path):
    with pytest.raises(SuiteError, match=r"cannot read the suite .*none\.yaml"):
        suite_of(tmp_path / "none.yaml")
    with pytest.raises(UnknownNameError, match=r"unknown suite 'evnts'.*did you mean 'events'"):
        suite_of("evnts")


@pytest.mark.parametrize(
    ("line", "meta", "said"),
    [
        ("{type: a, severity: grave}", "", "unknown severity 'grave'"),
        (ONE, "meta: {table: evnts}\n", "unknown table 'evnts'.*did you mean 'events'"),
    ],
)
def test_a_word_that_is_unknown_comes_with_the_nearest(written, line, meta, said):
    with pytest.raises(UnknownNameError, match=said):
        written(line, meta=meta)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{type: expect_column_values_to_be_nul, kwargs: {column: model}}",
         "unknown expectation type 'expect_column_values_to_be_nul'; did you mean 'expect_column_values_to_be_null'"),
        ("{type: expect_column_values_to_be_between, kwargs: {column: cost, min: 0}}", "does not take these arguments: .*min"),
        ("{type: expect_column_values_to_be_between, kwargs: {column: cost}}", "min_value and max_value cannot both be None"),
    ],
)  # fmt: skip
def test_what_great_expectations_does_not_know_is_said_before_anything_is_judged(
    written, arrow, local, now, line, said
):
    with pytest.raises(SuiteError, match=said):
        guard(local(arrow([{"event_id": "a"}])), written(line), now=now)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{type: expect_column_values_to_not_be_null, kwargs: {column: modle}}", "no column 'modle'; the nearest is 'model'"),
        ("{type: expect_column_max_to_be_between, kwargs: {column: modle, max_value: 3}}", "no column 'modle'"),
        ("{type: expect_column_values_to_be_between, kwargs: {column: model, min_value: 3}}", ""),
        ('{type: expect_column_values_to_match_regex, kwargs: {column: model, regex: "("}}', ""),
        ('{type: unexpected_rows_expectation, kwargs: {unexpected_rows_query: "select * from {batch} where modle = 1"}}', "modle"),
        ('{type: unexpected_rows_expectation, kwargs: {unexpected_rows_query: "selct {batch}"}}', ""),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_an_error_and_the_others_are_judged(written, arrow, local, now, line, said):
    verdict = guard(local(arrow([{"event_id": "a"}, {"event_id": None}])), written(line, ONE), now=now)
    first, second = verdict.checks
    assert first.state is State.ERROR
    assert said in first.observed
    assert (second.state, second.unexpected) == (State.FAILED, 1)
    assert verdict.status is Status.FAILED


def test_an_error_is_no_pass_even_where_it_is_only_a_warning(written, arrow, local, now):
    line = "{type: expect_column_values_to_not_be_null, kwargs: {column: nope}, severity: info}"
    verdict = guard(local(arrow([{"event_id": "a"}])), written(line), now=now)
    assert (verdict.status, verdict.blocking) == (Status.FAILED, [])


def test_a_suite_that_skips_says_why(arrow, local, suite_of, now):
    verdict = guard(local(arrow([])), suite_of("rollup"), now=now)
    assert (verdict.status, verdict.checks) == (Status.SKIPPED, ())
    assert verdict.reason.startswith("no rollups are kept yet")


def test_parameters_stand_in_descriptions_too(suite_of):
    told = {one.id: one.description for one in suite_of("bill", tolerance=0.02).expectations}
    assert told["cost_matches"].endswith("is within 0.02 of the bill (as a share), or within 0.01 USD")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"meta: {{tabel: daily}}\nexpectations: [{ONE}]", "meta has the unknown key 'tabel'; did you mean 'table'"),
        ("expectations: [{type: a, meta: {at_stak: cost}}]", "unknown key 'at_stak'; did you mean 'at_stake'"),
    ],
)
def test_a_key_of_meta_that_is_unknown_comes_with_the_nearest(tmp_path, suite_of, text, said):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=said):
        suite_of(path)


def test_a_suite_of_ones_own_is_never_called_like_one_of_the_package(tmp_path, suite_of):
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
