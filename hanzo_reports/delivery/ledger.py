"""The outbox looked at by people: what waits, what was sent, what died, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.store.alert_tables import ATTEMPTS, ENDPOINTS, OUTBOX

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

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


def resend(connection: sqlalchemy.Connection, message_ids: Collection[str], now: datetime) -> int:
    """Messages put back to be sent at once, with the same ids and a schedule of their own; how many."""
    again = {"state": "pending", "attempts": 0, "next_at": now, "done_at": None, "last_error": None}
    free = OUTBOX.c.lease_until.is_(None) | (OUTBOX.c.lease_until <= now)
    chosen = OUTBOX.c.message_id.in_(list(message_ids)) & free
    return connection.execute(sqlalchemy.update(OUTBOX).where(chosen).values(again)).rowcount


def purge(connection: sqlalchemy.Connection, before: datetime, states: Collection[str] = ("sent", "superseded")) -> int:
    """Messages that were done with before an instant, removed with their attempts; how many."""
    old = OUTBOX.c.state.in_(list(states)) & (OUTBOX.c.done_at < before)
    return connection.execute(sqlalchemy.delete(OUTBOX).where(old, OUTBOX.c.state != "pending")).rowcount
