"""Signed posts as Standard Webhooks specifies.

Source: https://www.standardwebhooks.com (specification 1.0: headers, symmetric signatures, rotation).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random_secrets
from typing import TYPE_CHECKING

from hanzo_reports.delivery.ssrf import Reply, SsrfPolicy, post
from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64


def generate_secret() -> str:
    """A signing secret of 32 random bytes."""
    return PREFIX + base64.b64encode(random_secrets.token_bytes(32)).decode()


def validate_secret(text: str) -> str:
    """Returns a signing secret unchanged.

    Raises:
        ChannelError: the text is not ``whsec_`` and the base64 of 24 to 64 bytes.
    """
    try:
        length = len(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if not text.startswith(PREFIX) or not MIN_SECRET_BYTES <= length <= MAX_SECRET_BYTES:
        size = f"{MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
        msg = f"a webhook secret is {PREFIX!r} and the base64 of {size}; leave it out to have one generated"
        raise ChannelError(msg)
    return text


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message: ``v1,`` and the base64 of the HMAC-SHA256 of id, timestamp and body."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def post_signed(  # noqa: PLR0913  # all parts of a signed post
    url: str, secrets: Iterable[str], message_id: str, body: bytes, *, policy: SsrfPolicy, now: datetime
) -> Reply:
    """Makes one signed post.

    Args:
        url: https, or http to an allowed host.
        secrets: signing secrets; two while one is replaced.
        message_id: the same in each attempt.
        body: JSON.
        policy: the hosts that may be posted to.
        now: the instant of the attempt.
    """
    timestamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }
    return post(url, headers, body, policy, now)
