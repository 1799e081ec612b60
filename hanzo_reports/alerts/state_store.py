"""What is remembered of each rule and group between passes, in the database."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.alerts.alert_state import Health, Phase, State
from hanzo_reports.state.alert_tables import ENDPOINTS, OUTBOX, PASSES, STATES
from hanzo_reports.state.budget_tables import insert_new

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hanzo_reports.formats import Number

Key = tuple[str, str]  # a rule's id and a group's key
_OURS = PASSES.c.pass_id == 1  # the row of all rules, silences and states; others hold what is looked at by the day

_FIELDS = tuple(field.name for field in fields(State) if field.name != "last_evaluated")


def group_key(group: dict[str, Any]) -> str:
    """A group's dimensions as a text that is the same whatever their order.

    >>> group_key({"project": "search", "model": None})
    '{"model":null,"project":"search"}'
    """
    return json.dumps(group, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def row_of(state: State) -> dict[str, Any]:
    """A state as its row."""
    row = {name: getattr(state, name) for name in _FIELDS}
    return row | {"value": _text(state.value), "worst": _text(state.worst)}


def state_of(row: Any, last_evaluated: datetime | None = None) -> State:  # noqa: ANN401  # a mapping or a row of one
    """The state that a row holds."""
    known = {name: row[name] for name in _FIELDS}
    known |= {"value": _value(row["value"]), "worst": _value(row["worst"])}
    return State(
        **known | {"phase": Phase(row["phase"]), "health": Health(row["health"])}, last_evaluated=last_evaluated
    )


def needed(state: State) -> bool:
    """Whether a state says more than that nothing has ever happened, in a group that nobody would miss."""
    happened = bool(state.episode or state.notices or state.seen_at)
    return happened or state.phase is not Phase.INACTIVE or state.health is not Health.OK


def load_states(connection: sqlalchemy.Connection, last: datetime | None) -> dict[Key, tuple[State, tuple[str, ...]]]:
    """Every state that was kept, with the endpoints that know of its episode."""
    rows = connection.execute(sqlalchemy.select(STATES)).mappings()
    return {(row["rule_id"], row["group_key"]): (state_of(row, last), tuple(json.loads(row["told"]))) for row in rows}


def save_states(connection: sqlalchemy.Connection, changed: Iterable[tuple[Key, State, tuple[str, ...]]]) -> None:
    """States written over what was kept of them; those that say nothing are not kept."""
    given = list(changed)
    if not given:
        return
    same = (STATES.c.rule_id == sqlalchemy.bindparam("old_rule")) & (
        STATES.c.group_key == sqlalchemy.bindparam("old_group")
    )
    connection.execute(
        sqlalchemy.delete(STATES).where(same), [{"old_rule": rule, "old_group": group} for (rule, group), _, _ in given]
    )
    rows = [
        {"rule_id": rule, "group_key": group, "told": json.dumps(told)} | row_of(state)
        for (rule, group), state, told in given
        if needed(state)
    ]
    if rows:
        connection.execute(sqlalchemy.insert(STATES), rows)


def version(connection: sqlalchemy.Connection) -> tuple[int, datetime | None]:
    """The version of all rules, silences and states, and the instant of the last pass."""
    row = connection.execute(sqlalchemy.select(PASSES.c.version, PASSES.c.at).where(_OURS)).one_or_none()
    return (row.version, row.at) if row else (0, None)


def raise_version(connection: sqlalchemy.Connection, seen: int | None = None, at: datetime | None = None) -> bool:
    """The version raised by one, which also keeps other writers out until the transaction ends.

    Args:
        connection: within a transaction, of which this is the first statement.
        seen: the version that it must still have; None: any.
        at: the instant of a pass; None: not a pass.

    Returns:
        Whether it still had that version. If not, nothing has changed.
    """
    insert_new(connection, PASSES, {"pass_id": 1, "version": 0})
    change = sqlalchemy.update(PASSES).where(_OURS)
    change = change.values({"version": PASSES.c.version + 1} | ({"at": at} if at else {}))
    if seen is not None:
        change = change.where(PASSES.c.version == seen)
    return connection.execute(change).rowcount == 1


def rewind_clock(connection: sqlalchemy.Connection, now: datetime) -> None:
    """What was written by a clock that was ahead, taken as written now, so that passes go on from here.

    Args:
        connection: within a transaction.
        now: the instant by the clock that is right.
    """
    raise_version(connection)
    connection.execute(sqlalchemy.update(PASSES).where(PASSES.c.at > now).values(at=None))
    for name in ("since", "began", "notified_at", "health_since", "seen_at"):
        column = STATES.c[name]
        connection.execute(sqlalchemy.update(STATES).where(column > now).values({name: now}))
    endpoints = sqlalchemy.update(ENDPOINTS).where(ENDPOINTS.c.failing_since > now)
    connection.execute(endpoints.values(failing_since=now, retry_at=None))
    messages = sqlalchemy.update(OUTBOX).where(OUTBOX.c.created_at > now)
    connection.execute(messages.values(created_at=now, next_at=now, lease_until=None, lease_owner=None))


def _text(value: Number | None) -> str | None:
    if value is None:
        return None
    return f"D{value}" if isinstance(value, Decimal) else repr(value)


def _value(text: str | None) -> Number | None:
    if text is None:
        return None
    if text.startswith("D"):
        return Decimal(text[1:])
    return int(text) if text.lstrip("-").isdigit() else float(text)
