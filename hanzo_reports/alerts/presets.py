"""Rules that are made for you: the usual health limits, and the burn rates of an objective."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.rule import DAY, HOUR, MINUTE, Condition, Rule, Severity
from hanzo_reports.errors import RuleError, UnknownNameError
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Direction, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_default_rules(channels: tuple[str, ...] = ()) -> list[Rule]:
    """A rule for each metric that has a usual limit: past it for five minutes, among 20 requests or more."""
    return [
        Rule(
            f"default-{metric.name.replace('_', '-')}", metric.name,
            Condition.LT if metric.direction is Direction.UP else Condition.GT, Decimal(str(metric.default_threshold)),
            for_=5 * MINUTE, keep_firing_for=5 * MINUTE, min_samples=20, channels=channels,
        )
        for metric in CATALOG.values()
        if metric.default_threshold is not None
    ]  # fmt: skip


# The SRE workbook's: how many times too fast the budget goes, over which window, confirmed by which, told how.
_BURNS = (
    ("fast", Decimal("14.4"), HOUR, 5 * MINUTE, Severity.CRITICAL),
    ("slow", Decimal(6), 6 * HOUR, 30 * MINUTE, Severity.CRITICAL),
    ("ticket", Decimal(1), 3 * DAY, 6 * HOUR, Severity.WARNING),
)


def build_burn_rate_rules(name: str, metric: str, slo: Decimal, like: Mapping[str, Any]) -> list[Rule]:
    """The rules that watch the error budget of a service level objective.

    Args:
        name: the start of each rule's name.
        metric: a ratio: `availability`, `error_rate`, ...
        slo: the share of requests that should be good, for example 0.999.
        like: `where`, `by`, `channels`, `min_samples` and so on, as `read` takes them.

    Returns:
        14.4x over 1h and 5m and 6x over 6h and 30m, critical; 1x over 3d and 6h, a warning. A rate that even all
        requests failing would not reach is left out.

    Raises:
        RuleError: the metric is no ratio with a good and a bad side, or the objective is not between 0 and 1.

    Source: SRE workbook, chapter 5 (alerting on SLOs), multiwindow, multi-burn-rate alerts.
    """
    if metric not in CATALOG:
        raise UnknownNameError("metric", metric, CATALOG)
    asked = CATALOG[metric]
    if asked.unit is not Unit.SHARE or asked.numerator is None or asked.direction is Direction.NEUTRAL:
        msg = f"a burn rate needs a share of requests, such as availability; {metric} is in {asked.unit.value}"
        raise RuleError(msg)
    if not 0 < slo < 1:
        msg = f"the objective {slo} must be between 0 and 1, for example 0.999 or 99.9%"
        raise RuleError(msg)
    found = []
    for suffix, burn, window, short, severity in _BURNS:
        bad = burn * (1 - slo)
        if bad >= 1:
            continue
        up = asked.direction is Direction.UP
        plain = {"name": f"{name}-{suffix}", "metric": metric, ("lt" if up else "gt"): str(1 - bad if up else bad)}
        rule = parse_rule({**like, **plain})
        found.append(replace(rule, window=window, short_window=short, severity=severity, burn_rate=burn))
    return found
