"""Alert rules: the metric, its threshold, and the channels to notify; `parse_rule` creates them from plain values."""

from __future__ import annotations

import hashlib
import json
import operator
import re
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.errors import RuleError, UnknownNameError
from hanzo_reports.formats import format_decimal, format_duration, format_value
from hanzo_reports.metrics.arguments import select_dimensions
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from hanzo_reports.formats import Number
    from hanzo_reports.metrics.metric import Metric

Where = tuple[tuple[str, tuple[str, ...]], ...]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MAX_DURATION = 90 * DAY
_OPERATORS = {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le"}
_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.IGNORECASE)


class Condition(StrEnum):
    """How a value compares with the threshold when it breaches it."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"

    @property
    def symbol(self) -> str:
        """The sign of the comparison: ``>``, ``>=``, ``<`` or ``<=``."""
        return {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[self.value]

    @property
    def is_upper_bound(self) -> bool:
        """Whether large values breach the threshold."""
        return self in {Condition.GT, Condition.GTE}


class NoData(StrEnum):
    """What a window without data does: keep the state, send a notice, or count as ok."""

    KEEP = "keep"
    ALERT = "alert"
    OK = "ok"


class Severity(StrEnum):
    """How urgent an alert is."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Rule:
    """One condition on one metric, validated on creation.

    Args:
        name: unique; letters, digits, dots, dashes and underscores.
        metric: a metric of the catalogue.
        condition: gt, gte, lt or lte.
        threshold: in the metric's unit; shares are 0-1.
        window: the length of time that each evaluation covers.
        short_window: a second, shorter window that must breach the threshold too (burn rates); None: none.
        for_: how long the threshold must be breached before the alert fires.
        keep_firing_for: how long the value must be clear before the alert resolves.
        clear_threshold: the value that must be reached to be clear again; None: the threshold.
        min_samples: a window with fewer requests counts as no data.
        no_data: what no data does.
        where: for each dimension the values to keep.
        by: dimensions; each group has a state of its own.
        repeat: the time between reminders while the alert fires; zero: no reminders.
        severity: critical, warning or info.
        runbook: an address that messages show; empty: none.
        burn_rate: how many times too fast the error budget is used at the threshold; None: not a burn-rate rule.
        channels: names of the channels that are notified.

    Raises:
        RuleError: the rule could never fire or never clear, or a value is out of range; the message names the unit.
        UnknownNameError: the metric or a dimension does not exist.
    """

    name: str
    metric: str
    condition: Condition
    threshold: Decimal
    window: timedelta = 5 * MINUTE
    short_window: timedelta | None = None
    for_: timedelta = timedelta()
    keep_firing_for: timedelta = timedelta()
    clear_threshold: Decimal | None = None
    min_samples: int = 0
    no_data: NoData = NoData.KEEP
    where: Where = ()
    by: tuple[str, ...] = ()
    repeat: timedelta = 4 * HOUR
    severity: Severity = Severity.WARNING
    runbook: str = ""
    burn_rate: Decimal | None = None
    channels: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not _NAME_PATTERN.fullmatch(self.name):
            msg = (
                f"rule name {self.name!r} is not valid: use up to 100 letters, digits, dots, dashes and underscores, "
                "starting with a letter or digit"
            )
            raise RuleError(msg)
        select_dimensions(self.by)
        select_dimensions(name for name, _ in self.where)
        for number in (self.threshold, self.clear_threshold):
            if number is not None and not number.is_finite():
                msg = f"rule {self.name!r}: a threshold ({self.unit.value}) must be a finite number, not {number}"
                raise RuleError(msg)
        if self.burn_rate is not None and not (self.burn_rate.is_finite() and self.burn_rate > 0):
            msg = f"rule {self.name!r}: burn_rate must be a number above 0, not {self.burn_rate}"
            raise RuleError(msg)
        self._check_durations()
        self._check_clear()
        if self.min_samples < 0:
            msg = f"rule {self.name!r}: min_samples must be a number of requests, at least 0, not {self.min_samples}"
            raise RuleError(msg)

    def _check_durations(self) -> None:
        durations = {"window": self.window, "for": self.for_, "keep_firing_for": self.keep_firing_for}
        for name, length in durations.items():
            shortest = timedelta(seconds=1) if name == "window" else timedelta()
            if not shortest <= length <= MAX_DURATION:
                limits = f"between {format_duration(shortest)} and {format_duration(MAX_DURATION)}"
                msg = f"rule {self.name!r}: {name} must be {limits}, not {format_duration(length)}"
                raise RuleError(msg)
        if self.short_window is not None and not timedelta() < self.short_window < self.window:
            msg = (
                f"rule {self.name!r}: short_window {format_duration(self.short_window)} must be shorter than window "
                f"{format_duration(self.window)}, and longer than 0"
            )
            raise RuleError(msg)
        if timedelta() < self.repeat < MINUTE:
            msg = f"rule {self.name!r}: repeat must be at least 1m, or 0 for no reminders"
            raise RuleError(msg)

    def _check_clear(self) -> None:
        highest = Decimal(1) if self.unit is Unit.SHARE else None
        never_breached = {
            Condition.GT: highest is not None and self.threshold >= highest,
            Condition.LT: self.threshold <= 0,
            Condition.LTE: self.threshold < 0,
            Condition.GTE: highest is not None and self.threshold > highest,
        }[self.condition]
        if never_breached:
            msg = f"rule {self.name!r} could never fire: {self.metric} ({self.unit.value}) is never {self.breach_text}"
            raise RuleError(msg)
        clear = self.clear_threshold
        if clear is not None and (clear > self.threshold if self.condition.is_upper_bound else clear < self.threshold):
            side = "at most" if self.condition.is_upper_bound else "at least"
            msg = (
                f"rule {self.name!r}: the clear threshold {format_value(clear, self.unit, 'exact')} must be {side} the "
                f"threshold {format_value(self.threshold, self.unit, 'exact')}, or a value could be a breach and clear "
                "at once"
            )
            raise RuleError(msg)

    @cached_property
    def metric_definition(self) -> Metric:
        """The metric's entry in the catalogue."""
        if self.metric not in CATALOG:
            raise UnknownNameError("metric", self.metric, CATALOG)
        return CATALOG[self.metric]

    @cached_property
    def comparison(self) -> tuple[Callable[[Number, Number], bool], Decimal, float]:
        """The comparison, the threshold for exact values, and the threshold for floats."""
        return getattr(operator, _OPERATORS[self.condition]), self.threshold, float(self.threshold)

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return self.metric_definition.unit

    @property
    def breach_text(self) -> str:
        """The condition as people write it: ``> 1%``."""
        return f"{self.condition.symbol} {format_value(self.threshold, self.unit, 'exact')}"

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what the rule evaluates: all but its name and what concerns only its messages."""
        message_fields = {"name", "repeat", "severity", "runbook", "channels"}
        evaluated = {name: value for name, value in self.to_dict().items() if name not in message_fields}
        return hashlib.sha256(json.dumps(evaluated, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain values, without those that equal the defaults; `parse_rule` reads it back."""
        plain: dict[str, Any] = {
            "name": self.name, "metric": self.metric, self.condition.value: format_decimal(self.threshold),
            "window": format_duration(self.window),
        }  # fmt: skip
        optional = {
            "short_window": format_duration(self.short_window) if self.short_window else None,
            "for": format_duration(self.for_) if self.for_ else None,
            "keep_firing_for": format_duration(self.keep_firing_for) if self.keep_firing_for else None,
            "clear": None if self.clear_threshold is None else format_decimal(self.clear_threshold),
            "min_samples": self.min_samples or None,
            "no_data": self.no_data.value if self.no_data is not NoData.KEEP else None,
            "where": {name: list(values) for name, values in self.where} or None,
            "by": list(self.by) or None,
            "repeat": format_duration(self.repeat) if self.repeat != 4 * HOUR else None,
            "severity": self.severity.value if self.severity is not Severity.WARNING else None,
            "runbook": self.runbook or None,
            "burn_rate": None if self.burn_rate is None else format_decimal(self.burn_rate),
            "channels": list(self.channels) or None,
        }
        return plain | {name: value for name, value in optional.items() if value is not None}
