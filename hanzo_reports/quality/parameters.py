"""What suites call by a dollar and a name: instants around now, and limits that a deployment may set."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOCKS = timedelta(minutes=5)  # left to clocks that run ahead
DEFAULTS: dict[str, Any] = {"max_silence_hours": 24, "tolerance": 0.01, "floor": 0.01}


def parameters(now: datetime, given: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of suites: those known, and those given, as numbers or instants where they look like one."""
    known = {"now": now, "soon": now + CLOCKS, **DEFAULTS}
    return known | {name: _value(text) for name, text in given.items()}


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
