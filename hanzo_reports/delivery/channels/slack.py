"""Slack's incoming webhooks, and services that understand Slack's blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hanzo_reports.delivery.channel import Channel, Sender
from hanzo_reports.delivery.endpoint import Endpoint, mask_url
from hanzo_reports.delivery.notice import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.delivery.notice import Notice
    from hanzo_reports.delivery.ssrf import SsrfPolicy

MAX_HEADER, MAX_SECTION = 150, 3000  # characters that Slack accepts
MESSAGES_PER_SECOND = 1.0
_ICONS = {"trigger": ":red_circle:", "resolve": ":large_green_circle:", "inform": ":large_blue_circle:"}


def parse(address: str, policy: SsrfPolicy, _schemes: Sequence[str]) -> Endpoint:
    """The endpoint of the URL of an incoming webhook."""
    policy.check_url(address, "slack")
    return Endpoint("", "", "slack", mask_url(address), SecretStr(address))


def render(notice: Notice) -> dict[str, Any]:
    """Blocks, and the text that a phone's notification shows.

    Source: Slack Block Kit (header, section, context) in an incoming webhook.
    """
    title = f"{_ICONS[notice.action]} {notice.title}"
    text = "\n".join(f"*{_escape(label)}:* {_escape(fact)}" for label, fact in notice.facts)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": shorten(title, MAX_HEADER), "emoji": True}}
    ]
    if text:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": shorten(text, MAX_SECTION)}})
    if notice.link:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{notice.link}|Open the report>"}]})
    return {"text": _escape(notice.title), "blocks": blocks}


def open_sender(endpoint: Endpoint, policy: SsrfPolicy) -> Sender:
    """The sender of an incoming webhook."""
    from hanzo_reports.delivery.apprise_bridge import PostSender  # noqa: PLC0415  # Apprise is slow to load

    url = endpoint.address.get_secret_value()
    return PostSender(endpoint.name, policy, lambda body: (url, body), MESSAGES_PER_SECOND)


def _escape(text: str) -> str:
    """Slack's own escapes: a group called `<!channel>` notifies nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


CHANNEL = Channel("slack", "slack:https://hooks.slack.com/services/...", parse, render, open_sender)
