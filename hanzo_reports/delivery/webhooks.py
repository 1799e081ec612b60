"""Webhooks signed as Standard Webhooks says.

Source: https://www.standardwebhooks.com (specification 1.0: headers, symmetric signatures, rotation).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from hanzo_reports.delivery.ssrf import Guard, Reply, post
from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64


def new_secret() -> str:
    """A signing secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def checked_secret(text: str) -> str:
    """A signing secret.

    Raises:
        ChannelError: it is not ``whsec_`` and the base64 of 24 to 64 bytes.
    """
    try:
        length = len(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if not text.startswith(PREFIX) or not SHORTEST <= length <= LONGEST:
        msg = f"a webhook secret is {PREFIX!r} and the base64 of {SHORTEST} to {LONGEST} bytes; leave it out to get one"
        raise ChannelError(msg)
    return text


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature: ``v1,`` and the base64 of the HMAC-SHA256 of id, timestamp and body."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def send(  # noqa: PLR0913  # all that a signed post consists of
    url: str, live: Iterable[str], message_id: str, body: bytes, *, guard: Guard, now: datetime
) -> Reply:
    """One signed post.

    Args:
        url: where to.
        live: signing secrets, one or, while they are changed, two.
        message_id: the same in each attempt.
        body: JSON.
        guard: who may be posted to.
        now: the instant of the attempt.
    """
    timestamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in live),
    }
    return post(url, headers, body, guard, now)
