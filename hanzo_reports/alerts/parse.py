"""Rules as plain values: YAML, JSON or a command's options, read with a word on what is wrong."""

from __future__ import annotations

from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, TypeVar

from hanzo_reports.alerts.rule import Condition, NoData, Rule, Severity
from hanzo_reports.errors import RuleError, UnknownNameError, UsageError
from hanzo_reports.metrics.arguments import select_dimensions
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.parse_values import parse_amount, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from enum import StrEnum

    from hanzo_reports.alerts.rule import Where

N = TypeVar("N", int, Decimal)
_SAMPLES = "min_samples is a whole number of requests"
_BURN = "burn_rate is how many times too fast, a number above 0"
_FIELDS = (
    "name", "metric", *Condition, "window", "short_window", "for", "keep_firing_for", "clear", "min_samples", "no_data",
    "where", "by", "repeat", "severity", "runbook", "burn_rate", "channels", "enabled",
)  # fmt: skip


def parse_rule(given: Mapping[str, Any], where: str = "") -> Rule:
    """The rule that plain values describe, as YAML, JSON or a command's options give them.

    Args:
        given: `name`, `metric`, one of gt, gte, lt, lte, and what else differs from the defaults.
        where: where the values stand, for messages.

    Raises:
        RuleError: a value cannot be read.
        UnknownNameError: a field, metric or dimension is not known.
    """
    for name in given:
        if name not in _FIELDS:
            raise UnknownNameError("field", str(name), map(str, _FIELDS), where)
    conditions = [condition for condition in Condition if given.get(condition) is not None]
    metric, name = str(given.get("metric") or ""), str(given.get("name") or "")
    if metric not in CATALOG:
        raise UnknownNameError("metric", metric, CATALOG, where)
    unit = CATALOG[metric].unit
    if len(conditions) != 1:
        msg = f"rule {name!r} on {metric} ({unit.value}) needs one threshold: one of gt, gte, lt, lte"
        raise RuleError(msg)
    spans: dict[str, Any] = {
        what: _parse_duration(str(given[key]), f"rule {name!r}: {key}")
        for what, key in _SPANS.items()
        if given.get(key) is not None
    }
    if not isinstance(given.get("enabled", True), bool):
        msg = f"rule {name!r}: enabled is true or false, not {given['enabled']!r}"
        raise RuleError(msg)
    clear, burn = given.get("clear"), given.get("burn_rate")
    burn = None if burn is None else _number(Decimal, burn, f"rule {name!r}: {_BURN}")
    return Rule(
        name, metric, conditions[0], _parse_threshold(given[conditions[0].value], name, metric), **spans,
        clear_threshold=None if clear is None else _parse_threshold(clear, name, metric),
        min_samples=_number(int, given.get("min_samples", 0), f"rule {name!r}: {_SAMPLES}"),
        no_data=NoData(_one_of("no_data", given.get("no_data", NoData.KEEP), NoData)),
        severity=Severity(_one_of("severity", given.get("severity", Severity.WARNING), Severity)),
        where=_where(given.get("where"), name), by=tuple(select_dimensions(_words(given.get("by")))),
        runbook=str(given.get("runbook") or ""), burn_rate=burn,
        channels=tuple(_words(given.get("channels"))),
    )  # fmt: skip


_SPANS = {
    "window": "window", "short_window": "short_window", "for_": "for", "keep_firing_for": "keep_firing_for",
    "repeat": "repeat",
}  # fmt: skip


def _parse_duration(text: str, what: str) -> timedelta:
    try:
        return parse_duration(text, what)
    except UsageError as error:
        raise RuleError(str(error)) from None


def _parse_threshold(value: object, rule: str, metric: str) -> Decimal:
    try:
        return parse_amount(str(value), f"rule {rule!r}: the threshold of {metric}", CATALOG[metric].unit)
    except UsageError as error:
        raise RuleError(str(error)) from None


def _where(given: object, rule: str) -> Where:
    given = given or {}
    if not isinstance(given, dict):
        msg = f"rule {rule!r}: where holds names with values, such as {{project: [search]}}, not {given!r}"
        raise RuleError(msg)
    named = {str(name): values for name, values in given.items()}
    select_dimensions(named)
    return tuple(
        (name, tuple("" if v is None else str(v) for v in (values if isinstance(values, list | tuple) else [values])))
        for name, values in sorted(named.items())
    )


def _words(given: object) -> list[str]:
    if given is None:
        return []
    return [str(word) for word in given] if isinstance(given, list | tuple) else [str(given)]


def _number(kind: type[N], given: object, what: str) -> N:
    try:
        return kind(str(given))
    except (ValueError, DecimalException):
        msg = f"{what}, not {given!r}"
        raise RuleError(msg) from None


def _one_of(what: str, given: object, known: type[StrEnum]) -> str:
    if str(given) not in set(known):
        raise UnknownNameError(what, str(given), [member.value for member in known])
    return str(given)
