"""Rules from plain values, as YAML, JSON or the options of a command give them."""

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
_FIELDS = (
    "name", "metric", *Condition, "window", "short_window", "for", "keep_firing_for", "clear", "min_samples", "no_data",
    "where", "by", "repeat", "severity", "runbook", "burn_rate", "channels", "enabled",
)  # fmt: skip
_DURATIONS = {  # the attribute of a rule and its field
    "window": "window", "short_window": "short_window", "for_": "for", "keep_firing_for": "keep_firing_for",
    "repeat": "repeat",
}  # fmt: skip


def parse_rule(fields: Mapping[str, Any], source: str = "") -> Rule:
    """The rule that plain values describe.

    Args:
        fields: `name`, `metric`, one of gt, gte, lt, lte, and every field that differs from its default.
        source: where the values come from, for error messages.

    Raises:
        RuleError: a value cannot be read, or the rule could never work.
        UnknownNameError: a field, metric, dimension or word does not exist.
    """
    for field in fields:
        if field not in _FIELDS:
            raise UnknownNameError("field", str(field), map(str, _FIELDS), source)
    conditions = [condition for condition in Condition if fields.get(condition) is not None]
    metric, name = str(fields.get("metric") or ""), str(fields.get("name") or "")
    if metric not in CATALOG:
        raise UnknownNameError("metric", metric, CATALOG, source)
    rule = f"rule {name!r}"
    if len(conditions) != 1:
        unit = CATALOG[metric].unit.value
        msg = f"{rule} on {metric} ({unit}) needs one threshold: one of gt, gte, lt, lte; it has {len(conditions)}"
        raise RuleError(msg)
    if not isinstance(fields.get("enabled", True), bool):
        msg = f"{rule}: enabled must be true or false, not {fields['enabled']!r}"
        raise RuleError(msg)
    durations: dict[str, Any] = {
        attribute: _parse_duration(str(fields[field]), f"{rule}: {field}")
        for attribute, field in _DURATIONS.items()
        if fields.get(field) is not None
    }
    clear, burn_rate = fields.get("clear"), fields.get("burn_rate")
    return Rule(
        name, metric, conditions[0],
        _parse_threshold(fields[conditions[0].value], f"{rule}: the threshold of {metric}", metric), **durations,
        clear_threshold=(
            None if clear is None else _parse_threshold(clear, f"{rule}: the clear threshold of {metric}", metric)
        ),
        min_samples=_parse_number(
            int, fields.get("min_samples", 0), f"{rule}: min_samples must be a whole number of requests"
        ),
        no_data=NoData(_parse_word("no_data", fields.get("no_data", NoData.KEEP), NoData)),
        severity=Severity(_parse_word("severity", fields.get("severity", Severity.WARNING), Severity)),
        where=_parse_where(fields.get("where"), rule), by=tuple(select_dimensions(_parse_names(fields.get("by")))),
        runbook=str(fields.get("runbook") or ""),
        burn_rate=(
            None if burn_rate is None
            else _parse_number(Decimal, burn_rate, f"{rule}: burn_rate must be a number above 0")
        ),
        channels=tuple(_parse_names(fields.get("channels"))),
    )  # fmt: skip


def _parse_duration(text: str, what: str) -> timedelta:
    try:
        return parse_duration(text, what)
    except UsageError as error:
        raise RuleError(str(error)) from None


def _parse_threshold(value: object, what: str, metric: str) -> Decimal:
    try:
        return parse_amount(str(value), what, CATALOG[metric].unit)
    except UsageError as error:
        raise RuleError(str(error)) from None


def _parse_where(value: object, rule: str) -> Where:
    value = value or {}
    if not isinstance(value, dict):
        msg = f"{rule}: where must map dimensions to values, for example {{project: [search]}}, not {value!r}"
        raise RuleError(msg)
    values = {str(name): each if isinstance(each, list | tuple) else [each] for name, each in value.items()}
    select_dimensions(values)
    return tuple(
        (name, tuple("" if item is None else str(item) for item in items)) for name, items in sorted(values.items())
    )


def _parse_names(value: object) -> list[str]:
    if value is None:
        return []
    return [str(name) for name in value] if isinstance(value, list | tuple) else [str(value)]


def _parse_number(kind: type[N], value: object, requirement: str) -> N:
    try:
        return kind(str(value))
    except (ValueError, DecimalException):
        msg = f"{requirement}, not {value!r}"
        raise RuleError(msg) from None


def _parse_word(field: str, value: object, words: type[StrEnum]) -> str:
    if str(value) not in set(words):
        raise UnknownNameError(field, str(value), [word.value for word in words])
    return str(value)
