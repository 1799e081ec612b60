"""Row expectations: what each asks of a row, and which rows it looks at."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.quality.predicates import (
    COLUMN_TESTS,
    MULTI_COLUMN_TESTS,
    PAIR_TESTS,
    get_column,
    row_condition,
)
from hanzo_reports.quality.queries import METRIC

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import ibis.expr.types as ir

    from hanzo_reports.quality.predicates import Arguments, Predicate
    from hanzo_reports.quality.suites import Expectation

UNIQUE = {"column_values.unique", "compound_columns.unique"}
IGNORED = {  # the values of `ignore_row_if` for pairs (True) and for several columns (False)
    True: ("both_values_are_missing", "either_value_is_missing", "neither"),
    False: ("all_values_are_missing", "any_value_is_missing", "never"),
}
TYPES = {
    "expect_column_values_to_not_be_null": "column_values.nonnull",
    "expect_column_values_to_be_null": "column_values.null",
    "expect_column_values_to_be_unique": "column_values.unique",
    "expect_column_values_to_be_between": "column_values.between",
    "expect_column_values_to_be_in_set": "column_values.in_set",
    "expect_column_values_to_not_be_in_set": "column_values.not_in_set",
    "expect_column_values_to_match_regex": "column_values.match_regex",
    "expect_column_values_to_not_match_regex": "column_values.not_match_regex",
    "expect_column_values_to_match_regex_list": "column_values.match_regex_list",
    "expect_column_values_to_not_match_regex_list": "column_values.not_match_regex_list",
    "expect_column_values_to_match_like_pattern": "column_values.match_like_pattern",
    "expect_column_values_to_not_match_like_pattern": "column_values.not_match_like_pattern",
    "expect_column_values_to_match_like_pattern_list": "column_values.match_like_pattern_list",
    "expect_column_values_to_not_match_like_pattern_list": "column_values.not_match_like_pattern_list",
    "expect_column_value_lengths_to_be_between": "column_values.value_length.between",
    "expect_column_value_lengths_to_equal": "column_values.value_length.equals",
    "expect_column_pair_values_to_be_equal": "column_pair_values.equal",
    "expect_column_pair_values_a_to_be_greater_than_b": "column_pair_values.a_greater_than_b",
    "expect_column_pair_values_to_be_in_set": "column_pair_values.in_set",
    "expect_compound_columns_to_be_unique": "compound_columns.unique",
    "expect_multicolumn_sum_to_equal": "multicolumn_sum.equal",
    "expect_select_column_values_to_be_unique_within_record": "select_column_values.unique.within_record",
}

_ANY = {"row_condition", "mostly"}
_BOUNDS = {"min_value", "max_value", "strict_min", "strict_max"}
_OWN: dict[str, set[str]] = {  # what a metric's test takes beside its column or columns
    "column_values.between": _BOUNDS,
    "column_values.in_set": {"value_set"},
    "column_values.not_in_set": {"value_set"},
    "column_values.match_regex": {"regex"},
    "column_values.not_match_regex": {"regex"},
    "column_values.match_regex_list": {"regex_list", "match_on"},
    "column_values.not_match_regex_list": {"regex_list"},
    "column_values.match_like_pattern": {"like_pattern"},
    "column_values.not_match_like_pattern": {"like_pattern"},
    "column_values.match_like_pattern_list": {"like_pattern_list", "match_on"},
    "column_values.not_match_like_pattern_list": {"like_pattern_list"},
    "column_values.value_length.between": _BOUNDS,
    "column_values.value_length.equals": {"value"},
    "column_pair_values.a_greater_than_b": {"or_equal"},
    "column_pair_values.in_set": {"value_pairs_set"},
    "multicolumn_sum.equal": {"sum_total"},
}


def _column_arguments(metric: str) -> set[str]:
    if metric in PAIR_TESTS:
        return {"column_A", "column_B", "ignore_row_if"}
    return {"column_list", "ignore_row_if"} if metric in MULTI_COLUMN_TESTS or "compound" in metric else {"column"}


ARGUMENTS = {kind: _ANY | _column_arguments(metric) | _OWN.get(metric, set()) for kind, metric in TYPES.items()}
ARGUMENTS["unexpected_rows_expectation"] = {"unexpected_rows_query"}


@dataclass(frozen=True)
class RowTest:
    """What one row expectation tests on each row.

    Args:
        metric: the name of its map metric in Great Expectations.
        unexpected: whether a row violates it; NULL is not a violation. For uniqueness see `keys`.
        within: whether it tests a row: the row condition, and what `ignore_row_if` leaves; None: it tests all.
        condition: the row condition; None: there is none.
        value: the column whose NULLs it leaves out; None: it counts them, or has several columns.
        keys: for uniqueness, the columns of the key; no row by itself is unexpected.
    """

    metric: str
    unexpected: Predicate
    within: Predicate | None
    condition: Predicate | None
    value: str | None
    keys: tuple[str, ...] = ()

    def bad(self, table: ir.Table) -> ir.BooleanValue:
        """Whether a row is tested and unexpected."""
        unexpected = self.unexpected(table)
        return unexpected if self.within is None else unexpected & self.within(table)

    def inside(self, table: ir.Table) -> ir.Table:
        """The rows that it tests."""
        return table if self.within is None else table.filter(self.within(table))

    def keyed(self, table: ir.Table) -> ir.Table:
        """For uniqueness, the rows that it tests and that have a key; a key of several columns may have NULLs."""
        rows = self.inside(table)
        return rows if self.value is None else rows.drop_null([self.value])

    def excluding(self, event_ids: Collection[str]) -> RowTest:
        """The same test, which lets the events of these ids pass; uniqueness is about several rows and has none."""
        unexpected = self.unexpected
        return replace(self, unexpected=lambda table: unexpected(table) & ~has_id(table, event_ids))


def has_id(table: ir.Table, event_ids: Collection[str]) -> ir.BooleanValue:
    """Whether a row is one of some events; a row without an id is not."""
    return table["event_id"].isin(sorted(event_ids)).fill_null(False)


def row_test(expectation: Expectation) -> RowTest | None:
    """The test of a row expectation; None: the expectation is about the table, or its type is not known here."""
    metric, arguments = TYPES.get(expectation.type, ""), expectation.kwargs
    where = row_condition(expectation)
    if metric in UNIQUE:
        if "column_list" not in arguments:
            return RowTest(metric, _never, where, where, arguments["column"], (arguments["column"],))
        keys = tuple(arguments["column_list"])
        within = _both(where, _rows_to_test(keys, arguments, pair=False))
        return RowTest(metric, _never, within, where, None, keys)
    if metric in COLUMN_TESTS:
        name, test = arguments.get("column", ""), COLUMN_TESTS[metric]
        whole = metric in {"column_values.nonnull", "column_values.null"}
        return RowTest(metric, lambda t: test(get_column(t, name), arguments), where, where, None if whole else name)
    if metric in PAIR_TESTS or metric in MULTI_COLUMN_TESTS:
        names = arguments.get("column_list") or [arguments.get("column_A", ""), arguments.get("column_B", "")]
        within = _both(where, _rows_to_test(names, arguments, pair=metric in PAIR_TESTS))

        def unexpected(table: ir.Table) -> ir.BooleanValue:
            values = [get_column(table, name) for name in names]
            if metric in PAIR_TESTS:
                expected = PAIR_TESTS[metric](values[0], values[1], arguments)
            else:
                expected = MULTI_COLUMN_TESTS[metric](values, arguments)
            violation: ir.BooleanValue = ~expected
            return violation

        return RowTest(metric, unexpected, within, where, None)
    return None


def flag_test(name: str) -> RowTest:
    """The test of a query on single rows, whose result is a column of the table."""
    return RowTest(METRIC, lambda table: table[name].cast("boolean"), None, None, None)  # ClickHouse gives a number


def _never(_: ir.Table) -> ir.BooleanValue:
    return ibis.literal(value=False)


def _rows_to_test(names: Sequence[str], arguments: Arguments, *, pair: bool) -> Predicate | None:
    """Whether `ignore_row_if` leaves a row; None: it leaves all."""
    ignore = arguments.get("ignore_row_if", IGNORED[pair][0])
    if ignore not in IGNORED[pair][:2]:
        return None
    join = operator.and_ if ignore == IGNORED[pair][0] else operator.or_
    return lambda table: ~functools.reduce(join, [get_column(table, name).isnull() for name in names])


def _both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
    if first is None or second is None:
        return first or second
    return lambda table: first(table) & second(table)
