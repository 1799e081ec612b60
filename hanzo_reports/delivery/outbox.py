"""The outbox: what is to be told, written in the transaction that made it true, and kept until it is told.

Delivery is at least once. A message is claimed with a lease, sent, and recorded; a process that dies in between leaves
a lease that runs out, and the same id is sent again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite

from hanzo_reports.delivery.notice import Action, Notice, body
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
PAUSE = timedelta(minutes=1)  # the longest that one failing message keeps an endpoint's others waiting
PATIENCE = timedelta(days=5)  # with an endpoint that only fails
PEOPLE = ("slack", "pagerduty", "apprise")  # who reads a resolve need not read the firing that never arrived
GONE = 410


@dataclass(frozen=True)
class Claimed:
    """One message that is ours to send until its lease runs out.

    Args:
        message_id: the same in each attempt.
        endpoint_id: where to.
        body: as it is sent, but for secrets.
        attempts: how many came before.
        owner: who holds the lease.
    """

    message_id: str
    endpoint_id: str
    body: bytes
    attempts: int
    owner: str


def enqueue(connection: sqlalchemy.Connection, notices: Iterable[tuple[Notice, Collection[str]]], now: datetime) -> int:
    """Notices put into the outbox, each once for each endpoint, within the caller's transaction.

    A resolve takes the place of what was not sent yet of its episode, where people read it; machines get both.

    Args:
        connection: of the transaction that made them true.
        notices: each with the ids of the endpoints that it goes to, in the order in which they are to be sent.
        now: when they are due.

    Returns:
        How many messages are new.
    """
    rows = connection.execute(sqlalchemy.select(ENDPOINTS.c.endpoint_id, ENDPOINTS.c.kind, ENDPOINTS.c.disabled_at))
    known = {row.endpoint_id: row for row in rows}
    dialect = connection.dialect.name
    insert: Any = sqlalchemy.dialects.sqlite.insert if dialect == "sqlite" else sqlalchemy.dialects.postgresql.insert
    same = sqlalchemy.select(sqlalchemy.func.max(OUTBOX.c.position)).where(OUTBOX.c.created_at == now)
    last, new = connection.scalar(same), 0
    for position, (notice, endpoints) in enumerate(notices, 0 if last is None else last + 1):
        for endpoint_id in endpoints:
            endpoint = known[endpoint_id]
            if notice.action is Action.RESOLVE and endpoint.kind in PEOPLE:
                _supersede(connection, notice, endpoint_id, now)
            row = _row(notice, endpoint, now, position)
            once = insert(OUTBOX).values(row).on_conflict_do_nothing().returning(OUTBOX.c.message_id)
            new += len(connection.execute(once).all())
    return new


def _row(notice: Notice, endpoint: Any, now: datetime, position: int) -> dict[str, Any]:  # noqa: ANN401  # a row
    key = "|".join((endpoint.endpoint_id, notice.source, notice.group, str(notice.episode), notice.kind))
    dead = endpoint.disabled_at is not None
    return {
        "message_id": f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}", "dedupe_key": key,
        "endpoint_id": endpoint.endpoint_id, "thread": notice.thread, "episode": notice.episode, "kind": notice.kind,
        "title": notice.title, "body": body(endpoint.kind, notice), "state": "dead" if dead else "pending",
        "attempts": 0, "created_at": now, "position": position, "next_at": now,
        "last_error": "the channel is disabled" if dead else None, "done_at": now if dead else None,
    }  # fmt: skip


def _supersede(connection: sqlalchemy.Connection, notice: Notice, endpoint_id: str, now: datetime) -> None:
    """What is waiting of the same episode; what is being sent just now is left to whoever sends it."""
    waiting = (
        (OUTBOX.c.endpoint_id == endpoint_id)
        & (OUTBOX.c.thread == notice.thread)
        & (OUTBOX.c.episode == notice.episode)
        & (OUTBOX.c.state == "pending")
        & (OUTBOX.c.lease_until.is_(None) | (OUTBOX.c.lease_until <= now))
    )
    connection.execute(sqlalchemy.update(OUTBOX).where(waiting).values(state="superseded", done_at=now))


def waiting(connection: sqlalchemy.Connection, endpoints: Collection[str], now: datetime) -> list[str]:
    """Which of these endpoints have something due, those that were well last time first."""
    asked = (
        sqlalchemy.select(ENDPOINTS.c.endpoint_id)
        .join(OUTBOX)
        .where(OUTBOX.c.state == "pending", OUTBOX.c.next_at <= now, ENDPOINTS.c.endpoint_id.in_(endpoints))
        .group_by(ENDPOINTS.c.endpoint_id)
        .order_by(ENDPOINTS.c.failing_since.asc().nulls_first(), sqlalchemy.func.min(OUTBOX.c.next_at))
    )
    return list(connection.scalars(asked))


def claim(
    engine: sqlalchemy.Engine, endpoints: Collection[str], owner: str, now: datetime, lease: timedelta
) -> Claimed | None:
    """The next message that is due, leased; None: there is none.

    A message waits for the earlier ones of its thread, so that no resolve overtakes its firing.

    Args:
        engine: of the state database.
        endpoints: ids of those that can be sent to.
        owner: a name of our own.
        now: the instant.
        lease: longer than an attempt can take.
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
    return None if row is None else Claimed(row.message_id, row.endpoint_id, bytes(row.body), row.attempts, owner)


