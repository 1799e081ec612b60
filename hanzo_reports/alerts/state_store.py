"""The states of alerts between passes, in the state database."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy

from hanzo_reports.alerts.alert_state import FIRING_PHASES, AlertState, Health, HealthState, Phase
from hanzo_reports.state.alert_tables import ENDPOINTS, OUTBOX, PASSES, STATES
from hanzo_reports.state.budget_tables import insert_new

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hanzo_reports.formats import Number

_RULES_PASS = PASSES.c.pass_id == 1  # the row that all rules, silences and states share; others are for daily checks
_NO_GROUP = ""  # the group of a row that holds the health of a rule as a whole, of all rules or of a topic
_INSTANTS = ("since", "began", "notified_at", "health_since", "seen_at")


class AlertKey(NamedTuple):
    """The id of a rule and the key of one of its groups."""

    rule_id: str
    group: str


class StoredAlert(NamedTuple):
    """The state of an alert, and the ids of the endpoints that were notified of its episode."""

    state: AlertState
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredStates:
    """All states.

    Args:
        alerts: by rule and group.
        health: by the id of what is evaluated as a whole: a rule, all rules, or a topic.
    """

    alerts: dict[AlertKey, StoredAlert]
    health: dict[str, HealthState]


def group_key(group: Mapping[str, Any]) -> str:
    """The dimensions of a group as a text that does not depend on their order.

    >>> group_key({"project": "search", "model": None})
    '{"model":null,"project":"search"}'
    """
    return json.dumps(group, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def state_to_row(state: AlertState) -> dict[str, Any]:
    """The columns of a state."""
    health = state.health
    return {
        "phase": state.phase, "health": health.health, "health_since": health.since, "health_told": health.notified,
        "notices": health.notice_count, "episode": state.episode, "fingerprint": state.fingerprint,
        "since": state.phase_since, "began": state.breach_since, "notified_at": state.notified_at,
        "reminders": state.reminder_count, "value": _number_to_text(state.last_value),
        "worst": _number_to_text(state.worst_value), "seen_at": state.last_data_at,
    }  # fmt: skip


def state_from_row(row: Any, last_evaluated: datetime | None = None) -> AlertState:  # noqa: ANN401  # a row's mapping
    """The state that a row's columns hold."""
    return AlertState(
        phase=Phase(row["phase"]), health=_health_from_row(row), episode=row["episode"], phase_since=row["since"],
        breach_since=row["began"], notified_at=row["notified_at"], reminder_count=row["reminders"],
        last_value=_number_from_text(row["value"]), worst_value=_number_from_text(row["worst"]),
        fingerprint=row["fingerprint"], last_data_at=row["seen_at"], last_evaluated=last_evaluated,
    )  # fmt: skip


def _health_from_row(row: Any) -> HealthState:  # noqa: ANN401  # a row's mapping
    return HealthState(Health(row["health"]), row["health_since"], row["health_told"], row["notices"])


def is_worth_storing(state: AlertState) -> bool:
    """Whether a state differs from that of a group which is seen for the first time, and whose absence is reported."""
    has_history = bool(state.episode or state.health.notice_count or state.last_data_at)
    return has_history or state.phase is not Phase.INACTIVE or state.health.health is not Health.OK


def load_states(connection: sqlalchemy.Connection, last_pass: datetime | None) -> StoredStates:
    """Every state; alerts count as evaluated by the last pass."""
    states = StoredStates({}, {})
    for row in connection.execute(sqlalchemy.select(STATES)).mappings():
        if row["group_key"] == _NO_GROUP:
            states.health[row["rule_id"]] = _health_from_row(row)
        else:
            key = AlertKey(row["rule_id"], row["group_key"])
            states.alerts[key] = StoredAlert(state_from_row(row, last_pass), tuple(json.loads(row["told"])))
    return states


def count_firing(connection: sqlalchemy.Connection) -> dict[str, int]:
    """The number of alerts that fire, by the id of their rule; rules without any are left out."""
    alerts = load_states(connection, None).alerts
    return dict(Counter(key.rule_id for key, alert in alerts.items() if alert.state.phase in FIRING_PHASES))


