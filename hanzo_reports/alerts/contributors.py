"""The group that contributes most to a breach, for the message that an alert fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hanzo_reports.alerts.query import build_query
from hanzo_reports.alerts.state_store import group_key
from hanzo_reports.metrics.query import filter_events, required_columns
from hanzo_reports.units import Direction, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta

    import ibis.expr.types as ir

    from hanzo_reports.alerts.query import Events, Query
    from hanzo_reports.alerts.rule import Rule
    from hanzo_reports.formats import Number
    from hanzo_reports.window import Window

DIMENSIONS = ("model", "endpoint", "project", "error_type", "user", "service", "region")


@dataclass(frozen=True)
class Contributor:
    """The group that contributes most to a breach.

    Args:
        dimension: the dimension of the group.
        name: its value; None: not known.
        part: how much the group contributes.
        whole: how much all groups contribute.
        what: what is counted, for example ``errors``.
    """

    dimension: str
    name: str | None
    part: Number
    whole: Number
    what: str

    @property
    def share(self) -> float:
        """The share of the group, 0-1."""
        return float(self.part) / float(self.whole)


def find_contributors(
    events: Events, firing: Iterable[tuple[Rule, str]], now: datetime, delay: timedelta, timezone: str
) -> dict[tuple[str, str], Contributor]:
    """The top contributor of each firing alert; none at all if a query fails, since alerts must not wait for it.

    One query is run for each distinct query of the rules and each dimension.

    Args:
        events: reads the events of a range of time.
        firing: rules and the keys of their groups.
        now: the instant of evaluation.
        delay: as in `run_queries`.
        timezone: IANA name.

    Returns:
        By the rule's name and the group's key: the largest share that one value of any dimension has.
    """
    alerts = list(firing)
    queries: dict[Query, dict[str, Rule]] = {}
    for rule, _ in alerts:
        if _counted_noun(rule):
            queries.setdefault(build_query(rule, rule.window), {})[_sum_name(rule)] = rule
    top: dict[tuple[Query, str, str], Contributor] = {}
    for query, rules in queries.items():
        window = query.window(now, delay, timezone)
        fixed = {*query.by, *(name for name, values in query.where if len(values) == 1)}
        for dimension in (name for name in DIMENSIONS if name not in fixed):
            try:
                rows = _sum_contributions(events(window.start, window.end), window, query, dimension, rules)
            except Exception:  # noqa: BLE001  # engines raise errors of any type
                return {}
            for name, rule in rules.items():
                for group, contributor in _rank_contributors(rows, query, dimension, name, _counted_noun(rule)).items():
                    best = top.get((query, group, name))
                    if best is None or contributor.share > best.share:
                        top[query, group, name] = contributor
    keys = {(rule.name, group): (build_query(rule, rule.window), group, _sum_name(rule)) for rule, group in alerts}
    return {alert: top[key] for alert, key in keys.items() if key in top}


def _sum_contributions(
    events: ir.Table, window: Window, query: Query, dimension: str, rules: dict[str, Rule]
) -> list[dict[str, Any]]:
    """One row for each group and value of the dimension, with the sum of each rule under its name."""
    keys = [*query.by, dimension]
    metrics = [rule.metric_definition for rule in rules.values()]
    where = {name: list(values) for name, values in query.where}
    rows = filter_events(events, window, where, required_columns(metrics, keys))
    sums = {name: _sum_expression(rule)(rows) for name, rule in rules.items()}
    contributions: list[dict[str, Any]] = rows.aggregate(sums, by=keys).to_pyarrow().to_pylist()
    return contributions


def _rank_contributors(
    rows: list[dict[str, Any]], query: Query, dimension: str, sum_name: str, what: str
) -> dict[str, Contributor]:
    """The top contributor of each group by the group's key; none if the dimension has only one value in all groups."""
    if len({row[dimension] for row in rows}) <= 1:
        return {}
    groups: dict[str, dict[str | None, Number]] = {}
    for row in rows:
        if row[sum_name]:
            groups.setdefault(group_key({name: row[name] for name in query.by}), {})[row[dimension]] = row[sum_name]
    top = {}
    for key, parts in groups.items():
        name = max(parts, key=lambda part: (parts[part], str(part)))
        top[key] = Contributor(dimension, name, parts[name], sum(parts.values()), what)
    return top


def _counted_noun(rule: Rule) -> str:
    """What adds up to the rule's breach; empty: nothing that could be divided among groups."""
    metric = rule.metric_definition
    if not rule.condition.is_upper_bound:
        return "failures" if metric.numerator is not None and metric.direction is Direction.UP else ""
    if metric.unit is Unit.MILLISECONDS:
        return "slow requests"
    if metric.numerator is not None and metric.unit is Unit.SHARE:
        return "errors" if metric.direction is Direction.DOWN else ""
    return metric.title.lower() if metric.additive and not metric.per_second else ""


def _sum_name(rule: Rule) -> str:
    """The name of a rule's sum; what counts as slow depends on the rule's own threshold."""
    if rule.metric_definition.unit is Unit.MILLISECONDS:
        return f"{rule.metric} {rule.breach_text}"
    return rule.metric


def _sum_expression(rule: Rule) -> Callable[[ir.Table], ir.Value]:
    """The additive expression behind a rule's metric."""
    metric = rule.metric_definition
    numerator, denominator = metric.numerator, metric.denominator
    if metric.unit is Unit.MILLISECONDS:
        threshold = float(rule.threshold)
        return lambda t: (t[metric.needs[0]] > threshold).cast("int64").sum()
    if numerator is not None and denominator is not None:
        return numerator if metric.direction is Direction.DOWN else lambda t: denominator(t) - numerator(t)
    return metric.expression
