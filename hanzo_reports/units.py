"""Units, directions and grains: the small vocabularies that all layers share."""

from __future__ import annotations

from enum import StrEnum


class Unit(StrEnum):
    """What a metric's number counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    BYTES = "bytes"
    USD = "USD"
    MILLISECONDS = "ms"
    SHARE = "share"
    PER_SECOND = "per second"
    COUNT = "count"


class Direction(StrEnum):
    """Which way is good."""

    UP = "up"
    DOWN = "down"
    NEUTRAL = "neutral"


class Grain(StrEnum):
    """The length of a time bucket. Weeks start on Monday; days, weeks and months start at midnight in the zone."""

    MINUTE = "minute"
    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def seconds(self) -> int | None:
        """Length in seconds; None for days, weeks and months, whose length varies."""
        return {"minute": 60, "5m": 300, "15m": 900, "hour": 3600}.get(self.value)
