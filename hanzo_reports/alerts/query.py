"""What rules see: one query for all rules of the same window, filter and groups; and who is behind a firing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hanzo_reports.alerts.alert_state import Observation
from hanzo_reports.alerts.rule import NoData
from hanzo_reports.alerts.state_machine import is_quiet
from hanzo_reports.alerts.state_store import group_key
from hanzo_reports.metrics.query import aggregate, filter_events, required_columns
from hanzo_reports.units import Direction, Unit
from hanzo_reports.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta

    import ibis.expr.types as ir

    from hanzo_reports.alerts.rule import Rule, Where
    from hanzo_reports.formats import Number
    from hanzo_reports.metrics.metric import Metric

CONTRIBUTOR_DIMENSIONS = ("model", "endpoint", "project", "error_type", "user", "service", "region")
_PASSWORD = re.compile(r"://[^@/\s]+@")


class Events(Protocol):
    """A reader of events, such as `Store.events`."""

    def __call__(self, start: datetime | None = None, end: datetime | None = None) -> ir.Table:
        """Returns at least the events from `start` until before `end`; None: without that bound."""


@dataclass(frozen=True)
class Question:
    """What one query asks; rules that ask the same share it.

    Args:
        window: how much time.
        where: what to keep.
        by: the groups, sorted.
    """

    window: timedelta
    where: Where
    by: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A query that failed, and why, in one line without passwords."""

    error: str


Answer: TypeAlias = "dict[str, dict[str, Any]] | Failure"


@dataclass(frozen=True)
class Contributor:
    """The group that contributes most to what is bad.

    Args:
        dimension: which dimension tells it apart.
        name: its value there; None: unknown.
        part: how much of the bad is its own.
        whole: all of it.
        what: what is counted, for example ``errors``.
    """

    dimension: str
    name: str | None
    part: Number
    whole: Number
    what: str


def question(rule: Rule, window: timedelta) -> Question:
    """What a rule asks over one of its windows."""
    return Question(window, rule.where, tuple(sorted(rule.by)))


def questions(rules: Iterable[Rule]) -> dict[Question, list[str]]:
    """The different questions of rules, each with the metrics that it needs."""
    found: dict[Question, dict[str, None]] = {}
    for rule in rules:
        for window in filter(None, (rule.window, rule.short_window)):
            found.setdefault(question(rule, window), {"requests": None})[rule.metric] = None
    return {asked: list(metrics) for asked, metrics in found.items()}


def answers(
    events: Events, asked: Mapping[Question, Iterable[str]], now: datetime, delay: timedelta, timezone: str
) -> dict[Question, Answer]:
    """An answer, or a failure, to each question.

    Args:
        events: gives the events of a span, as a store does.
        asked: questions with their metrics.
        now: the instant of evaluation.
        delay: how long events may take to arrive: windows end so long before `now`.
        timezone: IANA name.

    Returns:
        For each question the metrics of each group, by the group's key.
    """
    found: dict[Question, Answer] = {}
    for one, metrics in asked.items():
        window = Window(now - delay - one.window, now - delay, timezone)
        try:
            table = aggregate(
                events(window.start, window.end), window, metrics, by=one.by,
                where={name: list(values) for name, values in one.where},
            )  # fmt: skip
            rows = table.to_pyarrow().to_pylist()
        except Exception as error:  # noqa: BLE001  # engines raise what they like; the rule's owners are told of it
            found[one] = Failure(line(error))
            continue
        found[one] = {group_key({name: row[name] for name in one.by}): row for row in rows}
    return found


def seen(rule: Rule, found: Mapping[Question, Answer]) -> dict[str, Observation] | Failure:
    """What the answers say to a rule, for each group that has events."""
    long = found[question(rule, rule.window)]
    short = found[question(rule, rule.short_window)] if rule.short_window else {}
    if isinstance(long, Failure):
        return long
    if isinstance(short, Failure):
        return short
    return {
        key: Observation(row[rule.metric], row["requests"], short[key][rule.metric] if key in short else None)
        for key, row in long.items()
    }


def nothing(rule: Rule) -> Observation:
    """What is seen of a group without events: an additive metric is zero, of any other there is no data."""
    if not rule.definition.additive:
        return Observation()
    zero: Number = Decimal(0) if rule.unit is Unit.USD else 0
    return Observation(zero, 0, zero)


def missed(rule: Rule) -> bool:
    """Whether it means something to a rule that a group has no events any more: it is bad, or is to be told."""
    seen_then = nothing(rule)
    known = seen_then.value is not None and seen_then.samples >= rule.min_samples
    return bool(rule.by) and not is_quiet(rule, seen_then) and (known or rule.no_data is NoData.ALERT)


