"""What Ibis counts is what Great Expectations' own engine counts: every type of the shipped suites and the usual ones."""

from __future__ import annotations

import random
import warnings
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from hanzo_reports.quality import suites
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.measure import Scan, Subject, count_repeats
from hanzo_reports.quality.quick_check import pass_by_counts
from hanzo_reports.quality.row_tests import ARGUMENTS, IGNORED, TYPES
from hanzo_reports.quality.suites import Expectation, Suite
from hanzo_reports.quality.verdict import State

NOW = datetime(2025, 6, 30, tzinfo=UTC)
ROWS = [  # a and b: numbers, s: text; both sides leave rows out where a value is missing
    ("expect_column_values_to_not_be_null", {"column": "a"}),
    ("expect_column_values_to_not_be_null", {"column": "a", "mostly": 0.6}),
    ("expect_column_values_to_be_null", {"column": "a", "mostly": 0.3}),
    ("expect_column_values_to_be_unique", {"column": "a"}),
    ("expect_column_values_to_be_unique", {"column": "s"}),
    ("expect_column_values_to_be_between", {"column": "a", "min_value": 0, "max_value": 3}),
    ("expect_column_values_to_be_between", {"column": "a", "min_value": 0, "strict_min": True}),
    ("expect_column_values_to_be_between", {"column": "a", "max_value": 3, "strict_max": True, "mostly": 0.5}),
    ("expect_column_values_to_be_in_set", {"column": "s", "value_set": ["x", "y"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "s", "value_set": ["x", "yy"]}),
    ("expect_column_values_to_match_regex", {"column": "s", "regex": "^x"}),
    ("expect_column_values_to_not_match_regex", {"column": "s", "regex": "y$"}),
    ("expect_column_values_to_match_regex_list", {"column": "s", "regex_list": ["^x", "y$"]}),
    ("expect_column_values_to_match_regex_list", {"column": "s", "regex_list": ["x", "y"], "match_on": "all"}),
    ("expect_column_values_to_not_match_regex_list", {"column": "s", "regex_list": ["^x", "z"]}),
    ("expect_column_value_lengths_to_be_between", {"column": "s", "min_value": 1, "max_value": 2}),
    ("expect_column_value_lengths_to_equal", {"column": "s", "value": 2}),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "a", "column_B": "b", "ignore_row_if": "either_value_is_missing"},
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "a", "column_B": "b", "ignore_row_if": "either_value_is_missing"},
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "a", "column_B": "b", "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    ),
    (
        "expect_column_pair_values_to_be_in_set",
        {
            "column_A": "a",
            "column_B": "b",
            "value_pairs_set": [[1, 1], [2, 3]],
            "ignore_row_if": "either_value_is_missing",
        },
    ),
    ("expect_compound_columns_to_be_unique", {"column_list": ["a", "s"], "ignore_row_if": "any_value_is_missing"}),
    (
        "expect_multicolumn_sum_to_equal",
        {"column_list": ["a", "b"], "sum_total": 4, "ignore_row_if": "any_value_is_missing"},
    ),
    (
        "expect_select_column_values_to_be_unique_within_record",
        {"column_list": ["a", "b"], "ignore_row_if": "any_value_is_missing"},
    ),
]
TABLES = [
    ("expect_table_row_count_to_be_between", {"min_value": 3, "max_value": 9}),
    ("expect_table_row_count_to_equal", {"value": 5}),
    ("expect_table_columns_to_match_set", {"column_set": ["a", "b"], "exact_match": False}),
    ("expect_table_columns_to_match_set", {"column_set": ["a", "b"]}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["a", "b", "s"]}),
    ("expect_table_column_count_to_be_between", {"min_value": 3, "max_value": 3}),
    ("expect_table_column_count_to_equal", {"value": 2}),
    ("expect_column_to_exist", {"column": "s"}),
    ("expect_column_max_to_be_between", {"column": "a", "max_value": 4}),
    ("expect_column_min_to_be_between", {"column": "a", "min_value": 0}),
    ("expect_column_mean_to_be_between", {"column": "a", "min_value": 1, "max_value": 3}),
    ("expect_column_sum_to_be_between", {"column": "a", "min_value": 4}),
    ("expect_column_median_to_be_between", {"column": "a", "min_value": 1, "max_value": 3}),
    ("expect_column_stdev_to_be_between", {"column": "a", "min_value": 0.5, "max_value": 2}),
    ("expect_column_unique_value_count_to_be_between", {"column": "s", "max_value": 3}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "s", "min_value": 0.5}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "s", "min_value": 0.7}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "s", "value_set": ["x", "y", "xy"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "s", "value_set": ["x", "y"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "s", "value_set": ["x", "y"]}),
]
ROWS += [  # each way to leave rows out, or none, where a value or all of them are missing
    (kind, {**kwargs, **({"ignore_row_if": ignore} if ignore else {})})
    for kind, kwargs, ways in [
        ("expect_column_pair_values_to_be_equal", {"column_A": "a", "column_B": "b"}, IGNORED[True]),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "a", "column_B": "b"}, IGNORED[True]),
        ("expect_column_pair_values_to_be_in_set", {"column_A": "a", "column_B": "b", "value_pairs_set": [[1, 1], [3, 3]]},
         IGNORED[True]),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"]}, IGNORED[False]),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["a", "b"], "sum_total": 4}, IGNORED[False]),
        ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["a", "b"]}, IGNORED[False]),
    ]
    for ignore in (None, *ways)
]  # fmt: skip
WORDS = [None, "", "x", "y", "xy", "yy", "xyz"]
SEEDS = (1, 2, 3)


