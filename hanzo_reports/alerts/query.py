"""The queries of rules: rules with equal window, filter and groups share one query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hanzo_reports.alerts.alert_state import Observation
from hanzo_reports.alerts.message_text import clean_text
from hanzo_reports.alerts.rule import NoData
from hanzo_reports.alerts.state_machine import is_quiet
from hanzo_reports.alerts.state_store import group_key
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.units import Unit
from hanzo_reports.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    import ibis.expr.types as ir

    from hanzo_reports.alerts.rule import Rule, Where
    from hanzo_reports.formats import Number

MAX_ERROR_LENGTH = 300
_PASSWORD = re.compile(r"://[^@/\s]+@")


class Events(Protocol):
    """A reader of events, such as `Store.events`."""

    def __call__(self, start: datetime | None = None, end: datetime | None = None) -> ir.Table:
        """Returns at least the events from `start` until before `end`; None: without that bound."""


@dataclass(frozen=True)
class Query:
    """What one query reads; rules with an equal one share it.

    Args:
        duration: the length of the window.
        where: for each dimension the values to keep.
        by: the dimensions of the groups, sorted.
    """

    duration: timedelta
    where: Where
    by: tuple[str, ...]

    def window(self, now: datetime, delay: timedelta, timezone: str) -> Window:
        """The window of an evaluation at an instant: it ends so long before as events may take to arrive."""
        return Window(now - delay - self.duration, now - delay, timezone)


@dataclass(frozen=True)
class QueryFailure:
    """A query that failed, and why, in one line without passwords."""

    error: str


QueryResult: TypeAlias = "dict[str, dict[str, Any]] | QueryFailure"  # the metrics of each group, by the group's key


def build_query(rule: Rule, duration: timedelta) -> Query:
    """The query of a rule over one of its windows."""
    return Query(duration, rule.where, tuple(sorted(rule.by)))


def collect_queries(rules: Iterable[Rule]) -> dict[Query, list[str]]:
    """The distinct queries of rules, each with the metrics that it computes."""
    queries: dict[Query, dict[str, None]] = {}
    for rule in rules:
        for duration in filter(None, (rule.window, rule.short_window)):
            queries.setdefault(build_query(rule, duration), {"requests": None})[rule.metric] = None
    return {query: list(metrics) for query, metrics in queries.items()}


def run_queries(
    events: Events, queries: Mapping[Query, Iterable[str]], now: datetime, delay: timedelta, timezone: str
) -> dict[Query, QueryResult]:
    """The result of each query, or its failure.

    Args:
        events: reads the events of a range of time.
        queries: queries with their metrics.
        now: the instant of evaluation.
        delay: how long events may take to arrive; windows end so long before `now`.
        timezone: IANA name.
    """
    results: dict[Query, QueryResult] = {}
    for query, metrics in queries.items():
        window = query.window(now, delay, timezone)
        where = {name: list(values) for name, values in query.where}
        try:
            table = aggregate(events(window.start, window.end), window, metrics, by=query.by, where=where)
            rows = table.to_pyarrow().to_pylist()
        except Exception as error:  # noqa: BLE001  # engines raise errors of any type; the rule's channels get a notice
            results[query] = QueryFailure(summarize_error(error))
            continue
        results[query] = {group_key({name: row[name] for name in query.by}): row for row in rows}
    return results


def observe(rule: Rule, results: Mapping[Query, QueryResult]) -> dict[str, Observation] | QueryFailure:
    """The observations of a rule for each group that has events, by the group's key."""
    long = results[build_query(rule, rule.window)]
    short = results[build_query(rule, rule.short_window)] if rule.short_window else {}
    if isinstance(long, QueryFailure):
        return long
    if isinstance(short, QueryFailure):
        return short
    return {
        key: Observation(row[rule.metric], row["requests"], short[key][rule.metric] if key in short else None)
        for key, row in long.items()
    }


def observe_absence(rule: Rule) -> Observation:
    """The observation of a group without events: an additive metric is zero, any other has no data."""
    if not rule.metric_definition.additive:
        return Observation()
    zero: Number = Decimal(0) if rule.unit is Unit.USD else 0
    return Observation(zero, 0, zero)


def reports_absence(rule: Rule) -> bool:
    """Whether a rule reports a group that stops having events: zero is a breach, or no data sends a notice."""
    absence = observe_absence(rule)
    is_value = absence.value is not None and absence.samples >= rule.min_samples
    return bool(rule.by) and not is_quiet(rule, absence) and (is_value or rule.no_data is NoData.ALERT)


def summarize_error(error: Exception) -> str:
    """The type and first line of an error, without passwords and control characters."""
    first = next(iter(str(error).strip().splitlines()), "")
    return clean_text(_PASSWORD.sub("://***@", f"{type(error).__name__}: {first}"), MAX_ERROR_LENGTH)
