"""What is said, to somebody who was asleep: what, how much against which limit, since when, who, what to do."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hanzo_reports.alerts.alert_state import Kind, Message
from hanzo_reports.alerts.rule import Condition
from hanzo_reports.delivery.notice import Action, Notice
from hanzo_reports.formats import format_duration, format_value
from hanzo_reports.units import Unit
from hanzo_reports.window import iso, zone

if TYPE_CHECKING:
    from hanzo_reports.alerts.query import Contributor
    from hanzo_reports.alerts.rule import Rule
    from hanzo_reports.formats import Number

_ACTIONS = {
    Kind.FIRING: Action.TRIGGER, Kind.REMINDER: Action.TRIGGER, Kind.RESOLVED: Action.RESOLVE,
    Kind.NO_DATA: Action.TRIGGER, Kind.ERROR: Action.TRIGGER, Kind.BACK: Action.RESOLVE,
}  # fmt: skip
_REASONS = {
    "recovered": "it is good again",
    "no_data": "there is no data any more, which the rule takes as good",
    "rule_changed": "the rule was changed, so its state starts afresh",
    "removed": "the rule was removed",
    "disabled": "the rule was disabled",
    "gone": "there have been no requests for 7 days, so it is no longer waited for",
}


@dataclass(frozen=True)
class MessageContext:
    """How a deployment speaks.

    Args:
        timezone: the IANA zone of the times in messages.
        link: where its reports are served, or empty.
        delay: how long before an evaluation its window ends.
    """

    timezone: str = "UTC"
    link: str = ""
    delay: timedelta = timedelta(seconds=60)

    def time(self, instant: datetime) -> str:
        """An instant as people say it, with its offset.

        >>> from datetime import UTC
        >>> MessageContext("Europe/Berlin").time(datetime(2026, 3, 1, 2, 7, tzinfo=UTC))
        'Sun 1 March 03:07 (UTC+01:00)'
        """
        local = instant.astimezone(zone(self.timezone))
        offset = "UTC" if not local.utcoffset() else local.strftime("UTC%z")[:6] + ":" + local.strftime("%z")[3:5]
        return f"{local:%a} {local.day} {local:%B %H:%M} ({offset})"


def build_notice(  # noqa: PLR0913  # what is said, of what, how, and what else is known
    rule_id: str,
    rule: Rule,
    group: str,
    message: Message,
    context: MessageContext,
    *,
    samples: int | None = None,
    suspect: Contributor | None = None,
) -> Notice:
    """The notice of a message.

    Args:
        rule_id: the rule's id.
        rule: the rule.
        group: the group's key; empty: the rule as a whole.
        message: what the state machine says.
        context: how the deployment speaks.
        samples: requests in the window, if they are known.
        suspect: who is behind it, if that is known.
    """
    kind = message.kind.value + (f":{message.number}" if message.number else "")
    health = message.kind in {Kind.NO_DATA, Kind.ERROR, Kind.BACK}
    facts = _health_facts(message, context) if health else _facts(rule, group, message, context, samples, suspect)
    return Notice(
        source=rule_id, group=f"health:{group}" if health else group, episode=message.episode, kind=kind,
        action=_ACTIONS[message.kind], severity=rule.severity.value, at=message.at,
        title=_title(rule, group, message), facts=tuple((label, text) for label, text in facts if text),
        link=context.link,
        data=_data(rule, group, message, samples) if group else {"rule": rule.name, "reason": message.reason},
    )  # fmt: skip


def build_test_notice(rule_id: str, rule: Rule, now: datetime, *, over: bool) -> Notice:
    """The notice that tries a rule's channels, and the one that takes it back, so that no incident stays open."""
    facts = (("What", f"somebody tries the channels of the rule {rule.name}; nothing is wrong"),)
    return Notice(
        source=rule_id, group="test", episode=int(now.timestamp()), kind="test-over" if over else "test",
        action=Action.RESOLVE if over else Action.TRIGGER, severity="info", at=now,
        title=f"TEST {rule.name}: {'the test is over' if over else 'this is a test'}", facts=facts,
        data={"rule": rule.name, "test": True},
    )  # fmt: skip


def _title(rule: Rule, group: str, message: Message) -> str:
    state, metric = message.state, rule.definition
    value = format_value(state.value, rule.unit, "message")
    whom = f" · {_group(group)}" if _group(group) else ""
    if message.kind in {Kind.FIRING, Kind.REMINDER}:
        word = "FIRING" if message.kind is Kind.FIRING else "STILL FIRING"
        return f"{word} {rule.name}: {metric.title.lower()} {value} {rule.limit}{whom}"
    if message.kind is Kind.RESOLVED:
        lasted = format_duration(message.at - (state.began or message.at))
        if message.reason in {"recovered", "no_data"}:
            return f"RESOLVED {rule.name}: {metric.title.lower()} {value} (limit {rule.limit}), after {lasted}{whom}"
        return f"RESOLVED {rule.name}: {_REASONS[message.reason]}{whom}"
    if message.kind is Kind.BACK:
        return f"BACK {rule.name}: {_REASONS.get(message.reason, 'it can be evaluated again')}{whom}"
    why = "no data" if message.kind is Kind.NO_DATA else message.reason
    return f"CANNOT TELL {rule.name}: {why}{whom}"


