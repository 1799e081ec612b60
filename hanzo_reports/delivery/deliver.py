"""Emptying the outbox: claim, send, record, until nothing is due."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from hanzo_reports.delivery import webhooks
from hanzo_reports.delivery.endpoints import all_opened
from hanzo_reports.delivery.outbox import Claimed, claim, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import sqlalchemy

    from hanzo_reports.delivery.endpoints import Endpoint
    from hanzo_reports.delivery.guard import Guard, Reply
    from hanzo_reports.delivery.sealing import Vault

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
    engine: sqlalchemy.Engine, vault: Vault, guard: Guard, clock: Callable[[], datetime], limit: int = 10_000
) -> Delivered:
    """Everything that is due, sent; several processes may do so at once.

    Args:
        engine: of the state database.
        vault: what opens the endpoints' secrets.
        guard: who may be posted to.
        clock: gives the instant.
        limit: so many attempts at most.

    Raises:
        ChannelError: an endpoint's secrets cannot be opened; nothing was claimed.
    """
    with engine.connect() as connection:
        endpoints = all_opened(connection, vault)
    channels: dict[str, _Channel] = {}
    owner, lease = uuid4().hex, timedelta(seconds=guard.timeout) + SPARE
    counts: Counter[str] = Counter()
    failures = []
    for _ in range(limit):
        claimed = claim(engine, endpoints, owner, clock(), lease)
        if claimed is None:
            break
        endpoint = endpoints[claimed.endpoint_id]
        if endpoint.endpoint_id not in channels:
            channels[endpoint.endpoint_id] = _channel(endpoint, guard)
        reply = channels[endpoint.endpoint_id].send(claimed, clock())
        counts[record(engine, claimed, reply, clock())] += 1
        if not reply.ok:
            failures.append(f"{endpoint.name}: {reply.error}")
    return Delivered(counts["sent"], counts["pending"], counts["dead"], tuple(failures))


def _channel(endpoint: Endpoint, guard: Guard) -> _Channel:
    if endpoint.kind == "webhook":
        return _Webhook(endpoint, guard)
    from hanzo_reports.delivery.channels import channel  # noqa: PLC0415  # Apprise is slow to load

    return channel(endpoint, guard)
