"""Rules: what is watched, when it is bad, for how long, and who is told; `reading` makes them of plain values."""

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
from hanzo_reports.formats import format_duration, format_value
from hanzo_reports.metrics.arguments import select_dimensions
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from hanzo_reports.formats import Number
    from hanzo_reports.metrics.metric import Metric

Where = tuple[tuple[str, tuple[str, ...]], ...]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONGEST = 90 * DAY
_OPERATORS = {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.IGNORECASE)


class Condition(StrEnum):
    """How a value must stand to the threshold to be bad."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"

    @property
    def sign(self) -> str:
        """As people write it."""
        return {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[self.value]

    @property
    def high(self) -> bool:
        """Whether large values are the bad ones."""
        return self in {Condition.GT, Condition.GTE}


class NoData(StrEnum):
    """What a window without data means: nothing, something to be told of, or that all is well."""

    KEEP = "keep"
    ALERT = "alert"
    OK = "ok"


class Severity(StrEnum):
    """How soon somebody should look."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Rule:
    """One condition on one metric; checked when it is made.

    Args:
        name: unique, of letters, digits, dots, dashes and underscores.
        metric: a name of the catalogue.
        condition: gt, gte, lt or lte.
        threshold: in the metric's unit; shares are 0-1.
        window: how much time each evaluation looks at.
        short_window: a second, shorter window that must be bad too (burn rates); None: none.
        for_: how long it must be bad before it fires.
        keep_firing_for: how long it must be good before it resolves.
        clear_threshold: what a value must be past to be good again; None: the threshold.
        min_samples: fewer requests than this are no data.
        no_data: what no data means.
        where: for each dimension the values to keep.
        by: dimensions; each group has a state of its own.
        repeat: time between reminders while it fires; zero: none.
        severity: critical, warning or info.
        runbook: an address to be shown in messages, or empty.
        burn_rate: how many times too fast the error budget is used at the threshold; None: not a burn-rate rule.
        channels: names of the endpoints that are told.

    Raises:
        RuleError: it could never fire, never clear, or is not finite; the message names the unit.
        UnknownNameError: the metric or a dimension is not known.
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
        if not _NAME.fullmatch(self.name):
            msg = f"the rule name {self.name!r} should be letters, digits, dots, dashes and underscores, up to 100"
            raise RuleError(msg)
        select_dimensions(self.by)
        select_dimensions(name for name, _ in self.where)
        for number in (self.threshold, self.clear_threshold):
            if number is not None and not number.is_finite():
                msg = f"rule {self.name!r}: a threshold in {self.unit.value} must be a finite number, not {number}"
                raise RuleError(msg)
        if self.burn_rate is not None and not (self.burn_rate.is_finite() and self.burn_rate > 0):
            msg = f"rule {self.name!r}: burn_rate is how many times too fast, a number above 0, not {self.burn_rate}"
            raise RuleError(msg)
        self._check_spans()
        self._check_clear()
        if self.min_samples < 0:
            msg = f"rule {self.name!r}: min_samples is a number of requests, at least 0, not {self.min_samples}"
            raise RuleError(msg)

    def _check_spans(self) -> None:
        spans = {"window": self.window, "for": self.for_, "keep_firing_for": self.keep_firing_for}
        for what, length in spans.items():
            least = timedelta(seconds=1) if what == "window" else timedelta()
            if not least <= length <= LONGEST:
                bounds = f"{format_duration(least)} and {format_duration(LONGEST)}"
                msg = f"rule {self.name!r}: {what} must be between {bounds}"
                raise RuleError(msg)
        if self.short_window is not None and not timedelta() < self.short_window < self.window:
            msg = (
                f"rule {self.name!r}: the short window must be shorter than the window, {format_duration(self.window)}"
            )
            raise RuleError(msg)
        if timedelta() < self.repeat < MINUTE:
            msg = f"rule {self.name!r}: repeat must be at least 1m, or 0 for no reminders"
            raise RuleError(msg)

    def _check_clear(self) -> None:
        highest = Decimal(1) if self.unit is Unit.SHARE else None
        never = {
            Condition.GT: highest is not None and self.threshold >= highest,
            Condition.LT: self.threshold <= 0,
            Condition.LTE: self.threshold < 0,
            Condition.GTE: highest is not None and self.threshold > highest,
        }[self.condition]
        if never:
            msg = f"rule {self.name!r}: {self.metric} ({self.unit.value}) can never be {self.limit}"
            raise RuleError(msg)
        clear = self.clear_threshold
        if clear is not None and (clear > self.threshold if self.condition.high else clear < self.threshold):
            side = "at most" if self.condition.high else "at least"
            clear_text, threshold = (format_value(value, self.unit, "exact") for value in (clear, self.threshold))
            msg = (
                f"rule {self.name!r}: the clear threshold {clear_text} must be {side} "
                f"the threshold {threshold}, or it could fire and be clear at once"
            )
            raise RuleError(msg)

    @cached_property
    def definition(self) -> Metric:
        """The metric's entry in the catalogue."""
        if self.metric not in CATALOG:
            raise UnknownNameError("metric", self.metric, CATALOG)
        return CATALOG[self.metric]

    @cached_property
    def comparison(self) -> tuple[Callable[[Number, Number], bool], Decimal, float]:
        """How a value is compared, and with what: the exact threshold, or its float for floats."""
        return getattr(operator, _OPERATORS[self.condition]), self.threshold, float(self.threshold)

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return self.definition.unit

    @property
    def limit(self) -> str:
        """The condition as people write it: ``> 1%``."""
        return f"{self.condition.sign} {format_value(self.threshold, self.unit, 'exact')}"

    @cached_property
    def fingerprint(self) -> str:
        """What is compared to see that a rule has changed: all but its name, its channels and how it is told."""
        told = {"name", "repeat", "severity", "runbook", "channels"}
        meant = {name: value for name, value in self.to_dict().items() if name not in told}
        return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain values, those that differ from the defaults; `reading.read` reads it back."""
        plain: dict[str, Any] = {
            "name": self.name, "metric": self.metric, self.condition.value: f"{self.threshold.normalize():f}",
            "window": format_duration(self.window),
        }  # fmt: skip
        optional = {
            "short_window": format_duration(self.short_window) if self.short_window else None,
            "for": format_duration(self.for_) if self.for_ else None,
            "keep_firing_for": format_duration(self.keep_firing_for) if self.keep_firing_for else None,
            "clear": None if self.clear_threshold is None else f"{self.clear_threshold.normalize():f}",
            "min_samples": self.min_samples or None,
            "no_data": self.no_data.value if self.no_data is not NoData.KEEP else None,
            "where": {name: list(values) for name, values in self.where} or None,
            "by": list(self.by) or None,
            "repeat": format_duration(self.repeat) if self.repeat != 4 * HOUR else None,
            "severity": self.severity.value if self.severity is not Severity.WARNING else None,
            "runbook": self.runbook or None,
            "burn_rate": None if self.burn_rate is None else f"{self.burn_rate.normalize():f}",
            "channels": list(self.channels) or None,
        }
        return plain | {name: value for name, value in optional.items() if value is not None}
