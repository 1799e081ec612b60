"""Emptying the outbox: claim, send, record, until nothing is due; each endpoint in a thread of its own."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from hanzo_reports.delivery import webhooks
from hanzo_reports.delivery.endpoints import all_opened
from hanzo_reports.delivery.outbox import Claimed, claim, record, waiting
from hanzo_reports.delivery.ssrf import Reply
from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import sqlalchemy

    from hanzo_reports.delivery.endpoints import Endpoint
    from hanzo_reports.delivery.sealing import Vault
    from hanzo_reports.delivery.ssrf import Guard

MOST = 16  # endpoints that are served at once
SPARE = timedelta(seconds=20)  # of a lease, beyond the timeout: distance kept between messages, and recording


class _Channel(Protocol):
    def send(self, claimed: Claimed, now: datetime) -> Reply:
        """One attempt."""


@dataclass(frozen=True)
class Delivered:
    """What one delivery did.

    Args:
        sent: messages that their receivers have.
        retried: messages that will be tried again.
        dead: messages that will not.
        failures: channel and error of each that was not sent.
    """

    sent: int = 0
    retried: int = 0
    dead: int = 0
    failures: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Webhook:
    endpoint: Endpoint
    guard: Guard

    def send(self, claimed: Claimed, now: datetime) -> Reply:
        """One attempt."""
        live = [secret.get_secret_value() for secret in self.endpoint.live]
        url = self.endpoint.address.get_secret_value()
        return webhooks.send(url, live, claimed.message_id, claimed.body, guard=self.guard, now=now)


def deliver(
    engine: sqlalchemy.Engine,
    vault: Vault,
    guard: Guard,
    clock: Callable[[], datetime],
    patience: timedelta | None = None,
) -> Delivered:
    """Everything that is due, sent; several processes may do so at once.

    Endpoints are served beside each other, those that were well last time first. One that fails is left alone until
    the next delivery, however much waits for it, so a receiver that hangs costs one timeout and delays no other.

    Args:
        engine: of the state database.
        vault: what opens the endpoints' secrets.
        guard: who may be posted to.
        clock: gives the instant.
        patience: how long to go on beginning attempts; None: until nothing is due.

    Raises:
        ChannelError: an endpoint's secrets cannot be opened; nothing was claimed.
    """
    with engine.connect() as connection:
        endpoints = all_opened(connection, vault)
        due = waiting(connection, endpoints, clock())
    if not due:
        return Delivered()
    until = None if patience is None else time.monotonic() + patience.total_seconds()
    run = _Run(engine, guard, clock, uuid4().hex, until)
    with ThreadPoolExecutor(min(len(due), MOST)) as pool:
        done = list(pool.map(run.emptied, [endpoints[endpoint_id] for endpoint_id in due]))
    counts = sum((counts for counts, _ in done), Counter[str]())
    failures = tuple(failure for _, failures in done for failure in failures)
    return Delivered(counts["sent"], counts["pending"], counts["dead"], failures)


@dataclass(frozen=True)
class _Run:
    """One delivery: what its threads share."""

    engine: sqlalchemy.Engine
    guard: Guard
    clock: Callable[[], datetime]
    owner: str
    until: float | None

    def emptied(self, endpoint: Endpoint) -> tuple[Counter[str], list[str]]:
        """What is due for one endpoint, sent in its order until it fails; states of messages, and failures."""
        counts: Counter[str] = Counter()
        failures = []
        channel: _Channel | None = None
        lease = timedelta(seconds=self.guard.timeout) + SPARE
        while self.until is None or time.monotonic() < self.until:
            claimed = claim(self.engine, [endpoint.endpoint_id], self.owner, self.clock(), lease)
            if claimed is None:
                break
            try:
                channel = channel or _channel(endpoint, self.guard)
                reply = channel.send(claimed, self.clock())
            except ChannelError as error:  # its text holds no secret
                reply = Reply(ok=False, error=str(error), refused=True)
            except Exception as error:  # noqa: BLE001  # of a library; its text may hold the address
                reply = Reply(ok=False, error=f"the message could not be sent: {type(error).__name__}")
            counts[record(self.engine, claimed, reply, self.clock())] += 1
            if not reply.ok:
                failures.append(f"{endpoint.name}: {reply.error}")
                if not reply.final:
                    break
        return counts, failures


def _channel(endpoint: Endpoint, guard: Guard) -> _Channel:
    if endpoint.kind == "webhook":
        return _Webhook(endpoint, guard)
    from hanzo_reports.delivery.channels import channel  # noqa: PLC0415  # Apprise is slow to load

    return channel(endpoint, guard)
