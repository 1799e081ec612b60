"""Waits for conditions, with a bound that only a hung test reaches: no test depends on how fast the machine is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 300.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return once a condition holds; fail after five minutes."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"timed out waiting until {what}"
        time.sleep(0.02)
