"""The outbox: notices, written in the transaction that made them true, and kept until they are delivered.

Delivery is at least once. A message is claimed with a lease, sent, and recorded; if a process dies in between, the
lease expires, and the message is sent again under the same id.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite

from hanzo_reports.delivery.channels import find_channel, render_body
from hanzo_reports.delivery.notice import Action, Notice
from hanzo_reports.state.alert_tables import ATTEMPTS, ENDPOINTS, OUTBOX, RULE_ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from hanzo_reports.delivery.ssrf import Reply

SCHEDULE = tuple(
    timedelta(seconds=seconds)
    for seconds in (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)  # fmt: skip
JITTER = 0.1
MAX_PAUSE = timedelta(minutes=1)  # how long one failing message delays the others of its endpoint
FAILURE_LIMIT = timedelta(days=5)  # after so long without success an endpoint is disabled
GONE = 410  # the HTTP status of a receiver that has gone for good


@dataclass(frozen=True)
class ClaimedMessage:
    """A message that its owner may send until the lease expires.

    Args:
        message_id: the same in each attempt.
        endpoint_id: the endpoint that it goes to.
        body: as it is sent, without secrets.
        attempts: the number of earlier attempts.
        owner: the holder of the lease.
    """

    message_id: str
    endpoint_id: str
    body: bytes
    attempts: int
    owner: str


def enqueue(connection: sqlalchemy.Connection, notices: Iterable[tuple[Notice, Collection[str]]], now: datetime) -> int:
    """Adds notices to the outbox, once for each endpoint, within the caller's transaction.

    For channels that people read, a resolve supersedes what was not sent yet of its episode; programs get both.

    Args:
        connection: within the transaction that made the notices true.
        notices: each with the ids of its endpoints, in sending order.
        now: the instant from which they are due.

    Returns:
        The number of new messages.
    """
    rows = connection.execute(sqlalchemy.select(ENDPOINTS.c.endpoint_id, ENDPOINTS.c.kind, ENDPOINTS.c.disabled_at))
    endpoints_by_id = {row.endpoint_id: row for row in rows}
    dialect = connection.dialect.name
    insert: Any = sqlalchemy.dialects.sqlite.insert if dialect == "sqlite" else sqlalchemy.dialects.postgresql.insert
    position_query = sqlalchemy.select(sqlalchemy.func.max(OUTBOX.c.position)).where(OUTBOX.c.created_at == now)
    last, new = connection.scalar(position_query), 0
    for position, (notice, endpoints) in enumerate(notices, 0 if last is None else last + 1):
        for endpoint_id in endpoints:
            endpoint = endpoints_by_id[endpoint_id]
            if notice.action is Action.RESOLVE and find_channel(endpoint.kind).read_by_people:
                _supersede(connection, notice, endpoint_id, now)
            row = _row(notice, endpoint, now, position)
            insert_once = insert(OUTBOX).values(row).on_conflict_do_nothing().returning(OUTBOX.c.message_id)
            new += len(connection.execute(insert_once).all())
    return new


def _row(notice: Notice, endpoint: Any, now: datetime, position: int) -> dict[str, Any]:  # noqa: ANN401  # a row
    key = "|".join((endpoint.endpoint_id, notice.source, notice.group, str(notice.episode), notice.kind))
    dead = endpoint.disabled_at is not None
    return {
        "message_id": f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}", "dedupe_key": key,
        "endpoint_id": endpoint.endpoint_id, "thread": notice.thread, "episode": notice.episode, "kind": notice.kind,
        "title": notice.title, "body": render_body(endpoint.kind, notice), "state": "dead" if dead else "pending",
        "attempts": 0, "created_at": now, "position": position, "next_at": now,
        "last_error": "the channel is disabled" if dead else None, "done_at": now if dead else None,
    }  # fmt: skip


def _supersede(connection: sqlalchemy.Connection, notice: Notice, endpoint_id: str, now: datetime) -> None:
    """Supersedes pending messages of the same episode, apart from those that are being sent."""
    waiting = (
        (OUTBOX.c.endpoint_id == endpoint_id)
        & (OUTBOX.c.thread == notice.thread)
        & (OUTBOX.c.episode == notice.episode)
        & (OUTBOX.c.state == "pending")
        & (OUTBOX.c.lease_until.is_(None) | (OUTBOX.c.lease_until <= now))
    )
    connection.execute(sqlalchemy.update(OUTBOX).where(waiting).values(state="superseded", done_at=now))


def endpoints_with_due_messages(
    connection: sqlalchemy.Connection, endpoints: Collection[str], now: datetime
) -> list[str]:
    """Ids of the endpoints with due messages, those whose last attempt succeeded first."""
    query = (
        sqlalchemy.select(ENDPOINTS.c.endpoint_id)
        .join(OUTBOX)
        .where(OUTBOX.c.state == "pending", OUTBOX.c.next_at <= now, ENDPOINTS.c.endpoint_id.in_(endpoints))
        .group_by(ENDPOINTS.c.endpoint_id)
        .order_by(ENDPOINTS.c.failing_since.asc().nulls_first(), sqlalchemy.func.min(OUTBOX.c.next_at))
    )
    return list(connection.scalars(query))


def claim_next(
    engine: sqlalchemy.Engine, endpoints: Collection[str], owner: str, now: datetime, lease: timedelta
) -> ClaimedMessage | None:
    """Claims the next message that is due; None if there is none.

    A message waits for the earlier ones of its thread, so that no resolve overtakes its firing.

    Args:
        engine: of the state database.
        endpoints: ids of the endpoints that can be sent to.
        owner: a name for the holder of the lease.
        now: the instant.
        lease: how long the claim holds; longer than an attempt can take.
    """
    older = OUTBOX.alias("older")
    earlier = (older.c.created_at < OUTBOX.c.created_at) | (
        (older.c.created_at == OUTBOX.c.created_at) & (older.c.position < OUTBOX.c.position)
    )
    waits = (
        sqlalchemy.select(older.c.message_id)
        .where(older.c.endpoint_id == OUTBOX.c.endpoint_id, older.c.thread == OUTBOX.c.thread)
        .where(older.c.state == "pending", earlier)
        .exists()
    )
    due = (
        sqlalchemy.select(OUTBOX.c.message_id)
        .join(ENDPOINTS, ENDPOINTS.c.endpoint_id == OUTBOX.c.endpoint_id)
        .where(OUTBOX.c.state == "pending", OUTBOX.c.next_at <= now, OUTBOX.c.endpoint_id.in_(endpoints))
        .where(OUTBOX.c.lease_until.is_(None) | (OUTBOX.c.lease_until <= now))
        .where(ENDPOINTS.c.disabled_at.is_(None), ENDPOINTS.c.retry_at.is_(None) | (ENDPOINTS.c.retry_at <= now))
        .where(~waits)
        .order_by(OUTBOX.c.next_at, OUTBOX.c.created_at, OUTBOX.c.position)
        .limit(1)
        .with_for_update(of=OUTBOX, skip_locked=True)
    )
    columns = (OUTBOX.c.message_id, OUTBOX.c.endpoint_id, OUTBOX.c.body, OUTBOX.c.attempts)
    take = (
        sqlalchemy.update(OUTBOX)
        .where(OUTBOX.c.message_id == due.scalar_subquery())
        .values(lease_owner=owner, lease_until=now + lease)
        .returning(*columns)
    )
    with engine.begin() as connection:
        row = connection.execute(take).one_or_none()
    return (
        None if row is None else ClaimedMessage(row.message_id, row.endpoint_id, bytes(row.body), row.attempts, owner)
    )


def record_attempt(engine: sqlalchemy.Engine, message: ClaimedMessage, reply: Reply, now: datetime) -> str:
    """Records the result of an attempt; returns the state of the message after it.

    2xx is sent. 410 disables the endpoint; other 4xx and refused targets are dead at once. 429 and everything else is
    retried on schedule, no sooner than the receiver asks for, and is dead after the last attempt.
    """
    attempts = message.attempts + 1
    state, wait = _outcome(message.message_id, attempts, reply)
    change: dict[str, Any] = {
        "state": state, "attempts": attempts, "last_status": reply.status, "last_error": reply.error or None,
        "lease_owner": None, "lease_until": None, "next_at": now + wait,
        "done_at": None if state == "pending" else now,
    }  # fmt: skip
    own_claim = (OUTBOX.c.message_id == message.message_id) & (OUTBOX.c.lease_owner == message.owner)
    with engine.begin() as connection:
        if not connection.execute(sqlalchemy.update(OUTBOX).where(own_claim).values(change)).rowcount:
            return "lost"
        attempt_count = sqlalchemy.select(sqlalchemy.func.count()).where(ATTEMPTS.c.message_id == message.message_id)
        line = {"message_id": message.message_id, "n": connection.scalar(attempt_count), "at": now}
        connection.execute(sqlalchemy.insert(ATTEMPTS).values(**line, status=reply.status, error=reply.error or None))
        _update_endpoint(connection, message.endpoint_id, reply, wait, now)
    return state


def _outcome(message_id: str, attempts: int, reply: Reply) -> tuple[str, timedelta]:
    if reply.ok:
        return "sent", timedelta()
    if reply.final or attempts >= len(SCHEDULE):
        return "dead", timedelta()
    return "pending", max(retry_delay(message_id, attempts), timedelta(seconds=reply.retry_after or 0))


def retry_delay(message_id: str, attempts: int) -> timedelta:
    """The wait after so many attempts, plus up to a tenth; always the same for one message."""
    share = int.from_bytes(hashlib.sha256(f"{message_id}{attempts}".encode()).digest()[:4]) / 2**32
    return SCHEDULE[attempts] * (1 + JITTER * share)


def _update_endpoint(
    connection: sqlalchemy.Connection, endpoint_id: str, reply: Reply, wait: timedelta, now: datetime
) -> None:
    """Marks an endpoint as healthy, paused or disabled after an attempt."""
    this = ENDPOINTS.c.endpoint_id == endpoint_id
    if reply.ok:
        connection.execute(sqlalchemy.update(ENDPOINTS).where(this).values(failing_since=None, retry_at=None))
        return
    endpoint = connection.execute(sqlalchemy.select(ENDPOINTS).where(this)).one()
    since = endpoint.failing_since or now
    pause = wait if reply.retry_after else min(wait, MAX_PAUSE)
    connection.execute(
        sqlalchemy.update(ENDPOINTS).where(this).values(failing_since=since, retry_at=now + pause if pause else None)
    )
    if reply.status == GONE:
        disable_endpoint(connection, endpoint_id, "the receiver answered that it is gone for good (HTTP 410)", now)
    elif now - since >= FAILURE_LIMIT:
        disable_endpoint(connection, endpoint_id, f"it has failed for {FAILURE_LIMIT.days} days: {reply.error}", now)


def disable_endpoint(connection: sqlalchemy.Connection, endpoint_id: str, reason: str, now: datetime) -> None:
    """Disables an endpoint: its pending messages are dead, and the others of its rules, or else all, are notified."""
    this = ENDPOINTS.c.endpoint_id == endpoint_id
    change = sqlalchemy.update(ENDPOINTS).where(this, ENDPOINTS.c.disabled_at.is_(None))
    if not connection.execute(change.values(disabled_at=now, disabled_reason=reason)).rowcount:
        return
    waiting = (OUTBOX.c.endpoint_id == endpoint_id) & (OUTBOX.c.state == "pending")
    dead = {"state": "dead", "last_error": f"the channel is disabled: {reason}", "done_at": now}
    lost = connection.execute(sqlalchemy.update(OUTBOX).where(waiting).values(dead)).rowcount
    endpoint = connection.execute(sqlalchemy.select(ENDPOINTS).where(this)).one()
    rules = sqlalchemy.select(RULE_ENDPOINTS.c.rule_id).where(RULE_ENDPOINTS.c.endpoint_id == endpoint_id)
    same_rules = sqlalchemy.select(RULE_ENDPOINTS.c.endpoint_id).where(RULE_ENDPOINTS.c.rule_id.in_(rules))
    enabled = sqlalchemy.select(ENDPOINTS.c.endpoint_id).where(ENDPOINTS.c.disabled_at.is_(None))
    others = connection.scalars(enabled.where(ENDPOINTS.c.endpoint_id.in_(same_rules))).all()
    facts = (
        ("Why", reason),
        ("Lost", f"{lost} waiting messages; `hanzo-reports outbox list --state dead` shows them"),
        (
            "Resolves",
            f"`hanzo-reports alerts channels enable {endpoint.name}`, then `hanzo-reports outbox resend --dead`",
        ),
    )
    notice = Notice(
        f"channel:{endpoint_id}", "", int(now.timestamp()), "disabled", Action.INFORM, "warning", now,
        f"The channel {endpoint.name} ({endpoint.kind}) is disabled", facts,
        data={"channel": endpoint.name, "reason": reason},
    )  # fmt: skip
    enqueue(connection, [(notice, others or connection.scalars(enabled).all())], now)