def describe_groups(connection: sqlalchemy.Connection, rule_id: str) -> dict[str, str]:
    """The phase of each group of a rule, with the group's health unless it is ok; by the group's key."""
    descriptions = {}
    for key, (state, _) in load_states(connection, None).alerts.items():
        if key.rule_id == rule_id:
            health = state.health.health.value
            descriptions[key.group] = state.phase.value if health == "ok" else f"{state.phase.value} ({health})"
    return descriptions


def load_health(connection: sqlalchemy.Connection, source: str) -> HealthState:
    """The health of what is evaluated as a whole under an id: a rule, all rules, or a topic."""
    query = sqlalchemy.select(STATES).where(STATES.c.rule_id == source, STATES.c.group_key == _NO_GROUP)
    row = connection.execute(query).mappings().first()
    return HealthState() if row is None else _health_from_row(row)


def save_states(
    connection: sqlalchemy.Connection,
    alerts: Mapping[AlertKey, StoredAlert],
    health: Mapping[str, HealthState] | None = None,
) -> None:
    """Writes states over the stored ones; a state that is not worth storing is removed."""
    changed = dict(alerts)
    for source, state in (health or {}).items():
        changed[AlertKey(source, _NO_GROUP)] = StoredAlert(AlertState(health=state))
    if not changed:
        return
    same = (STATES.c.rule_id == sqlalchemy.bindparam("old_rule")) & (
        STATES.c.group_key == sqlalchemy.bindparam("old_group")
    )
    keys = [{"old_rule": key.rule_id, "old_group": key.group} for key in changed]
    connection.execute(sqlalchemy.delete(STATES).where(same), keys)
    rows = [
        {"rule_id": key.rule_id, "group_key": key.group, "told": json.dumps(alert.endpoints)}
        | state_to_row(alert.state)
        for key, alert in changed.items()
        if is_worth_storing(alert.state)
    ]
    if rows:
        connection.execute(sqlalchemy.insert(STATES), rows)


def read_version(connection: sqlalchemy.Connection) -> tuple[int, datetime | None]:
    """The version that all rules, silences and states share, and the instant of the last pass."""
    query = sqlalchemy.select(PASSES.c.version, PASSES.c.at).where(_RULES_PASS)
    row = connection.execute(query).one_or_none()
    return (row.version, row.at) if row else (0, None)


def raise_version(
    connection: sqlalchemy.Connection, expected: int | None = None, pass_at: datetime | None = None
) -> bool:
    """Raises the version by one, which also keeps other writers out until the transaction ends.

    Args:
        connection: within a transaction, of which this is the first statement.
        expected: the version that it must still have; None: any.
        pass_at: the instant of the pass that writes; None: the writer is not a pass.

    Returns:
        Whether it still had the expected version. If not, nothing has changed.
    """
    insert_new(connection, PASSES, {"pass_id": 1, "version": 0})
    update = sqlalchemy.update(PASSES).where(_RULES_PASS)
    update = update.values({"version": PASSES.c.version + 1} | ({"at": pass_at} if pass_at else {}))
    if expected is not None:
        update = update.where(PASSES.c.version == expected)
    return connection.execute(update).rowcount == 1


def rewind_clock(connection: sqlalchemy.Connection, now: datetime) -> None:
    """Moves every instant that a clock ahead of time wrote to now, so that passes go on from here.

    Args:
        connection: within a transaction.
        now: the instant by the correct clock.
    """
    raise_version(connection)
    connection.execute(sqlalchemy.update(PASSES).where(PASSES.c.at > now).values(at=None))
    for name in _INSTANTS:
        column = STATES.c[name]
        connection.execute(sqlalchemy.update(STATES).where(column > now).values({name: now}))
    endpoints = sqlalchemy.update(ENDPOINTS).where(ENDPOINTS.c.failing_since > now)
    connection.execute(endpoints.values(failing_since=now, retry_at=None))
    messages = sqlalchemy.update(OUTBOX).where(OUTBOX.c.created_at > now)
    connection.execute(messages.values(created_at=now, next_at=now, lease_until=None, lease_owner=None))


def _number_to_text(value: Number | None) -> str | None:
    if value is None:
        return None
    return f"D{value}" if isinstance(value, Decimal) else repr(value)


def _number_from_text(text: str | None) -> Number | None:
    if text is None:
        return None
    if text.startswith("D"):
        return Decimal(text[1:])
    return int(text) if text.lstrip("-").isdigit() else float(text)
