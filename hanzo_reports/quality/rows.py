"""Row expectations as Ibis predicates: which rows are unexpected, in SQL's logic, where a comparison with NULL is none.

A type's meaning stays with Great Expectations; here stands what its metrics compute on a row, for any engine. Two
things differ: NaN, which SQL sorts above every number, is outside of any bounds, and a text can be an instant. Its
engines do not agree on pairs and sums in which a value is missing and that `ignore_row_if` keeps: as with pandas they
do not hold, and in a compound key a missing value equals another.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import ibis
import ibis.expr.types as ir

from hanzo_reports.errors import ColumnError, nearest
from hanzo_reports.quality.queries import METRIC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hanzo_reports.quality.suites import Expectation

    Arguments: TypeAlias = Mapping[str, Any]
    Predicate: TypeAlias = Callable[[ir.Table], ir.BooleanValue]

UNIQUE = {"column_values.unique", "compound_columns.unique"}
IGNORED = {  # rows that are left out of pairs, and of several columns: without any value, without one, none
    True: ("both_values_are_missing", "either_value_is_missing", "neither"),
    False: ("all_values_are_missing", "any_value_is_missing", "never"),
}
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "IN": lambda column, values: column.isin(values), "NOT_IN": lambda column, values: column.notin(values),
}  # fmt: skip


@dataclass(frozen=True)
class RowTest:
    """What one row expectation asks of each row.

    Args:
        metric: the name of its map metric in Great Expectations.
        unexpected: the rows that it does not expect; NULL is not one. For uniqueness see `keys`.
        within: the rows that are looked at: row condition, and what `ignore_row_if` leaves; None: all.
        condition: the row condition; None: there is none.
        value: the column whose NULLs it leaves out; None: it counts them, or has several columns.
        keys: for uniqueness, the columns that make the key; no row alone is unexpected.
    """

    metric: str
    unexpected: Predicate
    within: Predicate | None
    condition: Predicate | None
    value: str | None
    keys: tuple[str, ...] = ()

    def bad(self, table: ir.Table) -> ir.BooleanValue:
        """The unexpected ones among the rows that are looked at."""
        found = self.unexpected(table)
        return found if self.within is None else found & self.within(table)

    def inside(self, table: ir.Table) -> ir.Table:
        """The rows that are looked at."""
        return table if self.within is None else table.filter(self.within(table))

    def keyed(self, table: ir.Table) -> ir.Table:
        """Of them, for uniqueness, those that have a key; of several columns that is every one."""
        found = self.inside(table)
        return found if self.value is None else found.drop_null([self.value])


def column(table: ir.Table, name: str) -> Any:
    """A column; one that is not there is named with the nearest that is.

    Raises:
        ColumnError: the table has no such column.
    """
    if name not in table.columns:
        near = nearest(name, table.columns)
        hint = f"the nearest is {near!r}" if near else f"it has {', '.join(map(repr, table.columns))}"
        msg = f"the table has no column {name!r}; {hint}"
        raise ColumnError(msg)
    return table[name]


def like(value: ir.Value, given: object) -> object:
    """A value of a suite as one that a column can be compared with: instants in the column's own zone, or without."""
    if not value.type().is_timestamp() or given is None:
        return given
    at = datetime.fromisoformat(given) if isinstance(given, str) else given
    if not isinstance(at, datetime):
        return given
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    zoned = value.type().timezone is not None
    return ibis.literal(
        at if zoned else at.astimezone(UTC).replace(tzinfo=None), "timestamp('UTC')" if zoned else "timestamp"
    )


def _outside(value: Any, given: Arguments) -> Any:
    """Whether a value is beyond its bounds; NaN always is."""
    low, high = like(value, given.get("min_value")), like(value, given.get("max_value"))
    found = [value.isnan()] if value.type().is_floating() else []
    if low is not None:
        found.append(value <= low if given.get("strict_min") else value < low)
    if high is not None:
        found.append(value >= high if given.get("strict_max") else value > high)
    return functools.reduce(operator.or_, found)


def _in_set(value: Any, given: Arguments) -> Any:
    known = [like(value, item) for item in given["value_set"] if item is not None]
    return value.isin(known) if known else ibis.literal(value=False)


def _matches(value: Any, given: Arguments, test: Callable[[Any, str], Any], name: str) -> Any:
    """Whether a value matches any, or all, of several patterns."""
    tests = [test(value, pattern) for pattern in given[name]]
    return functools.reduce(operator.and_ if given.get("match_on") == "all" else operator.or_, tests)


def _search(value: Any, pattern: str) -> Any:
    return value.re_search(pattern)


def _like_pattern(value: Any, pattern: str) -> Any:
    return value.like(pattern)


_COLUMN: dict[str, Callable[[Any, Arguments], Any]] = {
    "column_values.nonnull": lambda v, _: v.isnull(),
    "column_values.null": lambda v, _: v.notnull(),
    "column_values.between": _outside,
    "column_values.in_set": lambda v, k: ~_in_set(v, k),
    "column_values.not_in_set": _in_set,
    "column_values.match_regex": lambda v, k: ~v.re_search(k["regex"]),
    "column_values.not_match_regex": lambda v, k: v.re_search(k["regex"]),
    "column_values.match_regex_list": lambda v, k: ~_matches(v, k, _search, "regex_list"),
    "column_values.not_match_regex_list": lambda v, k: _matches(v, {**k, "match_on": "any"}, _search, "regex_list"),
    "column_values.match_like_pattern": lambda v, k: ~v.like(k["like_pattern"]),
    "column_values.not_match_like_pattern": lambda v, k: v.like(k["like_pattern"]),
    "column_values.match_like_pattern_list": lambda v, k: ~_matches(v, k, _like_pattern, "like_pattern_list"),
    "column_values.not_match_like_pattern_list":
        lambda v, k: _matches(v, {**k, "match_on": "any"}, _like_pattern, "like_pattern_list"),
    "column_values.value_length.between": lambda v, k: _outside(v.length(), k),
    "column_values.value_length.equals": lambda v, k: v.length() != k["value"],
}  # fmt: skip