def drawn(seed):
    """Some rows; the first two are known, so that no aggregate is of nothing."""
    choice = random.Random(seed)  # noqa: S311  # any numbers will do
    numbers = [None, *range(-1, 6)]
    rows = [(choice.choice(numbers), choice.choice(numbers), choice.choice(WORDS)) for _ in range(seed * 4)]
    return [(1, 2, "x"), (3, 3, "y"), (None, 3, "x"), (None, 3, None), (None, None, None), (None, None, None), *rows]


def build_suite(cases):
    ones = tuple(Expectation(f"e{n}", kind, kwargs, "critical", kind, {}) for n, (kind, kwargs) in enumerate(cases))
    return Suite("made", suites.suites_folder() / "made.yaml", "", "events", "", ones, "")


def theirs(kind, kwargs, frame):
    """What Great Expectations finds with its own engine."""
    from great_expectations.execution_engine import PandasExecutionEngine  # noqa: PLC0415  # takes seconds
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: PLC0415
    from great_expectations.validator.metrics_calculator import MetricsCalculator  # noqa: PLC0415

    basic = {"result_format": {"result_format": "BASIC"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expectation = ExpectationConfiguration(type=kind, kwargs=dict(kwargs)).to_domain_obj()
        engine = PandasExecutionEngine(batch_data_dict={"rows": frame})
        needs = expectation.get_validation_dependencies(engine, dict(basic)).get_metric_configurations()
        values, _ = MetricsCalculator(engine, show_progress_bars=False).compute_metrics(
            needs, runtime_configuration=dict(basic)
        )
        result = expectation.metrics_validate(values, dict(basic), execution_engine=engine)
    return bool(result.success), result.result.get("unexpected_count")


def tables(rows, local):
    arrow = pa.table({
        name: pa.array([row[place] for row in rows], pa.int64() if name in "ab" else pa.string())
        for place, name in enumerate("abs")
    })  # fmt: skip
    frame = pd.DataFrame(
        {name: pd.array([row[place] for row in rows], dtype="Float64") for place, name in enumerate("ab")}
    )
    frame = frame.astype("float64")
    frame["s"] = pd.Series([row[2] for row in rows], dtype=object)
    return local(arrow), frame


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_are_counted_as_great_expectations_counts_them(seed, local):
    table, frame = tables(drawn(seed), local)
    verdict = guard(table, build_suite(ROWS), now=NOW)
    assert [check.observed for check in verdict.checks if check.state is State.ERROR] == []
    ours = [(check.state is State.PASSED, check.unexpected) for check in verdict.checks]
    expected = [theirs(kind, kwargs, frame) for kind, kwargs in ROWS]
    assert dict(zip(map(str, ROWS), ours, strict=True)) == dict(zip(map(str, ROWS), expected, strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_are_judged_as_great_expectations_judges_them(seed, local):
    table, frame = tables(drawn(seed), local)
    verdict = guard(table, build_suite(TABLES), now=NOW)
    assert [check.observed for check in verdict.checks if check.state is State.ERROR] == []
    ours = {str(case): check.state is State.PASSED for case, check in zip(TABLES, verdict.checks, strict=True)}
    assert ours == {str(case): theirs(*case, frame)[0] for case in TABLES}
    assert [check.sample for check in verdict.checks if check.sample] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_what_passes_by_counts_passes_great_expectations(seed, local):
    table, _ = tables(drawn(seed), local)
    wide = ("expect_column_values_to_be_between", {"column": "a", "min_value": -1, "max_value": 5})
    cases = [*ROWS, wide, *TABLES[:1], *TABLES[2:4]]
    checks = guard(table, build_suite(cases), now=NOW).checks
    alone = [pass_by_counts(Subject(table, build_suite([case]))) for case in cases]
    assert [
        check.id for check, passed in zip(checks, alone, strict=True) if passed and check.state is not State.PASSED
    ] == []
    assert sum(passed is not None for passed in alone) > 1
    strict = [place for place, (_, kwargs) in enumerate(cases) if "mostly" not in kwargs]
    assert [place for place in strict if alone[place] is None and checks[place].state is State.PASSED] == []


def test_each_type_stands_for_the_metric_of_great_expectations():
    from great_expectations.expectations.registry import get_expectation_impl  # noqa: PLC0415  # takes seconds

    assert {kind: get_expectation_impl(kind).map_metric for kind in TYPES} == TYPES
    assert {kind: names - set(get_expectation_impl(kind).__fields__) for kind, names in ARGUMENTS.items()} == {
        kind: set() for kind in ARGUMENTS
    }


def test_every_type_of_the_shipped_suites_is_measured_where_the_table_lives():
    known = {*TYPES, *(kind for kind, _ in TABLES), "unexpected_rows_expectation"}
    used = {
        one["type"]
        for path in suites.suites_folder().glob("*.yaml")
        for one in yaml.safe_load(path.read_text())["expectations"]
    }
    assert used - known == set()


def test_at_least_37_types_are_compared():
    assert len({kind for kind, _ in ROWS} | {kind for kind, _ in TABLES}) >= 37


def test_other_types_are_checked_on_a_sample_and_say_so(local):
    table, _ = tables([(1, 1, "2025"), (2, 2, "soon")], local)
    good, bad = guard(
        table,
        build_suite([
            ("expect_column_values_to_match_strftime_format", {"column": "s", "strftime_format": "%Y", "mostly": 0.5}),
            ("expect_column_values_to_match_strftime_format", {"column": "s", "strftime_format": "%Y"}),
        ]), now=NOW,
    ).checks  # fmt: skip
    assert (good.state, bad.state, bad.sample) == (State.PASSED, State.FAILED, 2)
    assert bad.observed == "1 of 2 rows; judged on a sample of 2 rows"


def test_types_are_those_of_the_sample(local):
    table, _ = tables([(1, 1, "x")], local)
    kind = "expect_column_values_to_be_of_type"
    cases = [(kind, {"column": "a", "type_": "int64"}), (kind, {"column": "a", "type_": "str"}),
             ("expect_column_values_to_be_in_type_list", {"column": "a", "type_list": ["int", "int64"]}),
             (kind, {"column": "c", "type_": "str"})]  # fmt: skip
    checks = guard(table, build_suite(cases), now=NOW).checks
    assert [check.state for check in checks] == [State.PASSED, State.FAILED, State.PASSED, State.ERROR]
    assert (checks[0].observed, checks[0].sample) == ("observed int64; judged on a sample of 1 rows", 1)
    assert "no column 'c'" in checks[3].observed


def test_row_conditions_and_mostly_are_honoured_in_counts_and_in_the_split(local):
    table, _ = tables([(1, 1, "x"), (2, 2, ""), (3, 3, ""), (None, 4, "")], local)
    only = {"type": "comparison", "column": {"name": "a"}, "operator": ">=", "parameter": 2}
    case = ("expect_column_value_lengths_to_be_between", {"column": "s", "min_value": 1, "row_condition": only})
    verdict = guard(table, build_suite([case]), now=NOW)
    assert (verdict.checks[0].unexpected, verdict.checks[0].rows, verdict.quarantined) == (2, 2, 2)
    assert sorted(verdict.quarantine.b.to_pyarrow().to_pylist()) == [2, 3]
    lenient = guard(table, build_suite([(case[0], case[1] | {"mostly": 0.0})]), now=NOW)
    assert (lenient.checks[0].state, lenient.quarantined, lenient.clean.count().to_pyarrow().as_py()) == (
        State.PASSED,
        0,
        4,
    )


def test_copies_of_a_compound_key_with_a_missing_value_are_quarantined(local):
    table, _ = tables([(None, 3, "x"), (None, 3, "y"), (None, None, "z"), (None, None, "z"), (1, 3, "x")], local)
    verdict = guard(
        table, build_suite([("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"]})]), now=NOW
    )
    assert (verdict.checks[0].unexpected, verdict.quarantined, verdict.checks[0].rows) == (2, 1, 3)
    assert verdict.clean.count().to_pyarrow().as_py() == 4


def test_many_keys_are_compared_in_parts(local, monkeypatch):
    monkeypatch.setattr("hanzo_reports.quality.measure.PART_BITS", 3)
    names = [f"id {number % 90}" for number in range(100)] + [None] * 5
    table = local(pa.table({"a": names, "b": range(105), "s": names}))
    subject = Subject(table, build_suite([("expect_column_values_to_be_unique", {"column": "a"})]))
    counted = subject.counts(scan := Scan(table), subject.suite.expectations[0])
    scan.run()
    assert counted().unexpected == 20
    test = subject.tests["e0"]
    assert count_repeats(test.keyed(table), test, 105) == 20
