"""The notices of rules, made of the messages of the state machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hanzo_reports.alerts.alert_state import MessageKind
from hanzo_reports.alerts.message_facts import (
    build_firing_facts,
    build_health_facts,
    build_health_title,
    build_resolved_facts,
    build_title,
)
from hanzo_reports.alerts.message_text import parse_group
from hanzo_reports.delivery.notice import Action, Notice
from hanzo_reports.units import Unit
from hanzo_reports.window import iso, zone

if TYPE_CHECKING:
    from hanzo_reports.alerts.alert_state import HealthMessage, Message
    from hanzo_reports.alerts.contributors import Contributor
    from hanzo_reports.alerts.message_facts import Facts
    from hanzo_reports.alerts.rule import Rule
    from hanzo_reports.formats import Number

_ACTIONS = {
    MessageKind.FIRING: Action.TRIGGER, MessageKind.REMINDER: Action.TRIGGER, MessageKind.RESOLVED: Action.RESOLVE,
    MessageKind.NO_DATA: Action.TRIGGER, MessageKind.ERROR: Action.TRIGGER, MessageKind.BACK: Action.RESOLVE,
}  # fmt: skip
_HEALTH_KINDS = {MessageKind.NO_DATA, MessageKind.ERROR, MessageKind.BACK}


@dataclass(frozen=True)
class MessageContext:
    """What the messages of a deployment share.

    Args:
        timezone: the IANA zone of the times in messages.
        link: the address of the reports; empty: none.
        delay: how long events may take to arrive: the window of an evaluation ends so long before it.
    """

    timezone: str = "UTC"
    link: str = ""
    delay: timedelta = timedelta(seconds=60)

    def format_time(self, instant: datetime) -> str:
        """An instant in the zone of the messages, with its offset.

        >>> from datetime import UTC
        >>> MessageContext("Europe/Berlin").format_time(datetime(2026, 3, 1, 2, 7, tzinfo=UTC))
        'Sun 1 March 03:07 (UTC+01:00)'
        """
        local = instant.astimezone(zone(self.timezone))
        offset = "UTC" if not local.utcoffset() else local.strftime("UTC%z")[:6] + ":" + local.strftime("%z")[3:5]
        return f"{local:%a} {local.day} {local:%B %H:%M} ({offset})"


def build_notice(  # noqa: PLR0913  # a rule, its group and message, and what else is known
    rule_id: str,
    rule: Rule,
    group: str,
    message: Message,
    context: MessageContext,
    *,
    samples: int | None = None,
    contributor: Contributor | None = None,
) -> Notice:
    """The notice of a message about one group of a rule.

    Args:
        rule_id: the rule's id.
        rule: the rule.
        group: the group's key.
        message: the message of the state machine.
        context: what the messages of the deployment share.
        samples: requests in the window; None: not known.
        contributor: the top contributor of a breach; None: not known.
    """
    is_health = message.kind in _HEALTH_KINDS
    if is_health:
        title = build_health_title(rule.name, group, message.kind, message.reason)
        facts = build_health_facts(message.kind, message.at, message.state.health.since, message.reason, context)
    else:
        title = build_title(rule, group, message)
        if message.kind is MessageKind.RESOLVED:
            facts = build_resolved_facts(rule, group, message, context)
        else:
            facts = build_firing_facts(rule, group, message, context, samples, contributor)
    return Notice(
        source=rule_id, group=f"health:{group}" if is_health else group, episode=message.episode,
        kind=_number_kind(message), action=_ACTIONS[message.kind], severity=rule.severity.value, at=message.at,
        title=title, facts=_drop_empty(facts), link=context.link, data=_build_data(rule, group, message, samples),
    )  # fmt: skip


def build_health_notice(source: str, name: str, message: HealthMessage, context: MessageContext) -> Notice:
    """The notice that a rule as a whole, all rules, budgets or anomalies cannot be evaluated, or can be again.

    Args:
        source: the id of what is evaluated.
        name: its name, as the notice shows it.
        message: the message of its health.
        context: what the messages of the deployment share.
    """
    return Notice(
        source=source, group="health:", episode=0, kind=_number_kind(message), action=_ACTIONS[message.kind],
        severity="warning", at=message.at, title=build_health_title(name, "", message.kind, message.reason),
        facts=_drop_empty(build_health_facts(message.kind, message.at, message.since, message.reason, context)),
        link=context.link, data={"rule": name, "reason": message.reason},
    )  # fmt: skip


def build_test_notice(rule_id: str, rule: Rule, now: datetime, *, over: bool) -> Notice:
    """The notice that tests a rule's channels, and the one that ends the test, so that no incident stays open."""
    facts = (("Reason", f"the channels of the rule {rule.name} are tested; nothing is wrong"),)
    return Notice(
        source=rule_id, group="test", episode=int(now.timestamp()), kind="test-over" if over else "test",
        action=Action.RESOLVE if over else Action.TRIGGER, severity="info", at=now,
        title=f"TEST {rule.name}: {'the test is over' if over else 'this is a test'}", facts=facts,
        data={"rule": rule.name, "test": True},
    )  # fmt: skip


def _number_kind(message: Message | HealthMessage) -> str:
    return f"{message.kind.value}:{message.number}" if message.number else message.kind.value


def _drop_empty(facts: Facts) -> tuple[tuple[str, str], ...]:
    return tuple((label, text) for label, text in facts if text)


def _build_data(rule: Rule, group: str, message: Message, samples: int | None) -> dict[str, Any]:
    """What machines read; names are exact, since JSON escapes them itself."""
    state = message.state
    return {
        "rule": rule.name, "metric": rule.metric, "unit": rule.unit.value, "condition": rule.condition.value,
        "threshold": _to_json(rule.threshold, rule.unit), "value": _to_json(state.last_value, rule.unit),
        "worst": _to_json(state.worst_value, rule.unit), "window_seconds": int(rule.window.total_seconds()),
        "group": parse_group(group), "where": {name: list(values) for name, values in rule.where},
        "requests": samples, "began": iso(state.breach_since) if state.breach_since else None,
        "reason": message.reason,
    }  # fmt: skip


def _to_json(value: Number | None, unit: Unit) -> str | int | float | None:
    """A value for JSON: money as a text, since JSON numbers are not decimal."""
    if unit is Unit.USD and value is not None:
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return float(value) if isinstance(value, Decimal) else value
