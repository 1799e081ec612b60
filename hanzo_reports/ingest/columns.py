"""One column of the event, from the rules that a source has for it: its value, and what can be wrong with it."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from hanzo_reports.ingest.constants import parse_constant
from hanzo_reports.ingest.convert import INSTANT, convert
from hanzo_reports.ingest.source import MAPPED_COLUMNS, REQUIRED_COLUMNS, VERSION_COLUMN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hanzo_reports.ingest.source import ColumnRule, Scalar

TYPES = {name: dt.dtype(dtype) for name, dtype in MAPPED_COLUMNS.items()} | {VERSION_COLUMN: INSTANT}
LOWEST_STATUS, HIGHEST_STATUS = 100, 599
MAX_VALUE_KEPT = 200  # letters of a value in a reason, until its secrets are masked: none must be cut in two
_TOTAL = dt.Decimal(38, 9)


@dataclass(frozen=True)
class Check:
    """A fault that keeps a row from being an event.

    Args:
        fails: whether a row has it; NULL is no.
        reason: which column, which value, what is wrong; looked at only where the check fails.
    """

    fails: ir.BooleanValue
    reason: ir.StringValue


@dataclass(frozen=True)
class MappedColumn:
    """A column's value in each row, and the checks that it must pass."""

    value: ir.Value
    checks: tuple[Check, ...]


def map_column(
    rows: ibis.Table, name: str, rules: Sequence[tuple[ColumnRule, list[ir.Value]]], base: datetime | None, file: str
) -> MappedColumn:
    """Map an event's column: the first value that its rules find.

    Args:
        rows: the table of the cells.
        name: the column.
        rules: each with the cells that it reads.
        base: the instant that offsets count from.
        file: named in errors.

    Raises:
        ColumnError: the type of a cell can never be the column's.
    """
    dtype, values, checks = TYPES[name], [], []
    for rule, cells in rules:
        parts = []
        for cell in cells:
            part = convert(cell, INSTANT if rule.between else dtype, rule, base, f"{file}: {name}")
            parts.append(part.value)
            if part.fails is not None:
                checks.append(Check(part.fails, _describe(name, cell, part.reason)))
        if rule.sum:
            total = functools.reduce(operator.add, [part.cast(_TOTAL).fill_null(0) for part in parts])
            total = ibis.ifelse(ibis.coalesce(*parts).notnull(), total, ibis.null(_TOTAL))
            parts = [total.try_cast(dtype)]
            checks.append(Check(total.notnull() & parts[0].isnull(), _describe(name, total, "is too large")))
        elif rule.between:
            parts = [parts[1].delta(parts[0], unit="microsecond") / 1000]
        elif rule.hash:
            parts = [_number_repeats(rows, parts[0], cells[0])]
        values += parts or [_literal(rule.value, name)]
        if rule.default is not None:
            values.append(_literal(rule.default, name))
    if name in REQUIRED_COLUMNS and not any(rule.value is not None or rule.default is not None for rule, _ in rules):
        cells = [cell for _, read in rules for cell in read]
        missing = [cell.isnull() | (cell == "") if cell.type().is_string() else cell.isnull() for cell in cells]
        checks.append(Check(functools.reduce(operator.and_, missing), ibis.literal(f"{name} is missing")))
    return MappedColumn(ibis.coalesce(*values) if len(values) > 1 else values[0], tuple(checks))


def is_required_text(name: str, rules: Sequence[ColumnRule]) -> bool:
    """Whether a column is a text that every row must have, so that a row where it is empty is not an event anyway."""
    return name in REQUIRED_COLUMNS and TYPES[name].is_string() and len(rules) == 1 and rules[0].default is None


def range_checks(name: str, value: ir.Value) -> list[Check]:
    """The checks that every value of a column has to pass, whatever rule it came from."""
    if name == "status":
        fails = ~value.between(LOWEST_STATUS, HIGHEST_STATUS)
        return [Check(fails, _describe(name, value, f"is outside {LOWEST_STATUS}..{HIGHEST_STATUS}"))]
    if name == "cost":  # a refund is below 0; the guard decides which cost may be
        return []
    return [Check(value < 0, _describe(name, value, "is negative"))] if value.type().is_numeric() else []


def _number_repeats(rows: ibis.Table, digest: ir.StringValue, cell: ir.Value) -> ir.StringValue:
    """A hash that is an id: equal rows of a file get -2, -3, ... at its end, in the file's order."""
    repeat = ibis.row_number().over(group_by=[rows["_file"], cell], order_by=rows["_row"])
    return ibis.ifelse(repeat > 0, digest + "-" + (repeat + 1).cast("string"), digest)


def _describe(name: str, value: ir.Value, fault: str) -> ir.StringValue:
    """A reason: the column, the start of the value, and the fault; `redaction.clean_rejected` makes it safe to show."""
    text = value.cast("string").substr(0, MAX_VALUE_KEPT)
    quoted = text.replace(";", ",").replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")  # they part reasons and values
    return ibis.literal(f"{name}: '") + quoted + f"' {fault}"


def _literal(scalar: Scalar | None, name: str) -> ir.Scalar:
    """A constant of the TOML, which `Source` has checked, as a value of a column's type."""
    return ibis.literal(parse_constant(MAPPED_COLUMNS[name], scalar), TYPES[name])
