"""PagerDuty's Events API v2: alert events and change events."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from hanzo_reports.delivery.channel import Channel, Sender
from hanzo_reports.delivery.endpoint import Endpoint
from hanzo_reports.delivery.notice import Action, shorten
from hanzo_reports.errors import ChannelError
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.delivery.notice import Notice
    from hanzo_reports.delivery.ssrf import SsrfPolicy

DEFAULT_URL = "https://events.pagerduty.com"
MAX_SUMMARY = 1024  # characters that PagerDuty accepts
_ROUTING_KEY = re.compile(r"[A-Za-z0-9_-]{20,64}")


def parse(address: str, policy: SsrfPolicy, _schemes: Sequence[str]) -> Endpoint:
    """The endpoint of a routing key, with ``@`` and the URL of another region behind it or not."""
    key, _, url = address.partition("@")
    if not _ROUTING_KEY.fullmatch(key):
        msg = "a PagerDuty routing key is 20 to 64 letters and digits, from the integration's Events API v2 page"
        raise ChannelError(msg)
    url = policy.check_url(url or DEFAULT_URL, "pagerduty")
    return Endpoint("", "", "pagerduty", f"***@{urlsplit(url).hostname}", SecretStr(f"{key}@{url.rstrip('/')}"))


def render(notice: Notice) -> dict[str, Any]:
    """An event without its routing key, which is added when it is sent.

    A notice that nothing will resolve is a change event, without `event_action`: it opens no incident.

    Source: PagerDuty Events API v2 (trigger, resolve, dedup_key; change events).
    """
    if notice.action is Action.RESOLVE:
        return {"event_action": "resolve", "dedup_key": notice.incident}
    payload = {
        "summary": shorten(notice.title, MAX_SUMMARY), "source": notice.source, "timestamp": iso(notice.at),
        "custom_details": dict(notice.facts),
    }  # fmt: skip
    links = [{"href": notice.link, "text": "Report"}] if notice.link else []
    if notice.action is Action.INFORM:
        return {"payload": payload, "links": links}
    return {
        "event_action": "trigger", "dedup_key": notice.incident, "client": "hanzo-reports",
        "payload": payload | {"severity": notice.severity}, "links": links,
    }  # fmt: skip


def open_sender(endpoint: Endpoint, policy: SsrfPolicy) -> Sender:
    """The sender of a routing key."""
    from hanzo_reports.delivery.apprise_bridge import PostSender  # noqa: PLC0415  # Apprise is slow to load

    key, _, url = endpoint.address.get_secret_value().partition("@")

    def address(body: str) -> tuple[str, str]:
        event = json.loads(body)
        path = "v2/enqueue" if "event_action" in event else "v2/change/enqueue"
        return f"{url}/{path}", json.dumps({"routing_key": key, **event})

    return PostSender(endpoint.name, policy, address)


CHANNEL = Channel("pagerduty", "pagerduty:KEY", parse, render, open_sender)
