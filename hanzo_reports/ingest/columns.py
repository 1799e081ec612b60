"""One column of the event, out of the ways a source gives to find it: its value, and what can be wrong with it."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from hanzo_reports.ingest.constants import constant
from hanzo_reports.ingest.convert import INSTANT, converted
from hanzo_reports.ingest.keys import masked
from hanzo_reports.ingest.source import MAPPABLE, NEEDED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hanzo_reports.ingest.source import Scalar, Way

TYPES = {name: dt.dtype(dtype) for name, dtype in MAPPABLE.items()} | {"_version": INSTANT}
LOWEST_STATUS, HIGHEST_STATUS = 100, 599
SHOWN = 40  # letters of a value that a reason shows
_TOTAL = dt.Decimal(38, 9)


@dataclass(frozen=True)
class Check:
    """A thing that makes a row no event.

    Args:
        bad: whether it does; NULL is no.
        reason: which column, which value, what is wrong; looked at only where bad.
    """

    bad: ir.BooleanValue
    reason: ir.StringValue


@dataclass(frozen=True)
class Found:
    """A column's value in each row, and the checks that it came through."""

    value: ir.Value
    checks: tuple[Check, ...]


def column(
    rows: ibis.Table, name: str, ways: Sequence[tuple[Way, list[ir.Value]]], base: datetime | None, file: str
) -> Found:
    """An event's column: the first value that its ways find.

    Args:
        rows: the table of the cells.
        name: the column.
        ways: each with the cells that it reads.
        base: the instant that offsets count from.
        file: named in errors.
    """
    dtype, values, checks, cells = TYPES[name], [], [], []
    for way, read in ways:
        parts = []
        for cell in read:
            part = converted(cell, INSTANT if way.between else dtype, way, base, f"{file}: {name}")
            parts.append(part.value)
            if part.bad is not None:
                checks.append(Check(part.bad, _said(name, cell, part.why)))
        cells += read
        if way.sum:
            total = functools.reduce(operator.add, [part.cast(_TOTAL).fill_null(0) for part in parts])
            total = ibis.ifelse(ibis.coalesce(*parts).notnull(), total, ibis.null(_TOTAL))
            parts = [total.try_cast(dtype)]
            checks.append(Check(total.notnull() & parts[0].isnull(), _said(name, total, "is too large")))
        elif way.between:
            parts = [parts[1].delta(parts[0], unit="microsecond") / 1000]
        elif way.hash:
            repeat = ibis.row_number().over(group_by=[rows["_file"], read[0]], order_by=rows["_row"])
            parts = [ibis.ifelse(repeat > 0, parts[0] + "-" + (repeat + 1).cast("string"), parts[0])]
        values += parts or [_constant(way.value, name)]
        if way.default is not None:
            values.append(_constant(way.default, name))
    if name in NEEDED and not any(way.value is not None or way.default is not None for way, _ in ways):
        none = [cell.isnull() | (cell == "") if cell.type().is_string() else cell.isnull() for cell in cells]
        nothing = functools.reduce(operator.and_, none)
        checks.append(Check(nothing, ibis.literal(f"{name} is missing")))
    return Found(ibis.coalesce(*values) if len(values) > 1 else values[0], tuple(checks))


def required_text(name: str, ways: Sequence[Way]) -> bool:
    """Whether a column is a text that every row must have, so that a row where it is empty is no event anyway."""
    return name in NEEDED and TYPES[name].is_string() and len(ways) == 1 and ways[0].default is None


def limits(name: str, value: ir.Value) -> list[Check]:
    """The checks that every value of a column has to pass, however it was found."""
    if name == "status":
        bad = ~value.between(LOWEST_STATUS, HIGHEST_STATUS)
        return [Check(bad, _said(name, value, f"is outside {LOWEST_STATUS}..{HIGHEST_STATUS}"))]
    if name == "cost":  # a refund is below 0; which may be, the guard says
        return []
    return [Check(value < 0, _said(name, value, "is negative"))] if value.type().is_numeric() else []


def _said(name: str, value: ir.Value, why: str) -> ir.StringValue:
    shown = masked(value.cast("string").substr(0, SHOWN).replace(";", ","))
    return ibis.literal(f"{name}: '") + shown + f"' {why}"


def _constant(scalar: Scalar | None, name: str) -> ir.Scalar:
    """A constant of the TOML, which `Source` has looked at, as a value of a column's type."""
    return ibis.literal(constant(MAPPABLE[name], scalar), TYPES[name])
