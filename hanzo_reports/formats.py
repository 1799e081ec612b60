"""Thresholds and spans as people write them, and as messages show them."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, DecimalException

from hanzo_reports.errors import RuleError
from hanzo_reports.units import Unit

Value = int | float | Decimal

_SPAN = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_LONGEST = 100 * 366 * 86_400  # seconds
_FINEST, _LARGEST = -18, 24  # powers of ten that a threshold lies between
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_AMOUNT = re.compile(r"(\$?)\s*([+-]?[\d_]*\.?\d+(?:e[+-]?\d+)?)\s*([^\d\s]*)", re.IGNORECASE)
_COUNT: dict[str, int | str] = {"": 1, "k": 1_000, "m": 1_000_000}
_FACTORS: dict[Unit, dict[str, int | str]] = {
    Unit.SHARE: {"": 1, "%": "0.01"},
    Unit.MILLISECONDS: {"": 1, "ms": 1, "s": 1000, "min": 60_000},
    Unit.USD: {"": 1, "$": 1, "usd": 1},
    Unit.BYTES: {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12},
    Unit.TOKENS: _COUNT | {"tokens": 1},
    Unit.REQUESTS: _COUNT | {"requests": 1},
    Unit.COUNT: _COUNT,
    Unit.PER_SECOND: _COUNT | {"/s": 1},
}
_EXAMPLES = {
    Unit.SHARE: "0.01 or 1%", Unit.MILLISECONDS: "2000 or 2s", Unit.USD: "50 or $50", Unit.BYTES: "1000000 or 1MB",
    Unit.PER_SECOND: "20 or 20/s",
}  # fmt: skip


def span(text: str, what: str) -> timedelta:
    """The length of time that a text such as ``90s``, ``5m`` or ``3d`` names.

    >>> span("1h30m", "window")
    datetime.timedelta(seconds=5400)
    """
    word = text.strip().lower()
    if word in {"0", ""} or not re.fullmatch(rf"({_SPAN.pattern})+", word):
        if word == "0":
            return timedelta()
        msg = f"{what} {text!r} is no length of time; give for example 30s, 5m, 1h30m or 3d"
        raise RuleError(msg)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in _SPAN.findall(word))
    if seconds > _LONGEST:
        msg = f"{what} {text!r} is longer than a century; give for example 30s, 5m, 1h30m or 3d"
        raise RuleError(msg)
    return timedelta(seconds=seconds)


def spelled(length: timedelta) -> str:
    """A length of time as `span` reads it, exact to the second.

    >>> spelled(timedelta(hours=1, minutes=30)), spelled(timedelta())
    ('1h30m', '0')
    """
    left, parts = int(length.total_seconds()), []
    for unit in ("d", "h", "m", "s"):
        number, left = divmod(left, _SECONDS[unit])
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0"


def amount(text: str, unit: Unit, what: str) -> Decimal:
    """A threshold in its metric's unit, exact; a text with another unit's sign is refused.

    >>> amount("1.5%", Unit.SHARE, "error_rate"), amount("2s", Unit.MILLISECONDS, "latency_p99")
    (Decimal('0.015'), Decimal('2000'))
    """
    found = _AMOUNT.fullmatch(text.strip())
    example = _EXAMPLES.get(unit, "1000 or 1k")
    if not found:
        msg = f"the threshold {text!r} is no finite number; {what} is in {unit.value}: give for example {example}"
        raise RuleError(msg)
    sign = (found[1] or found[3]).lower()
    if (found[1] and found[3]) or sign not in _FACTORS[unit]:
        msg = f"the threshold {text!r} is not in the unit of {what}, which is {unit.value}; give for example {example}"
        raise RuleError(msg)
    try:
        number = Decimal(found[2]) * Decimal(_FACTORS[unit][sign])
    except DecimalException:
        number = Decimal("inf")
    if number and (not number.is_finite() or not _FINEST <= number.adjusted() <= _LARGEST):
        msg = f"the threshold {text!r} is too large or too small; {what} is in {unit.value}: give for example {example}"
        raise RuleError(msg)
    if unit is Unit.SHARE and not 0 <= number <= 1:
        msg = f"{what} is a share between 0 and 1, and {text!r} is not; give for example {example}"
        raise RuleError(msg)
    return number


def shown(value: Value | None, unit: Unit) -> str:
    """A value as a message shows it, with its unit.

    >>> shown(0.0421, Unit.SHARE), shown(Decimal("1234.5"), Unit.USD), shown(2140.3, Unit.MILLISECONDS)
    ('4.21%', '$1,234.50', '2,140 ms')
    """
    if value is None:
        return "no data"
    if unit is Unit.SHARE:
        rounded = f"{float(value) * 100:.4g}"
        return f"{float(value) * 100:.10g}%" if rounded == "100" and value != 1 else f"{rounded}%"  # 99.998% is no 100%
    if unit is Unit.USD:
        return f"${value:,.2f}" if value >= 1 or not value else f"${value:,.6f}"
    if unit is Unit.MILLISECONDS:
        return f"{value:,.0f} ms" if value >= 10 else f"{value:,.3g} ms"  # noqa: PLR2004  # digits worth reading
    number = f"{value:,}" if isinstance(value, int) or value == int(value) else f"{value:,.2f}"
    return f"{number.removesuffix('.0')} {unit.value}".removesuffix(f" {Unit.COUNT.value}")


def exact(threshold: Decimal, unit: Unit) -> str:
    """A threshold with all its digits, as it is compared.

    >>> exact(Decimal("0.99995"), Unit.SHARE), exact(Decimal(50), Unit.USD), exact(Decimal("2.5e3"), Unit.MILLISECONDS)
    ('99.995%', '$50.00', '2,500 ms')
    """
    if unit is Unit.SHARE:
        return f"{(threshold * 100).normalize():f}%"
    digits = f"{threshold.normalize():,f}"
    if unit is Unit.USD:
        cents = f"{threshold:,.2f}"
        return f"${cents if Decimal(cents.replace(',', '')) == threshold else digits}"
    return f"{digits} {unit.value}".removesuffix(f" {Unit.COUNT.value}")
