"""The outbox looked at by people: what waits, what was sent, what died, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.delivery.outbox import PEOPLE
from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.state.alert_tables import ATTEMPTS, ENDPOINTS, OUTBOX

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

RESOLVES = ("resolved", "back", "test-over")  # how the kinds begin of what takes back what was told before
STATES = ("pending", "sent", "dead", "superseded")


def messages(
    connection: sqlalchemy.Connection, state: str = "", channel: str = "", limit: int = 50
) -> list[dict[str, Any]]:
    """Messages, newest first, without their bodies.

    Args:
        connection: of the state database.
        state: pending, sent, dead or superseded; empty: all.
        channel: an endpoint's name; empty: all.
        limit: so many at most.
    """
    if state and state not in STATES:
        raise UnknownNameError("state", state, STATES)
    columns = [OUTBOX.c[c.name] for c in OUTBOX.columns if c.name not in {"body", "dedupe_key", "lease_owner"}]
    asked = sqlalchemy.select(ENDPOINTS.c.name.label("channel"), *columns).join(ENDPOINTS)
    if state:
        asked = asked.where(OUTBOX.c.state == state)
    if channel:
        asked = asked.where(ENDPOINTS.c.name == channel)
    newest = asked.order_by(OUTBOX.c.created_at.desc(), OUTBOX.c.position.desc()).limit(limit)
    return [dict(row) for row in connection.execute(newest).mappings()]


def message(connection: sqlalchemy.Connection, message_id: str) -> dict[str, Any]:
    """One message whole, by its id or the start of it, with its attempts.

    Raises:
        UsageError: none, or several, begin so.
    """
    columns = sqlalchemy.select(ENDPOINTS.c.name.label("channel"), OUTBOX).join(ENDPOINTS)
    found = connection.execute(columns.where(OUTBOX.c.message_id.startswith(message_id, autoescape=True))).mappings()
    rows = found.fetchmany(2)
    if len(rows) != 1:
        how = "several messages begin" if rows else "no message begins"
        msg = f"{how} with {message_id!r}; `hanzo-reports outbox list` shows their ids"
        raise UsageError(msg)
    lines = sqlalchemy.select(ATTEMPTS).where(ATTEMPTS.c.message_id == rows[0]["message_id"]).order_by(ATTEMPTS.c.n)
    return {**rows[0], "tried": [dict(line) for line in connection.execute(lines).mappings()]}


@dataclass(frozen=True)
class Resent:
    """What became of messages that were to be sent again.

    Args:
        due: how many are due again.
        over: how many tell people of something that has been resolved since, and stay as they are.
        disabled: names of channels that are disabled, whose messages stay as they are.
    """

    due: int
    over: int
    disabled: tuple[str, ...]


def resend(connection: sqlalchemy.Connection, message_ids: Collection[str], now: datetime) -> Resent:
    """Messages put back to be sent at once, with the same ids and a schedule of their own.

    A firing is not sent to people again after its resolve: nothing would ever take it back.

    Args:
        connection: within a transaction.
        message_ids: of messages that are not being sent just now.
        now: the instant.
    """
    later = OUTBOX.alias("later")
    newer = (later.c.created_at > OUTBOX.c.created_at) | (
        (later.c.created_at == OUTBOX.c.created_at) & (later.c.position > OUTBOX.c.position)
    )
    resolved = (
        sqlalchemy.select(later.c.message_id)
        .where(later.c.endpoint_id == OUTBOX.c.endpoint_id, later.c.thread == OUTBOX.c.thread, newer)
        .where(sqlalchemy.or_(*(later.c.kind.startswith(kind, autoescape=True) for kind in RESOLVES)))
        .exists()
    )
    resolves = sqlalchemy.or_(*(OUTBOX.c.kind.startswith(kind, autoescape=True) for kind in RESOLVES))
    over = ENDPOINTS.c.kind.in_(PEOPLE) & resolved & ~resolves
    chosen = OUTBOX.c.message_id.in_(list(message_ids))
    asked = sqlalchemy.select(OUTBOX.c.message_id, ENDPOINTS.c.name, ENDPOINTS.c.disabled_at, over.label("over"))
    rows = connection.execute(asked.join(ENDPOINTS).where(chosen)).all()
    again = [row.message_id for row in rows if not row.over and row.disabled_at is None]
    free = OUTBOX.c.lease_until.is_(None) | (OUTBOX.c.lease_until <= now)
    change = {"state": "pending", "attempts": 0, "next_at": now, "done_at": None, "last_error": None}
    due = sqlalchemy.update(OUTBOX).where(OUTBOX.c.message_id.in_(again), free).values(change)
    disabled = sorted({row.name for row in rows if row.disabled_at is not None})
    return Resent(connection.execute(due).rowcount, sum(bool(row.over) for row in rows), tuple(disabled))


def purge(connection: sqlalchemy.Connection, before: datetime, states: Collection[str] = ("sent", "superseded")) -> int:
    """Messages that were done with before an instant, removed with their attempts; how many."""
    old = OUTBOX.c.state.in_(list(states)) & (OUTBOX.c.done_at < before)
    return connection.execute(sqlalchemy.delete(OUTBOX).where(old, OUTBOX.c.state != "pending")).rowcount
