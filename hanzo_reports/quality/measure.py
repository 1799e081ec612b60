"""Counts what a suite asks about a table: all counts in one scan, on any engine, without fetching rows."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.quality import queries
from hanzo_reports.quality.acceptance import accepted_ids
from hanzo_reports.quality.predicates import get_column
from hanzo_reports.quality.row_tests import RowTest, flag_test, has_id, row_test

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from hanzo_reports.quality.acceptance import Acceptance
    from hanzo_reports.quality.suites import Expectation, Suite

PART_BITS = 21  # an engine in this process compares at most two million keys at once
IN_PROCESS = {"duckdb"}
MAX_ERROR_LENGTH = 300


class Scan:
    """Aggregates of one table, computed together.

    Args:
        table: the table.
    """

    def __init__(self, table: ir.Table) -> None:
        self._table = table
        self._aggregates: dict[Any, tuple[str, ir.Value]] = {}
        self._values: dict[str, Any] | None = None

    def add(self, value: ir.Value) -> Callable[[], Any]:
        """Adds an aggregate; the function that it returns gives its value after `run`."""
        name, _ = self._aggregates.setdefault(value.op(), (f"m{len(self._aggregates)}", value))
        return lambda: (self._values or {})[name]

    def run(self) -> None:
        """Computes all aggregates in one scan."""
        if self._aggregates:
            row = self._table.aggregate(**dict(self._aggregates.values()))
            self._values = row.to_pyarrow().to_pylist()[0]


@dataclass(frozen=True)
class RowCounts:
    """The counts of a row expectation.

    Args:
        rows: rows under its row condition.
        nulls: those of them whose value is NULL.
        tested: rows that it tests.
        unexpected: tested rows that violate it and are not accepted.
        accepted: each acceptance of such rows, with how many it lets pass.
    """

    rows: int
    nulls: int
    tested: int
    unexpected: int
    accepted: tuple[tuple[Acceptance, int], ...] = ()


@dataclass
class Subject:
    """A table and the suite that it is checked by.

    Args:
        table: the table.
        suite: its expectations.
        acceptances: events that pass in spite of a check; they count where the table has event ids.
        errors: why queries cannot be evaluated, by the expectation's id; filled while they are prepared.
    """

    table: ir.Table
    suite: Suite
    acceptances: Sequence[Acceptance] = ()
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def tests(self) -> dict[str, RowTest]:
        """The tests of the row expectations by id, without accepted rows; a query is a flag in `flagged`."""
        tests = dict(self._strict_tests)
        for name in {one.check for one in self._acceptances} & tests.keys():
            tests[name] = tests[name].excluding(accepted_ids(self._acceptances, name))
        return tests

    @cached_property
    def _strict_tests(self) -> dict[str, RowTest]:
        """The same, with accepted rows."""
        tests = {one.id: test for one in self.suite.expectations if (test := row_test(one))}
        return tests | {name: flag_test(flag) for name, (flag, _) in self._conditions.items()}

    @property
    def _acceptances(self) -> Sequence[Acceptance]:
        return self.acceptances if "event_id" in self.table.columns else ()

    @property
    def flagged(self) -> ir.Table:
        """The table with a column for each query that looks at single rows."""
        return self._queried[0]

    @property
    def _conditions(self) -> dict[str, tuple[str, str]]:
        return self._queried[1]

    @cached_property
    def _queried(self) -> tuple[ir.Table, dict[str, tuple[str, str]]]:
        """The table with flags, and the flag and the condition of each query; a query that fails is an error."""
        conditions: dict[str, tuple[str, str]] = {}
        for number, one in enumerate(self.suite.expectations):
            query = one.kwargs.get("unexpected_rows_query")
            if one.type != "unexpected_rows_expectation" or not query:
                continue
            try:
                if text := queries.extract_condition(query):
                    conditions[one.id] = (f"_query_{number}", text)
            except Exception as error:  # noqa: BLE001  # text that is not SQL is reported, and never passes
                self.errors[one.id] = one_line(error)
        try:
            table = queries.add_flags(self.table, dict(conditions.values())) if conditions else self.table
        except Exception:  # noqa: BLE001  # each engine has errors of its own; the queries are tried one by one
            conditions = {name: pair for name, pair in conditions.items() if self._compiles(name, pair[1])}
            table = queries.add_flags(self.table, dict(conditions.values())) if conditions else self.table
        return table, conditions

    def _compiles(self, name: str, text: str) -> bool:
        try:
            queries.add_flags(self.table, {"_flag": text})
        except Exception as error:  # noqa: BLE001  # as above
            self.errors[name] = one_line(error)
            return False
        return True

    def counts(self, scan: Scan, one: Expectation) -> Callable[[], RowCounts]:
        """The counts of a row expectation, known after the scan."""
        test, table = self.tests[one.id], self.flagged
        where = None if test.condition is None else test.condition(table)
        rows = scan.add(table.count(where=where))
        within = None if test.within is None else test.within(table)
        tested = rows if test.within is test.condition else scan.add(table.count(where=within))
        nulls = _zero
        if test.value is not None:
            missing = get_column(table, test.value).isnull()
            nulls = scan.add(table.count(where=missing if where is None else missing & where))
        if test.keys:
            return lambda: RowCounts(rows(), nulls(), tested(), count_repeats(test.keyed(table), test, rows()))
        unexpected = scan.add(table.count(where=test.bad(table)))
        violations = self._strict_tests[one.id].bad(table)
        accepted = [
            (acceptance, scan.add(table.count(where=violations & has_id(table, acceptance.event_ids))))
            for acceptance in self._acceptances
            if acceptance.check == one.id
        ]
        return lambda: RowCounts(
            rows(), nulls(), tested(), unexpected(),
            tuple((acceptance, count()) for acceptance, count in accepted if count()),
        )  # fmt: skip


def _zero() -> int:
    return 0


def count_repeats(table: ir.Table, test: RowTest, rows: int) -> int:
    """How many rows share their key with another.

    An engine in this process compares hashes of the keys, one part of them at a time, so that memory does not grow with
    the table; only where hashes are equal it compares the keys themselves. A server manages its own memory.

    Args:
        table: rows that have a key.
        test: the uniqueness test.
        rows: about how many rows there are.
    """
    keys = list(test.keys)
    if table.get_backend().name not in IN_PROCESS:
        return _count_equal_keys(table, keys)
    parts = 1 << max(0, rows.bit_length() - PART_BITS)
    hashed = table.select(*keys, _hash=functools.reduce(operator.xor, [table[key].hash() for key in keys]))
    repeats = 0
    for number in range(parts):
        part = hashed.filter((hashed["_hash"] & (parts - 1)) == number) if parts > 1 else hashed
        counts = part.aggregate(all=part.count(), different=part["_hash"].nunique()).to_pyarrow().to_pylist()[0]
        if counts["different"] < counts["all"]:
            repeats += _count_equal_keys(part, keys)
    return repeats


def _count_equal_keys(table: ir.Table, keys: list[str]) -> int:
    groups = table.group_by(keys).aggregate(_n=table.count())
    return int(groups.filter(groups["_n"] > 1)["_n"].sum().to_pyarrow().as_py() or 0)


def one_line(error: Exception) -> str:
    """An engine's error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_ERROR_LENGTH]
