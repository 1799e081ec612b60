"""Administration of the outbox: list messages, show one, send it again, purge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.delivery.channels import channel_kinds
from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.state.alert_tables import ATTEMPTS, ENDPOINTS, OUTBOX

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

RESOLVES = ("resolved", "back", "test-over")  # prefixes of the kinds of notice that resolve an earlier one
STATES = ("pending", "sent", "dead", "superseded")


def list_messages(
    connection: sqlalchemy.Connection, state: str = "", channel: str = "", limit: int = 50
) -> list[dict[str, Any]]:
    """Lists messages without their bodies, newest first.

    Args:
        connection: of the state database.
        state: pending, sent, dead or superseded; empty for all.
        channel: an endpoint's name; empty for all.
        limit: the most that are listed.
    """
    if state and state not in STATES:
        raise UnknownNameError("state", state, STATES)
    columns = [OUTBOX.c[c.name] for c in OUTBOX.columns if c.name not in {"body", "dedupe_key", "lease_owner"}]
    query = sqlalchemy.select(ENDPOINTS.c.name.label("channel"), *columns).join(ENDPOINTS)
    if state:
        query = query.where(OUTBOX.c.state == state)
    if channel:
        query = query.where(ENDPOINTS.c.name == channel)
    newest = query.order_by(OUTBOX.c.created_at.desc(), OUTBOX.c.position.desc()).limit(limit)
    return [dict(row) for row in connection.execute(newest).mappings()]


def find_message(connection: sqlalchemy.Connection, message_id: str) -> dict[str, Any]:
    """Finds one message by its id or the start of it, with its body and its attempts.

    Raises:
        UsageError: no message, or several, have an id that begins so.
    """
    columns = sqlalchemy.select(ENDPOINTS.c.name.label("channel"), OUTBOX).join(ENDPOINTS)
    matches = connection.execute(columns.where(OUTBOX.c.message_id.startswith(message_id, autoescape=True))).mappings()
    rows = matches.fetchmany(2)
    if len(rows) != 1:
        how = "several messages have ids that begin" if rows else "no message has an id that begins"
        msg = f"{how} with {message_id!r}; `hanzo-reports outbox list` shows the ids"
        raise UsageError(msg)
    lines = sqlalchemy.select(ATTEMPTS).where(ATTEMPTS.c.message_id == rows[0]["message_id"]).order_by(ATTEMPTS.c.n)
    return {**rows[0], "tried": [dict(line) for line in connection.execute(lines).mappings()]}


@dataclass(frozen=True)
class ResendResult:
    """The result of a request to send messages again.

    Args:
        due: how many are due again.
        over: how many would tell people of something that has been resolved since, and are left alone.
        disabled: names of disabled channels, whose messages are left alone.
    """

    due: int
    over: int
    disabled: tuple[str, ...]


def resend_messages(connection: sqlalchemy.Connection, message_ids: Collection[str], now: datetime) -> ResendResult:
    """Makes messages due at once, under the same ids and with a new schedule.

    A firing is not sent to people again after its resolve: nothing would resolve it.

    Args:
        connection: within a transaction.
        message_ids: messages; those that are being sent are left alone.
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
    people = [channel.kind for channel in channel_kinds().values() if channel.read_by_people]
    resolves = sqlalchemy.or_(*(OUTBOX.c.kind.startswith(kind, autoescape=True) for kind in RESOLVES))
    over = ENDPOINTS.c.kind.in_(people) & resolved & ~resolves
    chosen = OUTBOX.c.message_id.in_(list(message_ids))
    query = sqlalchemy.select(OUTBOX.c.message_id, ENDPOINTS.c.name, ENDPOINTS.c.disabled_at, over.label("over"))
    rows = connection.execute(query.join(ENDPOINTS).where(chosen)).all()
    ready = [row.message_id for row in rows if not row.over and row.disabled_at is None]
    free = OUTBOX.c.lease_until.is_(None) | (OUTBOX.c.lease_until <= now)
    change = {"state": "pending", "attempts": 0, "next_at": now, "done_at": None, "last_error": None}
    due = sqlalchemy.update(OUTBOX).where(OUTBOX.c.message_id.in_(ready), free).values(change)
    disabled = sorted({row.name for row in rows if row.disabled_at is not None})
    return ResendResult(connection.execute(due).rowcount, sum(bool(row.over) for row in rows), tuple(disabled))


def purge_messages(
    connection: sqlalchemy.Connection, before: datetime, states: Collection[str] = ("sent", "superseded")
) -> int:
    """Removes messages that were completed before an instant, with their attempts; returns how many."""
    old = OUTBOX.c.state.in_(list(states)) & (OUTBOX.c.done_at < before)
    return connection.execute(sqlalchemy.delete(OUTBOX).where(old, OUTBOX.c.state != "pending")).rowcount
