"""The titles and facts of notices about rules: what happened, how much, since when, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanzo_reports.alerts.alert_state import MessageKind
from hanzo_reports.alerts.commands import build_usage_command
from hanzo_reports.alerts.message_text import UNKNOWN, clean_name, clean_text, describe_group
from hanzo_reports.alerts.rule import Condition
from hanzo_reports.formats import format_decimal, format_duration, format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from datetime import datetime

    from hanzo_reports.alerts.alert_state import Message
    from hanzo_reports.alerts.contributors import Contributor
    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.alerts.rule import Rule

Facts = list[tuple[str, str]]  # label and text; a fact with an empty text is left out

MAX_FILTER_LENGTH = 500
MAX_URL_LENGTH = 2_000
_RESOLVE_REASONS = {
    "recovered": "the value has recovered",
    "no_data": "there is no data any more, which the rule treats as ok",
    "rule_changed": "the rule was changed, so its state starts over",
    "removed": "the rule was removed",
    "disabled": "the rule was disabled",
    "gone": "the group has had no requests for 7 days and is no longer tracked",
}


def build_title(rule: Rule, group: str, message: Message) -> str:
    """The title of a notice that an alert fires, still fires or has resolved."""
    state, metric = message.state, rule.metric_definition.title.lower()
    value = format_value(state.last_value, rule.unit, "message")
    suffix = describe_suffix(group)
    if message.kind is not MessageKind.RESOLVED:
        word = "FIRING" if message.kind is MessageKind.FIRING else "STILL FIRING"
        return f"{word} {rule.name}: {metric} {value} {rule.breach_text}{suffix}"
    if message.reason in {"recovered", "no_data"}:
        duration = format_duration(message.at - (state.breach_since or message.at))
        return f"RESOLVED {rule.name}: {metric} {value} (threshold {rule.breach_text}), after {duration}{suffix}"
    return f"RESOLVED {rule.name}: {_RESOLVE_REASONS[message.reason]}{suffix}"


def build_firing_facts(  # noqa: PLR0913, PLR0917  # a message, and what else is known
    rule: Rule,
    group: str,
    message: Message,
    context: MessageContext,
    samples: int | None,
    contributor: Contributor | None,
) -> Facts:
    """The facts of a notice that an alert fires or still fires."""
    state = message.state
    since = state.breach_since or message.at
    windows = " and ".join(format_duration(window) for window in filter(None, (rule.window, rule.short_window)))
    value = f"{format_value(state.last_value, rule.unit, 'message')} over {windows}, threshold {rule.breach_text}"
    requests = f", {samples:,} requests" if samples is not None else ""
    worst = format_value(state.worst_value, rule.unit, "message")
    return [
        ("Metric", _describe_metric(rule, group)),
        ("Value", value + requests),
        ("Since", f"{context.format_time(since)}, {format_duration(message.at - since)} ago"),
        ("Worst value", worst if message.kind is MessageKind.REMINDER else ""),
        ("Top contributor", _describe_contributor(contributor, rule) if contributor else ""),
        ("Runbook", clean_text(rule.runbook, MAX_URL_LENGTH)),
        ("Resolves", _describe_resolution(rule)),
        ("Query", build_usage_command(rule, group, message.at - context.delay)),
    ]


def build_resolved_facts(rule: Rule, group: str, message: Message, context: MessageContext) -> Facts:
    """The facts of a notice that an alert has resolved."""
    state = message.state
    period = f"from {context.format_time(state.breach_since or message.at)} to {context.format_time(message.at)}"
    worst = f"; worst value {format_value(state.worst_value, rule.unit, 'message')}"
    return [
        ("Metric", _describe_metric(rule, group)),
        ("Reason", _RESOLVE_REASONS[message.reason]),
        ("Breach", period + (worst if state.worst_value is not None else "")),
    ]


def build_health_title(name: str, group: str, kind: MessageKind, reason: str) -> str:
    """The title of a notice that something cannot be evaluated, or that it can be again."""
    suffix = describe_suffix(group)
    if kind is MessageKind.BACK:
        return f"BACK {name}: {_RESOLVE_REASONS.get(reason, 'it can be evaluated again')}{suffix}"
    return f"CANNOT EVALUATE {name}: {'no data' if kind is MessageKind.NO_DATA else reason}{suffix}"


def build_health_facts(
    kind: MessageKind, at: datetime, since: datetime | None, reason: str, context: MessageContext
) -> Facts:
    """The facts of a notice that something cannot be evaluated, or that it can be again."""
    if kind is MessageKind.BACK:
        return [("Since", context.format_time(at))]
    return [
        ("Reason", reason or "no requests, or fewer than the rule needs"),
        ("Since", context.format_time(since or at)),
        ("Effect", "alerts that fire keep firing, and no new alert fires"),
        ("Resolves", f"when {'there is data' if kind is MessageKind.NO_DATA else 'the query succeeds'} again"),
    ]


def describe_suffix(group: str) -> str:
    """The end of a title that names the group; empty for a rule without groups."""
    text = describe_group(group)
    return f" · {text}" if text else ""


def _describe_metric(rule: Rule, group: str) -> str:
    metric = rule.metric_definition
    filters = ", ".join(filter(None, (describe_group(group), _describe_where(rule))))
    burn = ""
    if rule.burn_rate:
        burn = f"; the error budget is used {format_decimal(rule.burn_rate)} times too fast at the threshold"
    return f"{metric.title} ({metric.meaning}){f' for {filters}' if filters else ''}{burn}"


def _describe_where(rule: Rule) -> str:
    text = ", ".join(f"{name}={'|'.join(clean_name(value or None) for value in values)}" for name, values in rule.where)
    return clean_text(text, MAX_FILTER_LENGTH)


def _describe_resolution(rule: Rule) -> str:
    upper = rule.condition.is_upper_bound
    if rule.clear_threshold is None and rule.condition in {Condition.GTE, Condition.LTE}:
        side = "below" if upper else "above"
    else:
        side = "at most" if upper else "at least"
    clear = rule.threshold if rule.clear_threshold is None else rule.clear_threshold
    duration = f" for {format_duration(rule.keep_firing_for)}" if rule.keep_firing_for else ""
    return f"when it is {side} {format_value(clear, rule.unit, 'exact')}{duration}"


def _describe_contributor(contributor: Contributor, rule: Rule) -> str:
    unit = Unit.USD if rule.unit is Unit.USD else Unit.COUNT
    part, whole = (format_value(value, unit, "message") for value in (contributor.part, contributor.whole))
    name = clean_name(contributor.name) if contributor.name else UNKNOWN
    return f"{contributor.dimension} {name}: {part} of {whole} {contributor.what} ({contributor.share:.0%})"
