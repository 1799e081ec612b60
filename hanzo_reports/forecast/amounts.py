"""Amounts of money as people give them: exact, finite, and small enough for everything that is done with them."""

from __future__ import annotations

from decimal import Decimal, DecimalException

from hanzo_reports.errors import UsageError

MOST = Decimal(1_000_000_000)  # sums of such amounts in billionths of a dollar fit into the database's 64 bits


def amount(given: Decimal | float | str, what: str) -> Decimal:
    """An exact amount of at most a billion, above or below 0; texts and floats are read as they are printed.

    >>> amount("0.37", "the estimate"), amount(5000, "the limit")
    (Decimal('0.37'), Decimal('5000'))

    Args:
        given: the amount.
        what: what it is, for the error.

    Raises:
        UsageError: it is no number, not finite, or too large.
    """
    try:
        exact = Decimal(str(given).strip())
    except DecimalException:
        msg = f"{what} {given!r} is no number; give for example 5000 or 0.37"
        raise UsageError(msg) from None
    if not exact.is_finite():
        msg = f"{what} must be a finite number, not {given}"
        raise UsageError(msg)
    if not -MOST <= exact <= MOST:  # abs() fails on an exponent of millions
        msg = f"{what} must be at most {MOST:,}, not {given}"
        raise UsageError(msg)
    return exact
