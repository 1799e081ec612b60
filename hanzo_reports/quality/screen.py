"""A load without faults, seen by the counts alone.

An expectation about rows of which none is unexpected holds, whatever share of them it allows to be; so does one about
columns that are all there, or about a number of rows that is within its bounds. Where all of a suite's expectations
are of that kind and none is violated, Great Expectations has nothing to decide, and its import can be spared. As soon
as one is violated, is of another kind or has an argument that is not known here, it judges all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hanzo_reports.quality.findings import seen_rows, seen_table
from hanzo_reports.quality.measure import Scan, Subject
from hanzo_reports.quality.rows import ARGUMENTS as ROW_ARGUMENTS
from hanzo_reports.quality.rows import IGNORED
from hanzo_reports.quality.verdict import Check, State

if TYPE_CHECKING:
    from hanzo_reports.quality.suites import Expectation

COUNTS = "counts"
_COLUMNS, _ROWS = "expect_table_columns_to_match_set", "expect_table_row_count_to_be_between"
_PLAIN = {
    _COLUMNS: {"column_set", "exact_match"},
    _ROWS: {"min_value", "max_value", "strict_min", "strict_max"},
}  # the arguments that are understood here


@dataclass(frozen=True)
class Screened:
    """A table without faults.

    Args:
        rows: its rows.
        checks: all of them passed or skipped.
    """

    rows: int
    checks: tuple[Check, ...]


def screened(subject: Subject) -> Screened | None:
    """The checks of a table in which nothing is unexpected; None: something is, or the counts cannot tell."""
    skipped = {one.id: missing for one in subject.suite.expectations if (missing := _missing(subject, one))}
    asked = [one for one in subject.suite.expectations if one.id not in skipped]
    plain = {one.id for one in asked if one.type in _PLAIN}
    if subject.errors or any(one.id not in plain | set(subject.tests) for one in asked):
        return None
    if any(name not in subject.table.columns for one in asked for name in one.columns):
        return None
    if not all(_understood(one) for one in asked):
        return None
    scan = Scan(subject.flagged)
    rows = scan.add(subject.flagged.count())
    try:
        waiting = {one.id: subject.counts(scan, one) for one in asked if one.id not in plain}
        scan.run()
        counted = {name: count() for name, count in waiting.items()}
    except Exception:  # noqa: BLE001  # whatever keeps it from being counted, the guard finds out which it is
        return None
    if any(count.unexpected for count in counted.values()) or any(
        _violated(subject, one, int(rows())) for one in asked if one.id in plain
    ):
        return None
    checks = []
    for one in subject.suite.expectations:
        told = (one.id, one.type, one.severity, one.description)
        if one.id in skipped:
            checks.append(Check(*told, "table", State.SKIPPED, skipped[one.id]))
        elif one.id in plain:
            seen = seen_table(one, {"observed_value": int(rows())}, subject.table)
            checks.append(Check(*told, "table", State.PASSED, seen))
        else:
            count = counted[one.id]
            looked_at = count.looked_at - count.nulls
            checks.append(Check(*told, "row", State.PASSED, seen_rows(count), 0, looked_at))
    return Screened(int(rows()), tuple(checks))


def _missing(subject: Subject, one: Expectation) -> str:
    """Why an expectation is skipped; empty: it is not."""
    missing = [name for name in one.meta.get("needs", ()) if name not in subject.table.columns]
    return str(one.meta.get("otherwise", f"the table has no {missing[0]}")) if missing else ""


def _understood(one: Expectation) -> bool:
    """Whether all that an expectation is given means something here; if not, it may be no expectation at all."""
    given, known = one.kwargs, _PLAIN.get(one.type) or ROW_ARGUMENTS.get(one.type, set())
    mostly = given.get("mostly", 1)
    return (
        not given.keys() - known
        and ("ignore_row_if" not in given or given["ignore_row_if"] in IGNORED["column_A" in known])
        and ("min_value" not in known or given.get("min_value") is not None or given.get("max_value") is not None)
        and isinstance(mostly, int | float)
        and 0 <= mostly <= 1
    )


def _violated(subject: Subject, one: Expectation, rows: int) -> bool:
    if one.type == _ROWS:
        low, high = one.kwargs.get("min_value"), one.kwargs.get("max_value")
        strict = one.kwargs.get("strict_min") or one.kwargs.get("strict_max")
        return bool(strict) or (low is not None and rows < low) or (high is not None and rows > high)
    wanted, held = set(one.kwargs["column_set"]), set(subject.table.columns)
    return bool(wanted - held) or bool(one.kwargs.get("exact_match", True) and held - wanted)
