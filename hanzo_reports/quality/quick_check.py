"""Passes a load without faults by its counts alone, so that it does not have to import Great Expectations.

An expectation about rows holds if no row is unexpected, whatever share of them it tolerates; one about columns holds if
all of them are present, and one about the number of rows if it is within its bounds. If all expectations of a suite are
of these kinds and nothing violates them, Great Expectations has nothing to decide. If anything does, or an expectation
is of another kind or has an unknown argument, Great Expectations evaluates all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hanzo_reports.quality.findings import describe_rows, describe_table
from hanzo_reports.quality.measure import Scan, Subject
from hanzo_reports.quality.row_tests import ARGUMENTS as ROW_ARGUMENTS
from hanzo_reports.quality.row_tests import IGNORED
from hanzo_reports.quality.verdict import Check, State

if TYPE_CHECKING:
    from hanzo_reports.quality.suites import Expectation

COUNTS = "counts"
_COLUMNS, _ROWS = "expect_table_columns_to_match_set", "expect_table_row_count_to_be_between"
_TABLE_ARGUMENTS = {
    _COLUMNS: {"column_set", "exact_match"},
    _ROWS: {"min_value", "max_value", "strict_min", "strict_max"},
}  # the types about tables that are decided here, and the arguments that are known


@dataclass(frozen=True)
class QuickPass:
    """A table without faults.

    Args:
        rows: its rows.
        checks: all of them passed or skipped.
    """

    rows: int
    checks: tuple[Check, ...]


def pass_by_counts(subject: Subject) -> QuickPass | None:
    """The checks of a table in which nothing is unexpected; None: something is, or counts cannot decide it."""
    skipped = {one.id: reason for one in subject.suite.expectations if (reason := _skip_reason(subject, one))}
    checked = [one for one in subject.suite.expectations if one.id not in skipped]
    about_table = {one.id for one in checked if one.type in _TABLE_ARGUMENTS}
    if subject.errors or any(one.id not in about_table | set(subject.tests) for one in checked):
        return None
    if any(name not in subject.table.columns for one in checked for name in one.columns):
        return None
    if not all(_has_known_arguments(one) for one in checked):
        return None
    scan = Scan(subject.flagged)
    rows = scan.add(subject.flagged.count())
    try:
        pending = {one.id: subject.counts(scan, one) for one in checked if one.id not in about_table}
        scan.run()
        counts = {name: count() for name, count in pending.items()}
    except Exception:  # noqa: BLE001  # the guard finds out which expectation cannot be counted
        return None
    if any(count.unexpected or count.accepted for count in counts.values()) or any(
        _is_violated(subject, one, int(rows())) for one in checked if one.id in about_table
    ):
        return None
    checks = []
    for one in subject.suite.expectations:
        head = (one.id, one.type, one.severity, one.description)
        if one.id in skipped:
            checks.append(Check(*head, "table", State.SKIPPED, skipped[one.id]))
        elif one.id in about_table:
            observed = describe_table(one, {"observed_value": int(rows())}, subject.table)
            checks.append(Check(*head, "table", State.PASSED, observed))
        else:
            count = counts[one.id]
            checks.append(Check(*head, "row", State.PASSED, describe_rows(count), 0, count.tested - count.nulls))
    return QuickPass(int(rows()), tuple(checks))


def _skip_reason(subject: Subject, one: Expectation) -> str:
    """Why an expectation is skipped; empty: it is not."""
    missing = [name for name in one.meta.get("needs", ()) if name not in subject.table.columns]
    return str(one.meta.get("otherwise", f"the table has no {missing[0]}")) if missing else ""


def _has_known_arguments(one: Expectation) -> bool:
    """Whether all arguments are known here; if not, Great Expectations may refuse the expectation."""
    arguments, known = one.kwargs, _TABLE_ARGUMENTS.get(one.type) or ROW_ARGUMENTS.get(one.type, set())
    mostly = arguments.get("mostly", 1)
    return (
        not arguments.keys() - known
        and ("ignore_row_if" not in arguments or arguments["ignore_row_if"] in IGNORED["column_A" in known])
        and (
            "min_value" not in known or arguments.get("min_value") is not None or arguments.get("max_value") is not None
        )
        and isinstance(mostly, int | float)
        and 0 <= mostly <= 1
    )


def _is_violated(subject: Subject, one: Expectation, rows: int) -> bool:
    if one.type == _ROWS:
        low, high = one.kwargs.get("min_value"), one.kwargs.get("max_value")
        strict = one.kwargs.get("strict_min") or one.kwargs.get("strict_max")
        return bool(strict) or (low is not None and rows < low) or (high is not None and rows > high)
    wanted, present = set(one.kwargs["column_set"]), set(subject.table.columns)
    return bool(wanted - present) or bool(one.kwargs.get("exact_match", True) and present - wanted)
