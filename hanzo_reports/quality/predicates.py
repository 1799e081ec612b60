"""Which values an expectation does not expect, as Ibis predicates that any engine computes.

Great Expectations defines what each type means; this module computes what its metrics compute on one row, in SQL's
logic, in which a comparison with NULL is not true. Two things differ: NaN, which SQL sorts above every number, is out
of any bounds, and a text may stand for an instant. Great Expectations' own engines disagree on pairs and sums with a
missing value that `ignore_row_if` keeps: here, as in pandas, they do not hold, and in a compound key missing values are
equal.
"""

from __future__ import annotations

import functools
import operator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import ibis

from hanzo_reports.errors import ColumnError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir

    from hanzo_reports.quality.suites import Expectation

    Arguments: TypeAlias = Mapping[str, Any]
    Predicate: TypeAlias = Callable[[ir.Table], ir.BooleanValue]

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "IN": lambda column, values: column.isin(values), "NOT_IN": lambda column, values: column.notin(values),
}  # fmt: skip


def get_column(table: ir.Table, name: str) -> Any:
    """A column of a table.

    Raises:
        ColumnError: the table has no such column; the message names the nearest.
    """
    if name not in table.columns:
        near = nearest(name, table.columns)
        hint = f"the nearest is {near!r}" if near else f"it has {', '.join(map(repr, table.columns))}"
        msg = f"the table has no column {name!r}; {hint}"
        raise ColumnError(msg)
    return table[name]


def comparable(column: ir.Value, value: object) -> object:
    """A suite's value in a form that a column can be compared with: an instant has a zone if the column has one."""
    if not column.type().is_timestamp() or value is None:
        return value
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(at, datetime):
        return value
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    zoned = column.type().timezone is not None
    return ibis.literal(
        at if zoned else at.astimezone(UTC).replace(tzinfo=None), "timestamp('UTC')" if zoned else "timestamp"
    )


def _outside(value: Any, arguments: Arguments) -> Any:
    """Whether a value is out of its bounds; NaN always is."""
    low, high = comparable(value, arguments.get("min_value")), comparable(value, arguments.get("max_value"))
    conditions = [value.isnan()] if value.type().is_floating() else []
    if low is not None:
        conditions.append(value <= low if arguments.get("strict_min") else value < low)
    if high is not None:
        conditions.append(value >= high if arguments.get("strict_max") else value > high)
    return functools.reduce(operator.or_, conditions)


def _in_set(value: Any, arguments: Arguments) -> Any:
    members = [comparable(value, item) for item in arguments["value_set"] if item is not None]
    return value.isin(members) if members else ibis.literal(value=False)


def _matches(value: Any, arguments: Arguments, test: Callable[[Any, str], Any], name: str) -> Any:
    """Whether a value matches any, or all, of several patterns."""
    tests = [test(value, pattern) for pattern in arguments[name]]
    return functools.reduce(operator.and_ if arguments.get("match_on") == "all" else operator.or_, tests)


def _search(value: Any, pattern: str) -> Any:
    return value.re_search(pattern)


def _like_pattern(value: Any, pattern: str) -> Any:
    return value.like(pattern)


COLUMN_TESTS: dict[str, Callable[[Any, Arguments], Any]] = {
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


def _greater(a: Any, b: Any, arguments: Arguments) -> Any:
    return (((a >= b) | (a.isnull() & b.isnull())) if arguments.get("or_equal") else a > b).fill_null(False)


def _pair_in_set(a: Any, b: Any, arguments: Arguments) -> Any:
    matches = [(a == x) & (b == y) for x, y in arguments["value_pairs_set"]]
    return functools.reduce(operator.or_, matches).fill_null(False)


PAIR_TESTS: dict[str, Callable[[Any, Any, Arguments], Any]] = {
    "column_pair_values.equal": _equal_pair,
    "column_pair_values.a_greater_than_b": _greater,
    "column_pair_values.in_set": _pair_in_set,
}


def _differ(values: Sequence[Any], _: Arguments) -> Any:
    pairs = [(a, b) for place, a in enumerate(values) for b in values[place + 1 :]]
    return ~functools.reduce(operator.or_, [(a == b) | (a.isnull() & b.isnull()) for a, b in pairs]).fill_null(False)


MULTI_COLUMN_TESTS: dict[str, Callable[[Sequence[Any], Arguments], Any]] = {
    "multicolumn_sum.equal": lambda values, k: (functools.reduce(operator.add, values) == k["sum_total"]).fill_null(
        False
    ),
    "select_column_values.unique.within_record": _differ,
}


def row_condition(expectation: Expectation) -> Predicate | None:
    """The row condition of an expectation; None: it looks at all rows."""
    condition = expectation.kwargs.get("row_condition")
    if condition is None:
        return None
    return lambda table: _holds(table, condition).fill_null(False)


def _holds(table: ir.Table, condition: Arguments) -> Any:
    kind = condition.get("type")
    if kind in {"and", "or"}:
        parts = [_holds(table, part) for part in condition["conditions"]]
        return functools.reduce(operator.and_ if kind == "and" else operator.or_, parts)
    value = get_column(table, condition["column"]["name"])
    if kind == "nullity":
        return value.isnull() if condition["is_null"] else value.notnull()
    return _OPERATORS[condition["operator"]](value, comparable(value, condition["parameter"]))
