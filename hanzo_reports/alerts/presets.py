"""Ready-made rules: the default thresholds of the catalogue, and the burn rates of a service level objective."""

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

# Of the SRE workbook: suffix of the rule's name, burn rate, window, short window, severity.
_BURN_RATES = (
    ("fast", Decimal("14.4"), HOUR, 5 * MINUTE, Severity.CRITICAL),
    ("slow", Decimal(6), 6 * HOUR, 30 * MINUTE, Severity.CRITICAL),
    ("ticket", Decimal(1), 3 * DAY, 6 * HOUR, Severity.WARNING),
)


def build_default_rules(channels: tuple[str, ...] = ()) -> list[Rule]:
    """A rule for each metric with a default threshold: over it for five minutes, with at least 20 requests."""
    return [
        Rule(
            f"default-{metric.name.replace('_', '-')}", metric.name,
            Condition.LT if metric.direction is Direction.UP else Condition.GT, Decimal(str(metric.default_threshold)),
            for_=5 * MINUTE, keep_firing_for=5 * MINUTE, min_samples=20, channels=channels,
        )
        for metric in CATALOG.values()
        if metric.default_threshold is not None
    ]  # fmt: skip


def build_burn_rate_rules(name: str, metric: str, slo: Decimal, fields: Mapping[str, Any]) -> list[Rule]:
    """The rules that watch the error budget of a service level objective.

    Args:
        name: the beginning of each rule's name.
        metric: a share of requests, such as `availability` or `error_rate`.
        slo: the share of requests that should be good, for example 0.999.
        fields: `where`, `by`, `channels`, `min_samples` and other fields that `parse_rule` takes.

    Returns:
        14.4x over 1h and 5m and 6x over 6h and 30m, critical; 1x over 3d and 6h, a warning. A burn rate that cannot be
        reached even if all requests fail is left out.

    Raises:
        RuleError: the metric is not a share of requests with a good direction, or the objective is not between 0 and 1.
        UnknownNameError: the metric does not exist.

    Source: SRE workbook, chapter 5 (alerting on SLOs), multiwindow, multi-burn-rate alerts.
    """
    if metric not in CATALOG:
        raise UnknownNameError("metric", metric, CATALOG)
    definition = CATALOG[metric]
    if definition.unit is not Unit.SHARE or definition.numerator is None or definition.direction is Direction.NEUTRAL:
        msg = f"a burn rate needs a share of requests, such as availability; {metric} is in {definition.unit.value}"
        raise RuleError(msg)
    if not 0 < slo < 1:
        msg = f"the objective {slo} must be between 0 and 1, for example 0.999 or 99.9%"
        raise RuleError(msg)
    good_is_high = definition.direction is Direction.UP
    rules = []
    for suffix, burn_rate, window, short_window, severity in _BURN_RATES:
        bad_share = burn_rate * (1 - slo)
        if bad_share >= 1:
            continue
        condition = {"lt": str(1 - bad_share)} if good_is_high else {"gt": str(bad_share)}
        rule = parse_rule({**fields, "name": f"{name}-{suffix}", "metric": metric, **condition})
        rules.append(replace(rule, window=window, short_window=short_window, severity=severity, burn_rate=burn_rate))
    return rules
