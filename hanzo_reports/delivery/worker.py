"""The worker that empties the outbox: claim, send, record, until nothing is due; one thread an endpoint."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from hanzo_reports.delivery.channels import find_channel
from hanzo_reports.delivery.endpoints import enabled_endpoints
from hanzo_reports.delivery.outbox import claim_next, endpoints_with_due_messages, record_attempt
from hanzo_reports.delivery.ssrf import Reply
from hanzo_reports.errors import ReportsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import sqlalchemy

    from hanzo_reports.delivery.channel import Sender
    from hanzo_reports.delivery.endpoint import Endpoint
    from hanzo_reports.delivery.sealing import Vault
    from hanzo_reports.delivery.ssrf import SsrfPolicy

MAX_PARALLEL_ENDPOINTS = 16
LEASE_MARGIN = timedelta(seconds=20)  # beyond the timeout: distance between messages, and recording


@dataclass(frozen=True)
class DeliveryResult:
    """The result of one delivery.

    Args:
        sent: messages that their receivers accepted.
        retried: messages that will be retried.
        dead: messages that will not be retried.
        failures: channel and error of each failed attempt.
    """

    sent: int = 0
    retried: int = 0
    dead: int = 0
    failures: tuple[str, ...] = field(default=())


def deliver(
    engine: sqlalchemy.Engine,
    vault: Vault,
    policy: SsrfPolicy,
    clock: Callable[[], datetime],
    time_limit: timedelta | None = None,
) -> DeliveryResult:
    """Sends every message that is due; several processes may do so at once.

    Endpoints are served in parallel, those whose last attempt succeeded first. After a failure an endpoint is left
    alone until the next delivery, so a receiver that hangs costs one timeout and delays no other.

    Args:
        engine: of the state database.
        vault: decrypts the endpoints' secrets.
        policy: the hosts that may be posted to.
        clock: returns the current instant.
        time_limit: how long to start new attempts; None: until nothing is due.

    Raises:
        ChannelError: an endpoint's secrets cannot be decrypted; nothing was claimed.
    """
    with engine.connect() as connection:
        endpoints = enabled_endpoints(connection, vault)
        due = endpoints_with_due_messages(connection, endpoints, clock())
    if not due:
        return DeliveryResult()
    deadline = None if time_limit is None else time.monotonic() + time_limit.total_seconds()
    run = _Run(engine, policy, clock, uuid4().hex, deadline)
    with ThreadPoolExecutor(min(len(due), MAX_PARALLEL_ENDPOINTS)) as pool:
        results = list(pool.map(run.deliver_to, [endpoints[endpoint_id] for endpoint_id in due]))
    counts = sum((counts for counts, _ in results), Counter[str]())
    failures = tuple(failure for _, failures in results for failure in failures)
    return DeliveryResult(counts["sent"], counts["pending"], counts["dead"], failures)


@dataclass(frozen=True)
class _Run:
    """What the threads of one delivery share."""

    engine: sqlalchemy.Engine
    policy: SsrfPolicy
    clock: Callable[[], datetime]
    owner: str
    deadline: float | None

    def deliver_to(self, endpoint: Endpoint) -> tuple[Counter[str], list[str]]:
        """Sends what is due for one endpoint in order until it fails; returns states of messages, and failures."""
        counts: Counter[str] = Counter()
        failures = []
        sender: Sender | None = None
        lease = timedelta(seconds=self.policy.timeout) + LEASE_MARGIN
        while self.deadline is None or time.monotonic() < self.deadline:
            message = claim_next(self.engine, [endpoint.endpoint_id], self.owner, self.clock(), lease)
            if message is None:
                break
            try:
                sender = sender or find_channel(endpoint.kind).open_sender(endpoint, self.policy)
                reply = sender.send(message.message_id, message.body, self.clock())
            except ReportsError as error:  # its text holds no secret
                reply = Reply(ok=False, error=str(error), refused=True)
            except Exception as error:  # noqa: BLE001  # from a library; its text may hold the address
                reply = Reply(ok=False, error=f"the message could not be sent: {type(error).__name__}")
            counts[record_attempt(self.engine, message, reply, self.clock())] += 1
            if not reply.ok:
                failures.append(f"{endpoint.name}: {reply.error}")
                if not reply.final:
                    break
        return counts, failures