def find_contributors(
    events: Events, firing: Iterable[tuple[Rule, str]], now: datetime, delay: timedelta, timezone: str
) -> dict[tuple[str, str], Contributor]:
    """Who is behind what fires, best effort: one query for each different question and dimension.

    Args:
        events: gives the events of a span.
        firing: rules and the keys of their groups.
        now: the instant of evaluation.
        delay: as `answers`.
        timezone: IANA name.

    Returns:
        By the rule's name and the group's key: the group of the dimension that divides the bad most unequally.
    """
    asked: dict[Question, dict[str, Rule]] = {}
    wanted = list(firing)
    for rule, _ in wanted:
        if _counted(rule):
            asked.setdefault(question(rule, rule.window), {})[_sum(rule)] = rule
    best: dict[tuple[Question, str, str], Contributor] = {}
    for one, rules in asked.items():
        window = Window(now - delay - one.window, now - delay, timezone)
        taken = {*one.by, *(name for name, values in one.where if len(values) == 1)}
        for dimension in (name for name in CONTRIBUTOR_DIMENSIONS if name not in taken):
            try:
                rows = _contributions(events(window.start, window.end), window, one, dimension, list(rules.values()))
            except Exception:  # noqa: BLE001  # an alert must not wait for what only embellishes it
                return {}
            for name, rule in rules.items():
                _rank(best, one, dimension, name, rows, _counted(rule))
    return {
        (rule.name, key): best[question(rule, rule.window), key, _sum(rule)]
        for rule, key in wanted
        if (question(rule, rule.window), key, _sum(rule)) in best
    }


def _contributions(
    events: ir.Table, window: Window, one: Question, dimension: str, rules: list[Rule]
) -> list[dict[str, Any]]:
    keys = [*one.by, dimension]
    metrics = [rule.definition for rule in rules]
    where = {name: list(values) for name, values in one.where}
    rows = filter_events(events, window, where, required_columns(metrics, keys))
    parts = {_sum(rule): _part(rule)(rows) for rule in rules}
    found: list[dict[str, Any]] = rows.aggregate(parts, by=keys).to_pyarrow().to_pylist()
    return found


def _counted(rule: Rule) -> str:
    """What makes a rule's metric bad, counted; empty: nothing that parts could be told of."""
    metric = rule.definition
    if not rule.condition.high:
        return "failures" if metric.numerator is not None and metric.direction is Direction.UP else ""
    if metric.unit is Unit.MILLISECONDS:
        return "slow requests"
    if metric.numerator is not None and metric.unit is Unit.SHARE:
        return "errors" if metric.direction is Direction.DOWN else ""
    return metric.title.lower() if metric.additive and not metric.per_second else ""


def _sum(rule: Rule) -> str:
    """The name of what `_part` adds up: what is slow depends on the rule's own limit."""
    return f"{rule.metric} {rule.limit}" if rule.definition.unit is Unit.MILLISECONDS else rule.metric


def _part(rule: Rule) -> Callable[[ir.Table], ir.Number]:
    """The additive thing behind a rule's metric."""
    metric: Metric = rule.definition
    above, below = metric.numerator, metric.denominator
    if metric.unit is Unit.MILLISECONDS:
        limit = float(rule.threshold)
        return lambda t: (t[metric.needs[0]] > limit).cast("int64").sum()
    if above is not None and below is not None:
        return above if metric.direction is Direction.DOWN else lambda t: below(t) - above(t)
    return metric.expression


def _rank(  # noqa: PLR0913, PLR0917  # one row of a table kept while it is the best
    best: dict[tuple[Question, str, str], Contributor],
    one: Question,
    dimension: str,
    name: str,
    rows: list[dict[str, Any]],
    what: str,
) -> None:
    groups: dict[str, dict[str | None, Number]] = {}
    for row in rows:
        if row[name]:
            groups.setdefault(group_key({by: row[by] for by in one.by}), {})[row[dimension]] = row[name]
    everybody = {row[dimension] for row in rows}
    for key, parts in groups.items():
        most = max(parts, key=lambda part: (parts[part], str(part)))
        made = Contributor(dimension, most, parts[most], sum(parts.values()), what)
        held = best.get((one, key, name))
        share = float(made.part) / float(made.whole)
        if len(everybody) > 1 and (held is None or share > float(held.part) / float(held.whole)):
            best[one, key, name] = made


def line(error: Exception) -> str:
    """What went wrong, in one line without passwords."""
    first = next(iter(str(error).strip().splitlines()), "")
    return _PASSWORD.sub("://***@", f"{type(error).__name__}: {first}")[:300]
