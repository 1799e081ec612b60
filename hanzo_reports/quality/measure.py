"""What a suite asks of a table, measured: all counts in one scan, whatever the engine; no rows are pulled."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.quality import queries
from hanzo_reports.quality.rows import RowTest, column, flagged, row_test

if TYPE_CHECKING:
    from collections.abc import Callable

    import ibis.expr.types as ir

    from hanzo_reports.quality.suites import Expectation, Suite

PART_BITS = 21  # an engine that lives in this process compares at most two million keys at once
IN_PROCESS = {"duckdb"}


class Scan:
    """Aggregates of one table, computed together.

    Args:
        table: what they are aggregates of.
    """

    def __init__(self, table: ir.Table) -> None:
        self._table = table
        self._values: dict[Any, tuple[str, ir.Value]] = {}
        self._found: dict[str, Any] | None = None

    def add(self, value: ir.Value) -> Callable[[], Any]:
        """One more aggregate; what is given back tells its value, after `run`."""
        name, _ = self._values.setdefault(value.op(), (f"m{len(self._values)}", value))
        return lambda: (self._found or {})[name]

    def run(self) -> None:
        """The one scan."""
        if self._values:
            row = self._table.aggregate(**dict(self._values.values()))
            self._found = row.to_pyarrow().to_pylist()[0]


@dataclass(frozen=True)
class Counted:
    """What a row expectation counts.

    Args:
        rows: rows under its row condition.
        nulls: those of them whose value is NULL.
        looked_at: rows that it looks at.
        unexpected: rows that it does not expect.
    """

    rows: int
    nulls: int
    looked_at: int
    unexpected: int


@dataclass
class Subject:
    """A table under a suite.

    Args:
        table: what is judged.
        suite: by which expectations.
    """

    table: ir.Table
    suite: Suite
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def tests(self) -> dict[str, RowTest]:
        """The row expectations by their id; those with a query have a flag in `flagged`."""
        found = {one.id: test for one in self.suite.expectations if (test := row_test(one))}
        return found | {name: flagged(flag) for name, (flag, _) in self._conditions.items()}

    @property
    def flagged(self) -> ir.Table:
        """The table with a column for each query that looks at single rows."""
        return self._queried[0]

    @property
    def _conditions(self) -> dict[str, tuple[str, str]]:
        return self._queried[1]

    @cached_property
    def _queried(self) -> tuple[ir.Table, dict[str, tuple[str, str]]]:
        """The table with flags, and for each such query its flag's name and its condition; a wrong one is an error."""
        found: dict[str, tuple[str, str]] = {}
        for number, one in enumerate(self.suite.expectations):
            query = one.kwargs.get("unexpected_rows_query")
            if one.type != "unexpected_rows_expectation" or not query:
                continue
            try:
                if text := queries.condition(query):
                    found[one.id] = (f"_query_{number}", text)
            except Exception as error:  # noqa: BLE001  # what is no SQL is told, and is no pass
                self.errors[one.id] = in_a_line(error)
        try:
            return queries.flags(self.table, dict(found.values())) if found else self.table, found
        except Exception:  # noqa: BLE001  # each engine has errors of its own; the queries are tried one by one
            good = {name: pair for name, pair in found.items() if self._works(name, pair[1])}
        return queries.flags(self.table, dict(good.values())) if good else self.table, good

    def _works(self, name: str, text: str) -> bool:
        try:
            queries.flags(self.table, {"_flag": text})
        except Exception as error:  # noqa: BLE001  # as above
            self.errors[name] = in_a_line(error)
            return False
        return True

    def counts(self, scan: Scan, one: Expectation) -> Callable[[], Counted]:
        """What a row expectation counts, known after the scan."""
        test, table = self.tests[one.id], self.flagged
        where = None if test.condition is None else test.condition(table)
        rows = scan.add(table.count(where=where))
        within = None if test.within is None else test.within(table)
        looked_at = rows if test.within is test.condition else scan.add(table.count(where=within))
        nulls = _none
        if test.value is not None:
            missing = column(table, test.value).isnull()
            nulls = scan.add(table.count(where=missing if where is None else missing & where))
        if test.keys:
            return lambda: Counted(rows(), nulls(), looked_at(), repeats(test.keyed(table), test, rows()))
        bad = scan.add(table.count(where=test.bad(table)))
        return lambda: Counted(rows(), nulls(), looked_at(), bad())


def _none() -> int:
    return 0


def repeats(table: ir.Table, test: RowTest, rows: int) -> int:
    """How many rows share their key with another.

    Args:
        table: rows that have a key.
        test: whose uniqueness is asked for.
        rows: about how many there are.

    An engine of this process compares the keys' hashes, a part of them at a time, so that memory does not grow with
    the table; only where hashes are equal the keys themselves are compared. A server sees to its own memory.
    """
    known, keys = table, list(test.keys)
    if known.get_backend().name not in IN_PROCESS:
        return _repeated(known, keys)
    parts = 1 << max(0, rows.bit_length() - PART_BITS)
    hashed = known.select(*keys, _hash=functools.reduce(operator.xor, [known[key].hash() for key in keys]))
    found = 0
    for part in range(parts):
        some = hashed.filter((hashed["_hash"] & (parts - 1)) == part) if parts > 1 else hashed
        counted = some.aggregate(all=some.count(), different=some["_hash"].nunique()).to_pyarrow().to_pylist()[0]
        if counted["different"] < counted["all"]:
            found += _repeated(some, keys)
    return found


def _repeated(table: ir.Table, keys: list[str]) -> int:
    groups = table.group_by(keys).aggregate(_n=table.count())
    return int(groups.filter(groups["_n"] > 1)["_n"].sum().to_pyarrow().as_py() or 0)


def in_a_line(error: Exception) -> str:
    """An engine's error in a line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
