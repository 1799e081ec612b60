"""Numbers as a page shows them: short for the eye, full for tables, and how much they changed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from hanzo_reports.units import Direction, Unit

if TYPE_CHECKING:
    from hanzo_reports.metrics.metric import Metric

Number: TypeAlias = int | float | Decimal
UNKNOWN = "–"  # noqa: RUF001  # an en dash, as wide as a digit
COUNTS = {Unit.REQUESTS, Unit.TOKENS, Unit.COUNT, Unit.BYTES}
NOTICEABLE = 0.05  # a smaller change has no colour
_STEPS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_SECONDS = 10_000


def short(value: Number | None, unit: Unit) -> str:
    """A number in about four digits; an en dash when it is not known.

    >>> short(183_612, Unit.REQUESTS), short(78_081_234, Unit.TOKENS), short(Decimal("327.2389"), Unit.USD)
    ('183.6K', '78.08M', '$327.24')
    >>> short(317.2, Unit.MILLISECONDS), short(0.00712, Unit.SHARE), short(Decimal("0.000421"), Unit.USD)
    ('317 ms', '0.71%', '$0.00042')
    """
    if value is None:
        return UNKNOWN
    if value < 0:
        return f"−{short(-value, unit)}"  # noqa: RUF001  # a minus as wide as a plus
    if unit is Unit.SHARE:
        return f"{value:.2%}"
    if unit is Unit.MILLISECONDS:
        return f"{value / 1000:.1f} s" if value >= _SECONDS else f"{value:,.{0 if value >= 10 else 1}f} ms"  # noqa: PLR2004
    if unit is Unit.USD:
        return f"${_scaled(value) if value >= 100_000 else _money(value)}"  # noqa: PLR2004
    return _scaled(value) + ("/s" if unit is Unit.PER_SECOND else "")


def full(value: Number | None, unit: Unit) -> str:
    """A number as a table shows it: all digits of a count, cents of a sum, a tenth of a millisecond.

    >>> full(183_612, Unit.REQUESTS), full(Decimal("1234.5"), Unit.USD), full(317.24, Unit.MILLISECONDS)
    ('183,612', '$1,234.50', '317.2 ms')
    """
    if value is None:
        return UNKNOWN
    if unit in COUNTS:
        return f"{value:,.0f}"
    if unit is Unit.MILLISECONDS:
        return f"{value:,.1f} ms"
    return f"${_money(value)}" if unit is Unit.USD and value >= 0 else short(value, unit)


def signed(value: Number, unit: Unit) -> str:
    """A difference with its sign.

    >>> signed(Decimal("1.69"), Unit.USD), signed(1200, Unit.TOKENS)
    ('+$1.69', '+1.200K')
    """
    return short(value, unit) if value < 0 else f"+{short(value, unit)}"


def relative(now: Number | None, before: Number | None) -> float | None:
    """The change as a share of what was before; None when one is unknown or nothing was before."""
    return None if now is None or not before else float(now) / float(before) - 1


def percent(share: float) -> str:
    """A relative change with its sign, in percent; from tenfold on, as a factor.

    >>> percent(0.0191), percent(1.5)
    ('+1.9%', '+150.0%')
    """
    if share >= 9:  # noqa: PLR2004
        return f"×{share + 1:,.1f}"  # noqa: RUF001
    return f"{'−' if share < 0 else '+'}{abs(share):.1%}"  # noqa: RUF001


@dataclass(frozen=True)
class Change:
    """A change beside a number.

    Args:
        text: with an arrow; empty when nothing can be said.
        words: the same for a screen reader.
        tone: ``good`` or ``bad`` from 5 % on when the metric has a good direction, else ``even``.
    """

    text: str
    words: str
    tone: str


def change(now: Number | None, before: Number | None, metric: Metric, than: str = "the window before") -> Change:
    """How a metric changed against the window before."""
    share = relative(now, before)
    if share is None:
        return Change("new", f"nothing in {than}", "even") if now and before == 0 else Change("", "", "even")
    size = percent(abs(share)).lstrip("+")
    if size == "0.0%":
        return Change("±0%", f"as {than}", "even")
    arrow, word = ("↑", "up") if share > 0 else ("↓", "down")
    better = Direction.UP if share > 0 else Direction.DOWN
    coloured = abs(share) >= NOTICEABLE and metric.direction is not Direction.NEUTRAL
    tone = "even" if not coloured else "good" if metric.direction is better else "bad"
    return Change(f"{arrow} {size}", f"{word} {size} on {than}", tone)


def _scaled(value: Number) -> str:
    for step, letter in _STEPS:
        if value >= step:
            size = float(value) / step
            return f"{size:.{max(0, 3 - len(str(int(size))) + 1)}f}{letter}" if size < 1000 else f"{size:,.0f}{letter}"  # noqa: PLR2004
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _money(value: Number) -> str:
    """Cents, or two digits of an amount below one."""
    amount = Decimal(str(value))
    places = 2 if amount >= Decimal("0.1") or not amount else min(1 - amount.adjusted(), 9)
    return f"{amount:,.{places}f}"
