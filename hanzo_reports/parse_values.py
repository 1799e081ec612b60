"""Amounts and durations as people write them, read exactly."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Context, Decimal, DecimalException

from hanzo_reports.errors import UsageError
from hanzo_reports.formats import DURATION_UNITS
from hanzo_reports.units import Unit

MONEY_LIMIT = Decimal(1_000_000_000)  # USD; sums of such amounts in billionths fit into a database's 64 bits
MAX_DURATION = timedelta(days=366 * 100)
_MIN_EXPONENT, _MAX_EXPONENT = -18, 24
_FACTOR_DIGITS = 16  # more than any factor has
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_DURATION_SECONDS = {"w": 604_800} | DURATION_UNITS
_AMOUNT = re.compile(
    r"(\$?)\s*([+-]?(?:[\d_]+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([^\d\s]*)",
    re.IGNORECASE,
)
_COUNT_SUFFIXES: dict[str, int | str] = {"": 1, "k": 1_000, "m": 1_000_000}
_SUFFIXES: dict[Unit, dict[str, int | str]] = {
    Unit.SHARE: {"": 1, "%": "0.01"},
    Unit.MILLISECONDS: {"": 1, "ms": 1, "s": 1000, "min": 60_000},
    Unit.USD: {"": 1, "$": 1, "usd": 1},
    Unit.BYTES: {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12},
    Unit.TOKENS: _COUNT_SUFFIXES | {"tokens": 1},
    Unit.REQUESTS: _COUNT_SUFFIXES | {"requests": 1},
    Unit.COUNT: _COUNT_SUFFIXES,
    Unit.PER_SECOND: _COUNT_SUFFIXES | {"/s": 1},
}
_EXAMPLES = {
    Unit.SHARE: "0.01 or 1%", Unit.MILLISECONDS: "2000 or 2s", Unit.USD: "50 or $50", Unit.BYTES: "1000000 or 1MB",
    Unit.PER_SECOND: "20 or 20/s",
}  # fmt: skip


def parse_amount(value: Decimal | float | str, what: str, unit: Unit, *, limit: Decimal | None = None) -> Decimal:
    """The exact amount that a text or a number states; a float counts as it is printed.

    >>> parse_amount("1.5%", "the threshold", Unit.SHARE), parse_amount("2s", "the threshold", Unit.MILLISECONDS)
    (Decimal('0.015'), Decimal('2000'))

    Args:
        value: a number, or a text with or without the unit's sign.
        what: what the amount is, for the error.
        unit: the unit that the amount is returned in.
        limit: the largest size, above or below 0; None: any size from 1e-18 to 1e24.

    Raises:
        UsageError: not a finite number, in another unit, too large, too small, or a share outside of 0 to 1.
    """
    example = f"give for example {_EXAMPLES.get(unit, '1000 or 1k')}"
    match = _AMOUNT.fullmatch(str(value).strip())
    if not match:
        msg = f"{what} must be a finite number ({unit.value}), not {_quote(value)}; {example}"
        raise UsageError(msg)
    sign, digits, suffix = match.groups()
    if (sign and suffix) or (sign or suffix).lower() not in _SUFFIXES[unit]:
        msg = f"{what} must be in the unit {unit.value}, and {_quote(value)} is not; {example}"
        raise UsageError(msg)
    try:
        factor = Decimal(_SUFFIXES[unit][(sign or suffix).lower()])
        amount = Context(prec=len(digits) + _FACTOR_DIGITS).multiply(Decimal(digits), factor)  # exact
    except DecimalException:
        amount = Decimal("inf")
    if unit is Unit.SHARE and not 0 <= amount <= 1:
        msg = f"{what} must be a share, at least 0 and at most 1, not {_quote(value)}; {example}"
        raise UsageError(msg)
    if limit is not None and not -limit <= amount <= limit:
        msg = f"{what} must be at most {limit:,}, not {value}; {example}"
        raise UsageError(msg)
    if limit is None and amount and not (amount.is_finite() and _MIN_EXPONENT <= amount.adjusted() <= _MAX_EXPONENT):
        msg = f"{what} is too large or too small: {_quote(value)} ({unit.value}); {example}"
        raise UsageError(msg)
    return amount


def parse_money(value: Decimal | float | str, what: str) -> Decimal:
    """The exact amount of USD that a text or a number states, at most a billion above or below 0.

    >>> parse_money("0.37", "the estimate"), parse_money("$5000", "the limit")
    (Decimal('0.37'), Decimal('5000'))

    Raises:
        UsageError: as `parse_amount`.
    """
    return parse_amount(value, what, Unit.USD, limit=MONEY_LIMIT)


def parse_duration(text: str, what: str) -> timedelta:
    """The length of time that a text such as ``90s``, ``5m``, ``1h30m`` or ``3d`` states; ``0`` is no time.

    >>> parse_duration("1h30m", "window")
    datetime.timedelta(seconds=5400)

    Args:
        text: whole numbers with the units s, m, h, d, w.
        what: what the duration is, for the error.

    Raises:
        UsageError: not a duration, or longer than a century.
    """
    word = text.strip().lower()
    if word == "0":
        return timedelta()
    if not re.fullmatch(rf"({_DURATION.pattern})+", word):
        msg = f"{what} {text!r} is not a duration; give for example 30s, 5m, 1h30m or 3d"
        raise UsageError(msg)
    seconds = sum(int(number) * _DURATION_SECONDS[unit] for number, unit in _DURATION.findall(word))
    if seconds > MAX_DURATION.total_seconds():
        msg = f"{what} {text!r} is longer than a century; give for example 30s, 5m, 1h30m or 3d"
        raise UsageError(msg)
    return timedelta(seconds=seconds)


def _quote(value: Decimal | float | str) -> str:
    return repr(value) if isinstance(value, str) else str(value)
