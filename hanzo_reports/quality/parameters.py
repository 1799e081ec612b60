"""Parameters of suites, written as ``$name``: instants around now, and thresholds that a deployment may set."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOCK_TOLERANCE = timedelta(minutes=5)  # how far ahead of ours other clocks may be
DEFAULTS: dict[str, Any] = {"max_silence_hours": 24, "tolerance": 0.01, "floor": 0.01}


def suite_parameters(now: datetime, overrides: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of suites: the known ones, and those given as text, as a number or an instant if they read as one.

    Args:
        now: the instant of asking, with a UTC offset.
        overrides: further parameters, and other values for known ones.
    """
    known = {"now": now, "soon": now + CLOCK_TOLERANCE, **DEFAULTS}
    return known | {name: _value(text) for name, text in overrides.items()}


def _value(text: str) -> Any:  # noqa: ANN401  # a number, an instant or a text
    try:
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() and "." not in text else float(number)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text
