"""Silences: periods in which a rule, or every rule, sends no new messages."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy

from hanzo_reports.alerts.message_text import parse_group
from hanzo_reports.alerts.rule_store import get_rule
from hanzo_reports.alerts.state_store import raise_version
from hanzo_reports.errors import RuleError, UnknownNameError
from hanzo_reports.metrics.arguments import select_dimensions
from hanzo_reports.state.alert_tables import SILENCES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hanzo_reports.alerts.rule import Rule


@dataclass(frozen=True)
class Silence:
    """A period in which a rule, or every rule, sends no new messages.

    Args:
        silence_id: its id; empty: not stored yet.
        rule: a rule's name; empty: every rule.
        groups: the values that a group, or the rule's own filter, must have.
        starts_at: its first instant.
        ends_at: the instant at which it ends.
        reason: why.
    """

    silence_id: str
    rule: str
    groups: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    reason: str

    def mutes(self, rule: Rule, group: str, now: datetime) -> bool:
        """Whether it mutes the group of a key of a rule at an instant."""
        fixed = {name: values[0] for name, values in rule.where if len(values) == 1}
        values = fixed | {name: str(value) for name, value in parse_group(group).items()}
        return self._covers(rule.name, now) and all(values.get(name) == value for name, value in self.groups.items())

    def mutes_health(self, name: str, now: datetime) -> bool:
        """Whether it mutes the health of a rule as a whole; a silence of some groups does not."""
        return self._covers(name, now) and not self.groups

    def _covers(self, rule: str, now: datetime) -> bool:
        return self.rule in {"", rule} and self.starts_at <= now < self.ends_at


def add_silence(connection: sqlalchemy.Connection, silence: Silence) -> Silence:
    """Stores a silence and returns it with its id.

    Raises:
        UnknownNameError: its rule or a dimension does not exist.
        RuleError: it ends before it starts.
    """
    raise_version(connection)
    select_dimensions(silence.groups)
    if silence.rule:
        get_rule(connection, silence.rule)
    if silence.ends_at <= silence.starts_at:
        msg = (
            f"the silence would end at {silence.ends_at.isoformat()}, which is not after its start "
            f"{silence.starts_at.isoformat()}; give a later --until or --for"
        )
        raise RuleError(msg)
    silence = replace(silence, silence_id=secrets.token_hex(4))
    row = {name: getattr(silence, name) for name in ("silence_id", "starts_at", "ends_at", "reason")}
    row |= {"rule": silence.rule or None, "groups": json.dumps(dict(silence.groups))}
    connection.execute(sqlalchemy.insert(SILENCES).values(row))
    return silence


def list_silences(connection: sqlalchemy.Connection, now: datetime) -> list[Silence]:
    """The silences that have not ended, the next to end first."""
    rows = connection.execute(sqlalchemy.select(SILENCES).where(SILENCES.c.ends_at > now).order_by(SILENCES.c.ends_at))
    return [
        Silence(row.silence_id, row.rule or "", json.loads(row.groups), row.starts_at, row.ends_at, row.reason)
        for row in rows
    ]


def end_silence(connection: sqlalchemy.Connection, silence_id: str, now: datetime) -> None:
    """Ends a silence now.

    Raises:
        UnknownNameError: no silence with that id is in effect.
    """
    raise_version(connection)
    silence_ids = [silence.silence_id for silence in list_silences(connection, now)]
    if silence_id not in silence_ids:
        raise UnknownNameError("silence", silence_id, silence_ids)
    connection.execute(sqlalchemy.update(SILENCES).where(SILENCES.c.silence_id == silence_id).values(ends_at=now))