def _facts(  # noqa: PLR0913, PLR0917
    rule: Rule, group: str, message: Message, context: MessageContext, samples: int | None, suspect: Contributor | None
) -> list[tuple[str, str]]:
    state, metric = message.state, rule.definition
    about = ", ".join(filter(None, (_group(group), _where(rule))))
    burn = f"; the error budget goes {rule.burn_rate.normalize():f} times too fast" if rule.burn_rate else ""
    facts = [("What", f"{metric.title} ({metric.meaning}){f' of {about}' if about else ''}{burn}")]
    if message.kind is Kind.RESOLVED:
        worst = f"worst {format_value(state.worst, rule.unit, 'message')}" if state.worst is not None else ""
        return [
            *facts,
            ("Why", _REASONS[message.reason]),
            ("Was", f"bad from {context.time(state.began or message.at)} to {context.time(message.at)}; {worst}"),
        ]
    windows = " and ".join(format_duration(window) for window in filter(None, (rule.window, rule.short_window)))
    counted = f", {samples:,} requests" if samples is not None else ""
    limit = f"{format_value(state.value, rule.unit, 'message')} over {windows}, limit {rule.limit}{counted}"
    since = (
        f"{context.time(state.began or message.at)}, {format_duration(message.at - (state.began or message.at))} ago"
    )
    return [
        *facts,
        ("How much", limit),
        ("Since", since),
        ("Worst", format_value(state.worst, rule.unit, "message") if message.kind is Kind.REMINDER else ""),
        ("Most of it", _suspicion(suspect, rule) if suspect else ""),
        ("Runbook", rule.runbook),
        ("Resolves", _resolves(rule)),
        ("Ask", _command(rule, group, message, context)),
    ]


def _health_facts(message: Message, context: MessageContext) -> list[tuple[str, str]]:
    state = message.state
    if message.kind is Kind.BACK:
        return [("Since", context.time(message.at))]
    return [
        ("Why", message.reason or "no requests, or fewer than the rule needs"),
        ("Since", context.time(state.health_since or message.at)),
        ("Meanwhile", "what fires goes on firing, and nothing new can: without data nothing changes"),
        ("Resolves", "when there is data again" if message.kind is Kind.NO_DATA else "when the query works again"),
    ]


def _resolves(rule: Rule) -> str:
    strict = rule.clear_threshold is None and rule.condition in {Condition.GTE, Condition.LTE}
    clear = rule.threshold if rule.clear_threshold is None else rule.clear_threshold
    side = (
        ("below" if rule.condition.high else "above") if strict else ("at most" if rule.condition.high else "at least")
    )
    lasting = f" for {format_duration(rule.keep_firing_for)}" if rule.keep_firing_for else ""
    return f"when it is {side} {format_value(clear, rule.unit, 'exact')}{lasting}"


def _suspicion(suspect: Contributor, rule: Rule) -> str:
    money = rule.unit is Unit.USD
    part, whole = (format_value(v, Unit.USD if money else Unit.COUNT, "message") for v in (suspect.part, suspect.whole))
    share = float(suspect.part) / float(suspect.whole)
    return f"{suspect.dimension} {suspect.name or 'unknown'}: {part} of {whole} {suspect.what} ({share:.0%})"


def _command(rule: Rule, group: str, message: Message, context: MessageContext) -> str:
    end = message.at - context.delay
    kept = {name: list(values) for name, values in rule.where}
    kept |= {name: ["" if value is None else str(value)] for name, value in json.loads(group or "{}").items()}
    where = "".join(
        f" -w {shlex.quote(f'{name}={value}')}" for name, values in sorted(kept.items()) for value in values
    )
    return f"hanzo-reports usage -r {iso(end - rule.window)}..{iso(end)} -m {rule.metric},requests{where}"


def _group(group: str) -> str:
    found = json.loads(group or "{}")
    return ", ".join(f"{name}={'unknown' if value is None else value}" for name, value in found.items())


def _where(rule: Rule) -> str:
    return ", ".join(f"{name}={'|'.join(value or 'unknown' for value in values)}" for name, values in rule.where)


def _data(rule: Rule, group: str, message: Message, samples: int | None) -> dict[str, Any]:
    state = message.state
    return {
        "rule": rule.name, "metric": rule.metric, "unit": rule.unit.value, "condition": rule.condition.value,
        "threshold": _plain(rule.threshold, rule.unit), "value": _plain(state.value, rule.unit),
        "worst": _plain(state.worst, rule.unit), "window_seconds": int(rule.window.total_seconds()),
        "group": json.loads(group or "{}"), "where": {name: list(values) for name, values in rule.where},
        "requests": samples, "began": iso(state.began) if state.began else None, "reason": message.reason,
    }  # fmt: skip


def _plain(value: Number | None, unit: Unit) -> str | int | float | None:
    """A value for machines: money as a text, since JSON's numbers are no decimals."""
    if unit is Unit.USD and value is not None:
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return float(value) if isinstance(value, Decimal) else value
