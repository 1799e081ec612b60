"""The rules and silences that a store keeps, and what becomes of alerts when they change."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.alerts import state_store
from hanzo_reports.alerts.messages import MessageContext, build_notice
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.state_machine import close
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.errors import RuleError, UnknownNameError
from hanzo_reports.metrics.arguments import select_dimensions
from hanzo_reports.state.alert_tables import ENDPOINTS, RULE_ENDPOINTS, RULES, SILENCES, STATES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from hanzo_reports.alerts.rule import Rule


@dataclass(frozen=True)
class StoredRule:
    """A rule that is kept.

    Args:
        rule_id: its id, which no other rule has had.
        rule: what it says.
        enabled: whether it is evaluated.
        endpoints: ids of those who are told.
    """

    rule_id: str
    rule: Rule
    enabled: bool
    endpoints: tuple[str, ...]


@dataclass(frozen=True)
class Silence:
    """A span of time in which a rule, or all, say nothing new.

    Args:
        silence_id: its id.
        rule: a rule's name; empty: every rule.
        groups: what a group, or the rule's own filter, must have.
        starts_at: from when.
        ends_at: until when.
        reason: why.
    """

    silence_id: str
    rule: str
    groups: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    reason: str

    def mutes(self, rule: Rule, group: Mapping[str, Any], now: datetime) -> bool:
        """Whether it holds for a group of a rule at an instant."""
        if self.rule not in {"", rule.name} or not self.starts_at <= now < self.ends_at:
            return False
        fixed = {name: values[0] for name, values in rule.where if len(values) == 1}
        known = fixed | {name: str(value) for name, value in group.items()}
        return all(known.get(name) == value for name, value in self.groups.items())


def list_rules(connection: sqlalchemy.Connection) -> list[StoredRule]:
    """Every rule, by name."""
    asked = sqlalchemy.select(RULE_ENDPOINTS.c.rule_id, ENDPOINTS.c.endpoint_id, ENDPOINTS.c.name).join(ENDPOINTS)
    told: dict[str, list[tuple[str, str]]] = {}
    for rule_id, endpoint_id, name in connection.execute(asked.order_by(ENDPOINTS.c.name)):
        told.setdefault(rule_id, []).append((endpoint_id, name))
    rows = connection.execute(sqlalchemy.select(RULES).order_by(RULES.c.name))
    return [
        StoredRule(
            row.rule_id,
            _rule(row.definition, tuple(name for _, name in told.get(row.rule_id, []))),
            row.enabled,
            tuple(endpoint for endpoint, _ in told.get(row.rule_id, [])),
        )
        for row in rows
    ]


@lru_cache(maxsize=10_000)
def _rule(definition: str, channels: tuple[str, ...]) -> Rule:
    """The rule of a row; one that watches reads each just once."""
    return replace(parse_rule(json.loads(definition)), channels=channels)


def get_rule(connection: sqlalchemy.Connection, name: str) -> StoredRule:
    """The rule of a name.

    Raises:
        UnknownNameError: there is none.
    """
    known = {held.rule.name: held for held in list_rules(connection)}
    if name not in known:
        raise UnknownNameError("rule", name, known)
    return known[name]


def save_rules(
    connection: sqlalchemy.Connection, given: Sequence[tuple[Rule, Collection[str]]], now: datetime, *, over: bool
) -> list[str]:
    """Rules added, and with `over` written over those of the same name, which keep their ids.

    Args:
        connection: within a transaction.
        given: rules with the ids of the endpoints that are told.
        now: the instant.
        over: whether a rule of that name may be there already.

    Returns:
        The names of the rules that are new or different now.

    Raises:
        RuleError: a rule of that name is there, or is given twice.
    """
    state_store.raise_version(connection)
    known = {held.rule.name: held for held in list_rules(connection)}
    names = [rule.name for rule, _ in given]
    taken = sorted({name for name in names if names.count(name) > 1} | (set() if over else known.keys() & set(names)))
    if taken:
        msg = f"there is a rule {taken[0]!r} already; give another name, or --replace to change it"
        raise RuleError(msg)
    changed = []
    for rule, endpoints in given:
        held = known.get(rule.name)
        if held and held.rule == rule and set(held.endpoints) == set(endpoints):
            continue
        changed.append(rule.name)
        definition = json.dumps({k: v for k, v in rule.to_dict().items() if k != "channels"})
        if held:
            this = RULES.c.rule_id == held.rule_id
            connection.execute(sqlalchemy.update(RULES).where(this).values(definition=definition, changed_at=now))
            connection.execute(sqlalchemy.delete(RULE_ENDPOINTS).where(RULE_ENDPOINTS.c.rule_id == held.rule_id))
        rule_id = held.rule_id if held else secrets.token_hex(8)
        if not held:
            row = {"rule_id": rule_id, "name": rule.name, "definition": definition, "enabled": True}
            connection.execute(sqlalchemy.insert(RULES).values(**row, created_at=now, changed_at=now))
        for endpoint_id in sorted(set(endpoints)):
            connection.execute(sqlalchemy.insert(RULE_ENDPOINTS).values(rule_id=rule_id, endpoint_id=endpoint_id))
    return changed


def remove_rule(connection: sqlalchemy.Connection, name: str, now: datetime, context: MessageContext) -> int:
    """A rule and its states removed; what was told is resolved. How many messages that makes."""
    state_store.raise_version(connection)
    held = get_rule(connection, name)
    told = _close(connection, held, now, "removed", context)
    connection.execute(sqlalchemy.delete(RULES).where(RULES.c.rule_id == held.rule_id))
    return told


def set_rule_enabled(
    connection: sqlalchemy.Connection, name: str, now: datetime, context: MessageContext, *, on: bool
) -> int:
    """A rule evaluated, or not any more: then what was told is resolved. How many messages that makes."""
    state_store.raise_version(connection)
    held = get_rule(connection, name)
    change = sqlalchemy.update(RULES).where(RULES.c.rule_id == held.rule_id)
    connection.execute(change.values(enabled=on, changed_at=now))
    return 0 if on else _close(connection, held, now, "disabled", context)


def _close(
    connection: sqlalchemy.Connection, held: StoredRule, now: datetime, reason: str, context: MessageContext
) -> int:
    notices, changed = [], []
    for (rule_id, group), (state, told) in state_store.load_states(connection, None).items():
        if rule_id == held.rule_id:
            fresh, messages = close(state, now, reason)
            changed.append(((rule_id, group), fresh, ()))
            notices += [(build_notice(rule_id, held.rule, group, m, context), told or held.endpoints) for m in messages]
    if reason == "removed":
        connection.execute(sqlalchemy.delete(STATES).where(STATES.c.rule_id == held.rule_id))
    else:
        state_store.save_states(connection, changed)
    return enqueue(connection, notices, now)


def add_silence(connection: sqlalchemy.Connection, made: Silence) -> Silence:
    """A silence kept, with an id of its own.

    Raises:
        UnknownNameError: its rule or a dimension is not known.
        RuleError: it ends before it starts.
    """
    state_store.raise_version(connection)
    select_dimensions(made.groups)
    if made.rule:
        get_rule(connection, made.rule)
    if made.ends_at <= made.starts_at:
        msg = f"the silence would end at {made.ends_at.isoformat()}, not after its start; give a later --until or --for"
        raise RuleError(msg)
    made = replace(made, silence_id=secrets.token_hex(4))
    row = {name: getattr(made, name) for name in ("silence_id", "starts_at", "ends_at", "reason")}
    row |= {"rule": made.rule or None, "groups": json.dumps(dict(made.groups))}
    connection.execute(sqlalchemy.insert(SILENCES).values(row))
    return made


def list_silences(connection: sqlalchemy.Connection, now: datetime) -> list[Silence]:
    """The silences that are not over, the next to end first."""
    rows = connection.execute(sqlalchemy.select(SILENCES).where(SILENCES.c.ends_at > now).order_by(SILENCES.c.ends_at))
    return [
        Silence(row.silence_id, row.rule or "", json.loads(row.groups), row.starts_at, row.ends_at, row.reason)
        for row in rows
    ]


def end_silence(connection: sqlalchemy.Connection, silence_id: str, now: datetime) -> None:
    """A silence ended now.

    Raises:
        UnknownNameError: none that is not over has the id.
    """
    state_store.raise_version(connection)
    known = [held.silence_id for held in list_silences(connection, now)]
    if silence_id not in known:
        raise UnknownNameError("silence", silence_id, known)
    connection.execute(sqlalchemy.update(SILENCES).where(SILENCES.c.silence_id == silence_id).values(ends_at=now))