def record(engine: sqlalchemy.Engine, claimed: Claimed, reply: Reply, now: datetime) -> str:
    """What came of an attempt, written down; the message's state after it.

    2xx is sent. 410 disables the endpoint; other 4xx and refused targets are dead at once. 429 and all the rest are
    tried again by the schedule, no sooner than the receiver asks for, and die after the last attempt.
    """
    attempts = claimed.attempts + 1
    state, wait = _outcome(claimed.message_id, attempts, reply)
    change: dict[str, Any] = {
        "state": state, "attempts": attempts, "last_status": reply.status, "last_error": reply.error or None,
        "lease_owner": None, "lease_until": None, "next_at": now + wait,
        "done_at": None if state == "pending" else now,
    }  # fmt: skip
    ours = (OUTBOX.c.message_id == claimed.message_id) & (OUTBOX.c.lease_owner == claimed.owner)
    with engine.begin() as connection:
        if not connection.execute(sqlalchemy.update(OUTBOX).where(ours).values(change)).rowcount:
            return "lost"
        tried = sqlalchemy.select(sqlalchemy.func.count()).where(ATTEMPTS.c.message_id == claimed.message_id)
        line = {"message_id": claimed.message_id, "n": connection.scalar(tried), "at": now}
        connection.execute(sqlalchemy.insert(ATTEMPTS).values(**line, status=reply.status, error=reply.error or None))
        _judge(connection, claimed.endpoint_id, reply, wait, now)
    return state


def _outcome(message_id: str, attempts: int, reply: Reply) -> tuple[str, timedelta]:
    if reply.ok:
        return "sent", timedelta()
    if reply.final or attempts >= len(SCHEDULE):
        return "dead", timedelta()
    return "pending", max(delay(message_id, attempts), timedelta(seconds=reply.retry_after or 0))


def delay(message_id: str, attempts: int) -> timedelta:
    """The wait after so many attempts, up to a tenth longer; the same for a message each time it is asked."""
    share = int.from_bytes(hashlib.sha256(f"{message_id}{attempts}".encode()).digest()[:4]) / 2**32
    return SCHEDULE[attempts] * (1 + JITTER * share)


def _judge(connection: sqlalchemy.Connection, endpoint_id: str, reply: Reply, wait: timedelta, now: datetime) -> None:
    """What an attempt says of its endpoint: well, to be left alone for a while, or disabled."""
    this = ENDPOINTS.c.endpoint_id == endpoint_id
    if reply.ok:
        connection.execute(sqlalchemy.update(ENDPOINTS).where(this).values(failing_since=None, retry_at=None))
        return
    held = connection.execute(sqlalchemy.select(ENDPOINTS).where(this)).one()
    since = held.failing_since or now
    pause = wait if reply.retry_after else min(wait, PAUSE)
    connection.execute(
        sqlalchemy.update(ENDPOINTS).where(this).values(failing_since=since, retry_at=now + pause if pause else None)
    )
    if reply.status == GONE:
        disable(connection, endpoint_id, "the receiver says that it is gone for good (HTTP 410)", now)
    elif now - since >= PATIENCE:
        disable(connection, endpoint_id, f"it has failed for {PATIENCE.days} days: {reply.error}", now)


def disable(connection: sqlalchemy.Connection, endpoint_id: str, reason: str, now: datetime) -> None:
    """An endpoint used no more: what waits for it is dead, and the others of its rules are told, or else all."""
    this = ENDPOINTS.c.endpoint_id == endpoint_id
    change = sqlalchemy.update(ENDPOINTS).where(this, ENDPOINTS.c.disabled_at.is_(None))
    if not connection.execute(change.values(disabled_at=now, disabled_reason=reason)).rowcount:
        return
    waiting = (OUTBOX.c.endpoint_id == endpoint_id) & (OUTBOX.c.state == "pending")
    dead = {"state": "dead", "last_error": f"the channel is disabled: {reason}", "done_at": now}
    lost = connection.execute(sqlalchemy.update(OUTBOX).where(waiting).values(dead)).rowcount
    held = connection.execute(sqlalchemy.select(ENDPOINTS).where(this)).one()
    rules = sqlalchemy.select(RULE_ENDPOINTS.c.rule_id).where(RULE_ENDPOINTS.c.endpoint_id == endpoint_id)
    beside = sqlalchemy.select(RULE_ENDPOINTS.c.endpoint_id).where(RULE_ENDPOINTS.c.rule_id.in_(rules))
    living = sqlalchemy.select(ENDPOINTS.c.endpoint_id).where(ENDPOINTS.c.disabled_at.is_(None))
    others = connection.scalars(living.where(ENDPOINTS.c.endpoint_id.in_(beside))).all()
    facts = (
        ("Why", reason),
        ("Lost", f"{lost} waiting messages; `hanzo-reports outbox list --state dead` shows them"),
        ("Resolves", f"`hanzo-reports alerts channels enable {held.name}`, then `hanzo-reports outbox resend --dead`"),
    )
    notice = Notice(
        f"channel:{endpoint_id}", "", int(now.timestamp()), "disabled", Action.INFORM, "warning", now,
        f"The channel {held.name} ({held.kind}) is disabled", facts, data={"channel": held.name, "reason": reason},
    )  # fmt: skip
    enqueue(connection, [(notice, others or connection.scalars(living).all())], now)