def _equal_pair(a: Any, b: Any, _: Arguments) -> Any:
    return (a == b).fill_null(False)


def _greater(a: Any, b: Any, given: Arguments) -> Any:
    return (((a >= b) | (a.isnull() & b.isnull())) if given.get("or_equal") else a > b).fill_null(False)


def _pair_in_set(a: Any, b: Any, given: Arguments) -> Any:
    return functools.reduce(operator.or_, [(a == x) & (b == y) for x, y in given["value_pairs_set"]]).fill_null(False)


_PAIR: dict[str, Callable[[Any, Any, Arguments], Any]] = {
    "column_pair_values.equal": _equal_pair,
    "column_pair_values.a_greater_than_b": _greater,
    "column_pair_values.in_set": _pair_in_set,
}


def _differ(values: Sequence[Any], _: Arguments) -> Any:
    pairs = [(a, b) for place, a in enumerate(values) for b in values[place + 1 :]]
    return ~functools.reduce(operator.or_, [(a == b) | (a.isnull() & b.isnull()) for a, b in pairs]).fill_null(False)


_SEVERAL: dict[str, Callable[[Sequence[Any], Arguments], Any]] = {
    "multicolumn_sum.equal": lambda values, k: (functools.reduce(operator.add, values) == k["sum_total"]).fill_null(
        False
    ),
    "select_column_values.unique.within_record": _differ,
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


def _named(metric: str) -> set[str]:
    if metric in _PAIR:
        return {"column_A", "column_B", "ignore_row_if"}
    return {"column_list", "ignore_row_if"} if metric in _SEVERAL or "compound" in metric else {"column"}


ARGUMENTS = {kind: _ANY | _named(metric) | _OWN.get(metric, set()) for kind, metric in TYPES.items()}
ARGUMENTS["unexpected_rows_expectation"] = {"unexpected_rows_query"}


def row_test(expectation: Expectation) -> RowTest | None:
    """What an expectation asks of each row; None: it asks something of the table, or its type is not known here."""
    metric, given = TYPES.get(expectation.type, ""), expectation.kwargs
    where = condition(expectation)
    if metric in UNIQUE:
        if "column_list" not in given:
            return RowTest(metric, _repeats_need_company, where, where, given["column"], (given["column"],))
        keys = tuple(given["column_list"])
        within = _both(where, _looked_at(keys, given, pair=False))
        return RowTest(metric, _repeats_need_company, within, where, None, keys)
    if metric in _COLUMN:
        name, test = given.get("column", ""), _COLUMN[metric]
        whole = metric in {"column_values.nonnull", "column_values.null"}
        return RowTest(metric, lambda t: test(column(t, name), given), where, where, None if whole else name)
    if metric in _PAIR or metric in _SEVERAL:
        names = given.get("column_list") or [given.get("column_A", ""), given.get("column_B", "")]
        within = _both(where, _looked_at(names, given, pair=metric in _PAIR))

        def unexpected(table: ir.Table) -> ir.BooleanValue:
            values = [column(table, name) for name in names]
            pair = metric in _PAIR
            good = _PAIR[metric](values[0], values[1], given) if pair else _SEVERAL[metric](values, given)
            found: ir.BooleanValue = ~good
            return found

        return RowTest(metric, unexpected, within, where, None)
    return None


def flagged(name: str) -> RowTest:
    """The test of a query on single rows, whose answer stands in a column of the table."""
    return RowTest(METRIC, lambda table: table[name].cast("boolean"), None, None, None)  # of ClickHouse it is a number


def _repeats_need_company(_: ir.Table) -> ir.BooleanValue:
    return ibis.literal(value=False)


def _looked_at(names: Sequence[str], given: Arguments, *, pair: bool) -> Predicate | None:
    """The rows that `ignore_row_if` leaves."""
    ignore = given.get("ignore_row_if", IGNORED[pair][0])
    if ignore not in IGNORED[pair][:2]:
        return None
    join = operator.and_ if ignore == IGNORED[pair][0] else operator.or_
    return lambda table: ~functools.reduce(join, [column(table, name).isnull() for name in names])


def _both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
    if first is None or second is None:
        return first or second
    return lambda table: first(table) & second(table)


def condition(expectation: Expectation) -> Predicate | None:
    """The row condition, as Great Expectations has it."""
    given = expectation.kwargs.get("row_condition")
    if given is None:
        return None
    return lambda table: _met(table, given).fill_null(False)


def _met(table: ir.Table, condition: Arguments) -> Any:
    kind = condition.get("type")
    if kind in {"and", "or"}:
        parts = [_met(table, part) for part in condition["conditions"]]
        return functools.reduce(operator.and_ if kind == "and" else operator.or_, parts)
    value = column(table, condition["column"]["name"])
    if kind == "nullity":
        return value.isnull() if condition["is_null"] else value.notnull()
    return _OPERATORS[condition["operator"]](value, like(value, condition["parameter"]))
