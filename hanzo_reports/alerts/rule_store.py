"""The rules in the state database, and what happens to their alerts when a rule changes."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import sqlalchemy

from hanzo_reports.alerts.health import close_health
from hanzo_reports.alerts.messages import build_health_notice, build_notice
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.state_machine import close
from hanzo_reports.alerts.state_store import StoredAlert, load_states, raise_version, save_states
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.errors import RuleError, UnknownNameError
from hanzo_reports.state.alert_tables import ENDPOINTS, RULE_ENDPOINTS, RULES, STATES
from hanzo_reports.state.inventory import require_rows, update_inventory

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.alerts.rule import Rule


@dataclass(frozen=True)
class StoredRule:
    """A rule in the database.

    Args:
        rule_id: its id, which no other rule has ever had.
        rule: the rule.
        enabled: whether it is evaluated.
        endpoints: the ids of the endpoints that are notified.
    """

    rule_id: str
    rule: Rule
    enabled: bool
    endpoints: tuple[str, ...]


def list_rules(connection: sqlalchemy.Connection) -> list[StoredRule]:
    """Every rule, by name."""
    query = sqlalchemy.select(RULE_ENDPOINTS.c.rule_id, ENDPOINTS.c.endpoint_id, ENDPOINTS.c.name).join(ENDPOINTS)
    endpoints: dict[str, dict[str, str]] = {}
    for rule_id, endpoint_id, name in connection.execute(query.order_by(ENDPOINTS.c.name)):
        endpoints.setdefault(rule_id, {})[endpoint_id] = name
    rules = []
    for row in connection.execute(sqlalchemy.select(RULES).order_by(RULES.c.name)):
        names = endpoints.get(row.rule_id, {})
        rule = _load_rule(row.definition, tuple(names.values()))
        rules.append(StoredRule(row.rule_id, rule, row.enabled, tuple(names)))
    if not rules:
        require_rows(connection, RULES)
    return rules


@lru_cache(maxsize=10_000)
def _load_rule(definition: str, channels: tuple[str, ...]) -> Rule:
    """The rule of a row; cached, so that `check --watch` parses each rule only once."""
    return replace(parse_rule(json.loads(definition)), channels=channels)


def get_rule(connection: sqlalchemy.Connection, name: str) -> StoredRule:
    """The rule with a name.

    Raises:
        UnknownNameError: no rule has that name.
    """
    rules = {stored.rule.name: stored for stored in list_rules(connection)}
    if name not in rules:
        raise UnknownNameError("rule", name, rules)
    return rules[name]


def save_rules(
    connection: sqlalchemy.Connection,
    rules: Sequence[tuple[Rule, Collection[str]]],
    now: datetime,
    *,
    replace_existing: bool,
) -> list[str]:
    """Adds rules, and if allowed replaces those with the same name, which keep their ids.

    Args:
        connection: within a transaction.
        rules: rules with the ids of the endpoints that are notified.
        now: the instant.
        replace_existing: whether a rule of that name may exist.

    Returns:
        The names of the rules that are new or have changed.

    Raises:
        RuleError: a rule of that name exists, or is given twice.
    """
    raise_version(connection)
    existing = {stored.rule.name: stored for stored in list_rules(connection)}
    names = [rule.name for rule, _ in rules]
    taken = {name for name in names if names.count(name) > 1}
    taken |= set() if replace_existing else existing.keys() & set(names)
    if taken:
        msg = f"a rule {min(taken)!r} already exists; choose another name, or pass --replace to change that rule"
        raise RuleError(msg)
    changed = []
    for rule, endpoints in rules:
        stored = existing.get(rule.name)
        if stored and stored.rule == rule and set(stored.endpoints) == set(endpoints):
            continue
        changed.append(rule.name)
        _write_rule(connection, stored.rule_id if stored else None, rule, endpoints, now)
    update_inventory(connection, RULES)
    return changed


def _write_rule(
    connection: sqlalchemy.Connection, rule_id: str | None, rule: Rule, endpoints: Collection[str], now: datetime
) -> None:
    """Writes a rule over that of an id, or as a new one."""
    definition = json.dumps({name: value for name, value in rule.to_dict().items() if name != "channels"})
    if rule_id is None:
        rule_id = secrets.token_hex(8)
        row = {"rule_id": rule_id, "name": rule.name, "definition": definition, "enabled": True}
        connection.execute(sqlalchemy.insert(RULES).values(**row, created_at=now, changed_at=now))
    else:
        update = sqlalchemy.update(RULES).where(RULES.c.rule_id == rule_id)
        connection.execute(update.values(definition=definition, changed_at=now))
        connection.execute(sqlalchemy.delete(RULE_ENDPOINTS).where(RULE_ENDPOINTS.c.rule_id == rule_id))
    for endpoint_id in sorted(set(endpoints)):
        connection.execute(sqlalchemy.insert(RULE_ENDPOINTS).values(rule_id=rule_id, endpoint_id=endpoint_id))


def remove_rule(connection: sqlalchemy.Connection, name: str, now: datetime, context: MessageContext) -> int:
    """Removes a rule and its states; what was reported resolves.

    Returns:
        The number of new messages.

    Raises:
        UnknownNameError: no rule has that name.
    """
    raise_version(connection)
    stored = get_rule(connection, name)
    count = _close_alerts(connection, stored, now, "removed", context)
    connection.execute(sqlalchemy.delete(STATES).where(STATES.c.rule_id == stored.rule_id))
    connection.execute(sqlalchemy.delete(RULES).where(RULES.c.rule_id == stored.rule_id))
    update_inventory(connection, RULES)
    return count


def set_rule_enabled(
    connection: sqlalchemy.Connection, name: str, now: datetime, context: MessageContext, *, enabled: bool
) -> int:
    """Starts or stops the evaluation of a rule; if it stops, what was reported resolves.

    Returns:
        The number of new messages.

    Raises:
        UnknownNameError: no rule has that name.
    """
    raise_version(connection)
    stored = get_rule(connection, name)
    update = sqlalchemy.update(RULES).where(RULES.c.rule_id == stored.rule_id)
    connection.execute(update.values(enabled=enabled, changed_at=now))
    return 0 if enabled else _close_alerts(connection, stored, now, "disabled", context)


def _close_alerts(
    connection: sqlalchemy.Connection, stored: StoredRule, now: datetime, reason: str, context: MessageContext
) -> int:
    """Closes every alert of a rule and its health as a whole. Returns the number of new messages."""
    states = load_states(connection, None)
    notices, alerts, health = [], {}, {}
    if stored.rule_id in states.health:
        after, back = close_health(states.health[stored.rule_id], now, reason)
        health[stored.rule_id] = after
        if back:
            notices.append((build_health_notice(stored.rule_id, stored.rule.name, back, context), stored.endpoints))
    for key, alert in states.alerts.items():
        if key.rule_id == stored.rule_id:
            state, messages = close(alert.state, now, reason)
            alerts[key] = StoredAlert(state)
            for message in messages:
                notice = build_notice(key.rule_id, stored.rule, key.group, message, context)
                notices.append((notice, alert.endpoints or stored.endpoints))
    save_states(connection, alerts, health)
    return enqueue(connection, notices, now)
