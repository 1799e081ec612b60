"""Values that are the same for every row: from a mapping's TOML, or from the command line."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

Constant: TypeAlias = "str | int | float | Decimal | datetime | None"
_BITS = {"int16": 15, "int32": 31, "int64": 63}
_DIGITS = 9  # of money, before the point and after it


def parse_constant(dtype: str, value: object) -> Constant:
    """Parse a constant into a column's type; an instant without an offset is UTC, an empty text is None.

    >>> parse_constant("!int16", "200"), parse_constant("decimal(18, 9)", "0.25"), parse_constant("string", "")
    (200, Decimal('0.25'), None)

    Args:
        dtype: the column's Ibis type.
        value: as it is written.

    Raises:
        ValueError: it is not of that type; the message says what is.
    """
    kind, text = dtype.removeprefix("!"), str(value).strip()
    if kind == "string":
        return text or None
    if kind.startswith("timestamp"):
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            msg = f"{text!r} is not an instant like 2025-06-01T12:00:00Z"
            raise ValueError(msg) from None
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    try:
        number = Decimal(text)
    except InvalidOperation:
        msg = f"{text!r} is not a number"
        raise ValueError(msg) from None
    return _parse_number(kind, number, text)


def _parse_number(kind: str, number: Decimal, text: str) -> Constant:
    if not number.is_finite() or (kind == "float64" and math.isinf(float(number))):
        msg = f"{text!r} is not a finite number"
        raise ValueError(msg)
    if kind == "float64":
        return float(number)
    if kind in _BITS:
        if number != number.to_integral_value() or abs(number) >= 1 << _BITS[kind]:
            msg = f"{text!r} is not a whole number below {1 << _BITS[kind]:,}"
            raise ValueError(msg)
        return int(number)
    if abs(number) >= 10**_DIGITS or number != round(number, _DIGITS):
        msg = f"{text!r} is not an amount below 1,000,000,000 with at most {_DIGITS} decimal places"
        raise ValueError(msg)
    return number
