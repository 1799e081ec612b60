"""Webhooks signed as Standard Webhooks specifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hanzo_reports.delivery.channel import Channel
from hanzo_reports.delivery.endpoint import Endpoint, mask_url
from hanzo_reports.delivery.notice import render_markdown, render_plain
from hanzo_reports.delivery.webhooks import post_signed, validate_secret
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hanzo_reports.delivery.notice import Notice
    from hanzo_reports.delivery.ssrf import Reply, SsrfPolicy


def parse(address: str, policy: SsrfPolicy, _schemes: Sequence[str]) -> Endpoint:
    """The endpoint of a URL, with ``#`` and a signing secret of the receiver's own behind it or not."""
    url, _, secret = address.partition("#")
    policy.check_url(url, "webhook")
    secrets = (SecretStr(validate_secret(secret)),) if secret else ()
    return Endpoint("", "", "webhook", mask_url(url), SecretStr(url), secrets)


def render(notice: Notice) -> dict[str, Any]:
    """Type, timestamp and data, with the notice as text and as Markdown in the data.

    Source: Standard Webhooks, payload structure.
    """
    text, markdown = render_plain(notice), render_markdown(notice)
    texts = {"title": notice.title, "text": text, "markdown": markdown, "link": notice.link}
    about = {"severity": notice.severity, "episode": notice.episode, "incident": notice.incident}
    return {
        "type": f"alert.{notice.kind.partition(':')[0]}",
        "timestamp": iso(notice.at),
        "data": {**notice.data, **about, **texts},
    }


@dataclass(frozen=True)
class _Sender:
    endpoint: Endpoint
    policy: SsrfPolicy

    def send(self, message_id: str, body: bytes, now: datetime) -> Reply:
        """Makes one attempt."""
        secrets = [secret.get_secret_value() for secret in self.endpoint.signing_secrets]
        url = self.endpoint.address.get_secret_value()
        return post_signed(url, secrets, message_id, body, policy=self.policy, now=now)


CHANNEL = Channel(
    "webhook", "webhook:https://example.com/hook", parse, render, _Sender, read_by_people=False, has_signing_secret=True
)
