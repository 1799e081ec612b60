"""What a metric is: its name, its unit, and the expression that computes it from the rows of a group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from hanzo_reports.metrics.dialect import percentile as exact_percentile
from hanzo_reports.metrics.dialect import quotient
from hanzo_reports.units import Direction, Unit

Expression = Callable[[ir.Table], ir.Value]


@dataclass(frozen=True)
class Metric:
    """One number that can be computed from any set of events.

    Args:
        name: its name in questions, answers and files.
        title: its name on pages.
        unit: what the number counts; shares are 0-1.
        direction: whether a higher value is good, bad or neither.
        meaning: one line, with the formula.
        expression: events of a group -> the aggregate.
        needs: the event's columns it reads.
        additive: whether the parts sum to the whole; such a metric is 0 where there are no events.
        default_threshold: in the metric's unit; an upper bound when down is good, a lower bound when up is good.
        numerator: for a ratio, the additive expression above the line.
        denominator: for a ratio, the additive expression below it.
        per_second: whether the aggregate is divided by the length of its window or bucket.
        counts: for a count of rows, whether a row is counted (boolean; NULL: it is not). A load counts its rows by it.
    """

    name: str
    title: str
    unit: Unit
    direction: Direction
    meaning: str
    expression: Expression
    needs: tuple[str, ...] = ()
    additive: bool = False
    default_threshold: float | None = None
    numerator: Expression | None = None
    denominator: Expression | None = None
    per_second: bool = False
    counts: Expression | None = None

    def breaches_threshold(self, value: float | None) -> bool | None:
        """Whether a value is over the default threshold, or below it when up is good; None without either."""
        if self.default_threshold is None or value is None:
            return None
        return value < self.default_threshold if self.direction is Direction.UP else value > self.default_threshold


def divide(above: ir.Value, below: ir.Value, unit: Unit) -> ir.Value:
    """A quotient; NULL for a zero or NULL denominator. Money over a whole number is exact, with nine places."""
    if unit is Unit.USD:
        return quotient(above, below)
    return above.cast("float64") / below.nullif(0)


def ratio(
    name: str,
    title: str,
    unit: Unit,
    direction: Direction,
    meaning: str,
    above: Expression,
    below: Expression,
    needs: tuple[str, ...],
    default_threshold: float | None = None,
) -> Metric:
    """A metric that is one sum over another: computed from the rows of its group, never from other ratios."""
    return Metric(
        name, title, unit, direction, meaning, lambda t: divide(above(t), below(t), unit), needs,
        default_threshold=default_threshold, numerator=above, denominator=below,
    )  # fmt: skip


def total(name: str, title: str, unit: Unit, column: str, meaning: str) -> Metric:
    """The sum of a column over the rows that have it; NULL when none of the rows has it."""
    return Metric(name, title, unit, Direction.NEUTRAL, meaning, lambda t: t[column].sum(), (column,), additive=True)


def count_rows(name: str, title: str, meaning: str, counts: Expression, needs: tuple[str, ...]) -> Metric:
    """How many requests a condition holds for; fewer are better."""
    return Metric(
        name, title, Unit.REQUESTS, Direction.DOWN, meaning, lambda t: ibis.ifelse(counts(t), 1, 0).sum(), needs,
        additive=True, counts=counts,
    )  # fmt: skip


def percentile(name: str, title: str, column: str, share: float, default_threshold: float | None = None) -> Metric:
    """An exact, linearly interpolated percentile (SQL percentile_cont) over the rows that have the column.

    Source: SQL:2003 percentile_cont.
    """
    meaning = f"{share:.0%} of the requests with a known {column} are at or below it (linear interpolation)"
    return Metric(
        name, title, Unit.MILLISECONDS, Direction.DOWN, meaning, lambda t: exact_percentile(t[column], share),
        (column,), default_threshold=default_threshold,
    )  # fmt: skip


def distinct(name: str, title: str, column: str, meaning: str) -> Metric:
    """The exact number of different values of a column; NULL does not count as a value."""
    return Metric(name, title, Unit.COUNT, Direction.NEUTRAL, meaning, lambda t: t[column].nunique(), (column,))


def per_second(name: str, title: str, of: Metric, meaning: str) -> Metric:
    """An additive metric divided by the seconds of its window or bucket that have passed."""
    return Metric(
        name, title, Unit.PER_SECOND, Direction.NEUTRAL, meaning, of.expression, of.needs,
        additive=True, per_second=True,
    )  # fmt: skip


def count_where(column: str, low: int, high: int | None = None) -> Expression:
    """Counts the rows whose column lies in ``[low, high)``, or is at least `low`."""

    def expression(t: ir.Table) -> ir.Value:
        inside = t[column] >= low
        return ibis.ifelse(inside if high is None else inside & (t[column] < high), 1, 0).sum()

    return expression
