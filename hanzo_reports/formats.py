"""Numbers as people read them: money, counts, shares, latencies, durations and how much a metric changed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from hanzo_reports.units import Direction, Unit

if TYPE_CHECKING:
    from datetime import timedelta

Number: TypeAlias = int | float | Decimal
Style: TypeAlias = Literal["short", "table", "terminal", "message", "exact"]

UNKNOWN = "–"  # noqa: RUF001  # an en dash, as wide as a digit
DURATION_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}  # seconds
VISIBLE_CHANGE = 0.05  # a smaller change has no colour
_MINUS = "−"  # noqa: RUF001  # as wide as a plus
_PAGE_STYLES = ("short", "table")
_UNKNOWN_TEXTS = {"short": UNKNOWN, "table": UNKNOWN, "terminal": "-", "message": "no data", "exact": "no data"}
_MULTIPLES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def format_value(value: Number | None, unit: Unit, style: Style) -> str:
    """The text of a number with its unit.

    >>> format_value(183_612, Unit.REQUESTS, "short"), format_value(183_612, Unit.REQUESTS, "table")
    ('183.6K', '183,612')
    >>> format_value(Decimal("0.000421"), Unit.USD, "short"), format_value(Decimal("-0.0000421"), Unit.USD, "terminal")
    ('$0.00042', '-$0.00004210')
    >>> format_value(0.0421, Unit.SHARE, "message"), format_value(2140.3, Unit.MILLISECONDS, "message")
    ('4.21%', '2,140 ms')
    >>> format_value(Decimal("0.99995"), Unit.SHARE, "exact"), format_value(Decimal(50), Unit.USD, "exact")
    ('99.995%', '$50.00')

    Args:
        value: the number; None: not known.
        unit: what the number counts.
        style: ``short``: about four digits, for tiles and charts of a page; ``table``: all digits of a count, for
            tables of a page; ``terminal``: a cell of a table in a terminal, the unit only where it is one sign;
            ``message``: with the unit's name, for sentences; ``exact``: a Decimal with all of its digits.
    """
    if value is None:
        return _UNKNOWN_TEXTS[style]
    if value < 0:
        return f"{_MINUS if style in _PAGE_STYLES else '-'}{format_value(-value, unit, style)}"
    if unit is Unit.USD:
        return f"${_format_money(value, style)}"
    if unit is Unit.SHARE:
        return _format_share(value, style)
    if unit is Unit.MILLISECONDS:
        return _format_latency(value, style)
    return _format_count(value, unit, style)


def format_short(value: Number | None, unit: Unit) -> str:
    """The text of a number in about four digits, as tiles, charts and sentences of a page show it: style ``short``."""
    return format_value(value, unit, "short")


def format_decimal(value: Decimal) -> str:
    """A decimal with all of its digits for machines: no exponent, no trailing zeros.

    >>> format_decimal(Decimal("854.250000000")), format_decimal(Decimal("1E+3")), format_decimal(Decimal("-0.000"))
    ('854.25', '1000', '0')
    """
    digits = f"{value:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits == "-0" else digits


def format_difference(value: Number, unit: Unit) -> str:
    """A difference in few digits, with its sign.

    >>> format_difference(Decimal("1.69"), Unit.USD), format_difference(1200, Unit.TOKENS)
    ('+$1.69', '+1.200K')
    """
    return f"{'' if value < 0 else '+'}{format_value(value, unit, 'short')}"


def format_relative_change(share: float) -> str:
    """A relative change with its sign, in percent; from tenfold on, as a factor.

    >>> format_relative_change(0.0191), format_relative_change(1.5)
    ('+1.9%', '+150.0%')
    """
    if share >= 9:  # noqa: PLR2004
        return f"×{share + 1:,.1f}"  # noqa: RUF001
    return f"{_MINUS if share < 0 else '+'}{abs(share):.1%}"


def format_duration(length: timedelta, style: Literal["exact", "rounded"] = "exact") -> str:
    """The text of a length of time: exact to the second, as `parse_duration` reads it, or rounded for a sentence.

    >>> from datetime import timedelta
    >>> format_duration(timedelta(hours=1, minutes=30)), format_duration(timedelta())
    ('1h30m', '0')
    >>> [format_duration(timedelta(hours=hours), "rounded") for hours in (0.5, 30, 100)]
    ['30 min', '30 h', '4 days']
    """
    seconds = length.total_seconds()
    if style == "rounded":
        hours = seconds / 3600
        return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.0f} h" if hours < 72 else f"{hours / 24:,.0f} days"  # noqa: PLR2004
    rest, text = int(abs(seconds)), ""
    for unit, size in DURATION_UNITS.items():
        number, rest = divmod(rest, size)
        text += f"{number}{unit}" if number else ""
    return f"{'-' if seconds < 0 and text else ''}{text or '0'}"


@dataclass(frozen=True)
class Change:
    """A change, as a page shows it beside a number.

    Args:
        text: with an arrow; empty when the change is not known.
        words: the same for a screen reader.
        tone: ``good`` or ``bad`` from 5 % on when the metric has a good direction, else ``even``.
    """

    text: str
    words: str
    tone: str


def relative_change(current: Number | None, previous: Number | None) -> float | None:
    """The change as a share of the previous value; None when one is not known or the previous one is zero."""
    return None if current is None or not previous else float(current) / float(previous) - 1


def describe_change(
    current: Number | None, previous: Number | None, direction: Direction, baseline: str = "the previous period"
) -> Change:
    """How a metric changed.

    Args:
        current: its value; None: not known.
        previous: the value it is compared with; None: not known.
        direction: which way is good.
        baseline: what the previous value belongs to, for the words.
    """
    share = relative_change(current, previous)
    if share is None:
        return Change("new", f"nothing in {baseline}", "even") if current and previous == 0 else Change("", "", "even")
    size = format_relative_change(abs(share)).lstrip("+")
    if size == "0.0%":
        return Change("±0%", f"as {baseline}", "even")
    arrow, word = ("↑", "up") if share > 0 else ("↓", "down")
    better = Direction.UP if share > 0 else Direction.DOWN
    coloured = abs(share) >= VISIBLE_CHANGE and direction is not Direction.NEUTRAL
    tone = "even" if not coloured else "good" if direction is better else "bad"
    return Change(f"{arrow} {size}", f"{word} {size} on {baseline}", tone)


def _format_money(value: Number, style: Style) -> str:
    """Cents; below a dollar (on pages below ten cents) some significant digits; all digits where they must be exact."""
    amount = Decimal(str(value))
    if style == "exact":
        cents = f"{amount:,.2f}"
        return cents if Decimal(cents.replace(",", "")) == amount else f"{amount.normalize():,f}"
    if style == "short" and amount >= 100_000:  # noqa: PLR2004
        return _format_scaled(value)
    digits, smallest = (2, Decimal("0.1")) if style in _PAGE_STYLES else (4, Decimal(1))
    places = 2 if amount >= smallest or not amount else min(digits - 1 - amount.adjusted(), 9)
    return f"{amount:,.{places}f}"


def _format_share(value: Number, style: Style) -> str:
    if style == "exact":
        return f"{(Decimal(value) * 100).normalize():f}%"
    if style == "message":
        rounded = f"{float(value) * 100:.4g}"
        return f"{float(value) * 100:.10g}%" if rounded == "100" and value != 1 else f"{rounded}%"  # 99.998% stays so
    return f"{value:.2%}"


def _format_latency(value: Number, style: Style) -> str:
    if style == "exact":
        return f"{Decimal(value).normalize():,f} ms"
    if style == "message":
        return f"{value:,.0f} ms" if value >= 10 else f"{value:,.3g} ms"  # noqa: PLR2004
    if style == "short":
        if value >= 10_000:  # noqa: PLR2004
            return f"{value / 1000:.1f} s"
        return f"{value:,.0f} ms" if value >= 10 else f"{value:,.1f} ms"  # noqa: PLR2004
    return f"{value:,.1f} ms"


def _format_count(value: Number, unit: Unit, style: Style) -> str:
    if style == "terminal":
        return f"{value:,}" if isinstance(value, int | Decimal) else f"{value:,.2f}"
    if style in _PAGE_STYLES:
        number = _format_scaled(value) if style == "short" else _format_plain(value)
        return number + ("/s" if unit is Unit.PER_SECOND else "")
    number = f"{Decimal(value).normalize():,f}" if style == "exact" else _format_plain(value)
    return number if unit is Unit.COUNT else f"{number} {unit.value}"


def _format_plain(value: Number) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _format_scaled(value: Number) -> str:
    rounded = float(f"{value:.4g}")
    for multiple, letter in _MULTIPLES:
        if rounded >= multiple:
            size = rounded / multiple
            return f"{size:.{4 - len(str(int(size)))}f}{letter}" if size < 1000 else f"{size:,.0f}{letter}"  # noqa: PLR2004
    return _format_plain(value)
