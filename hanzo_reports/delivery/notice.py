"""A notice: one thing to be told, before anybody knows how it will travel; and its forms."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_COLOURS = {"trigger": ":red_circle:", "resolve": ":large_green_circle:", "inform": ":large_blue_circle:"}
_HEADER, _SECTION, _SUMMARY = 150, 3000, 1024  # the longest that Slack and PagerDuty take


class Action(StrEnum):
    """What it does to an incident."""

    TRIGGER = "trigger"
    RESOLVE = "resolve"
    INFORM = "inform"


@dataclass(frozen=True)
class Notice:
    """One thing to be told.

    Args:
        source: the id of the rule or budget that it is about.
        group: which of its groups; empty: it has none.
        episode: which firing, or period, it belongs to.
        kind: what it says, unique within the episode: ``firing``, ``reminder:2``, ``threshold:0.9``.
        action: what it does to an incident.
        severity: critical, warning or info.
        at: when it became true.
        title: one line that says it all.
        facts: label and text of each further line.
        link: where to look; empty: nowhere.
        data: the same for machines: JSON values, money as a decimal text.
    """

    source: str
    group: str
    episode: int
    kind: str
    action: Action
    severity: str
    at: datetime
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    link: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def thread(self) -> str:
        """What its messages have in common; those of one thread keep their order."""
        return f"{self.source}|{self.group}"

    @property
    def incident(self) -> str:
        """The incident of PagerDuty that it belongs to, the same in each episode."""
        return f"hanzo:{self.source}:{hashlib.sha256(self.group.encode()).hexdigest()[:16]}"


def plain(notice: Notice) -> str:
    """The notice as text, without its title."""
    lines = [f"{label}: {text}" for label, text in notice.facts]
    return "\n".join([*lines, *([f"Look: {notice.link}"] if notice.link else [])])


def markdown(notice: Notice) -> str:
    """The notice as Markdown, with its title."""
    lines = [f"- **{label}:** {_escaped(text)}" for label, text in notice.facts]
    link = [f"- **Look:** <{notice.link}>"] if notice.link else []
    return "\n".join([f"**{_escaped(notice.title)}**", "", *lines, *link])


def body(kind: str, notice: Notice) -> bytes:
    """The notice as an endpoint of a kind is sent it; it holds no secrets."""
    forms = {"slack": _slack, "pagerduty": _pagerduty, "webhook": _event, "apprise": _text}
    return json.dumps(forms[kind](notice), ensure_ascii=False, separators=(",", ":")).encode()


def _slack(notice: Notice) -> dict[str, Any]:
    """Blocks, and the text that a phone shows.

    Source: Slack Block Kit (header, section, context) in an incoming webhook.
    """
    title = f"{_COLOURS[notice.action]} {notice.title}"
    text = "\n".join(f"*{_slacked(label)}:* {_slacked(fact)}" for label, fact in notice.facts)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER), "emoji": True}}
    ]
    if text:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _SECTION)}})
    if notice.link:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{notice.link}|Open the report>"}]})
    return {"text": _slacked(notice.title), "blocks": blocks}


def _pagerduty(notice: Notice) -> dict[str, Any]:
    """An event without its routing key, which is added when it is sent.

    What nothing will resolve is a change event, without `event_action`: it opens no incident that would stay open.

    Source: PagerDuty Events API v2 (trigger, resolve, dedup_key; change events).
    """
    if notice.action is Action.RESOLVE:
        return {"event_action": "resolve", "dedup_key": notice.incident}
    told = {
        "summary": _cut(notice.title, _SUMMARY), "source": notice.source, "timestamp": iso(notice.at),
        "custom_details": dict(notice.facts),
    }  # fmt: skip
    links = [{"href": notice.link, "text": "Report"}] if notice.link else []
    if notice.action is Action.INFORM:
        return {"payload": told, "links": links}
    return {
        "event_action": "trigger", "dedup_key": notice.incident, "client": "hanzo-reports",
        "payload": told | {"severity": notice.severity}, "links": links,
    }  # fmt: skip


def _event(notice: Notice) -> dict[str, Any]:
    """Type, timestamp and data, with both texts in it.

    Source: Standard Webhooks, payload structure.
    """
    texts = {"title": notice.title, "text": plain(notice), "markdown": markdown(notice), "link": notice.link}
    about = {"severity": notice.severity, "episode": notice.episode, "incident": notice.incident}
    return {
        "type": f"alert.{notice.kind.partition(':')[0]}",
        "timestamp": iso(notice.at),
        "data": {**notice.data, **about, **texts},
    }


def _text(notice: Notice) -> dict[str, Any]:
    return {
        "title": notice.title,
        "body": plain(notice) or notice.title,
        "type": {"trigger": "failure", "resolve": "success", "inform": "info"}[notice.action],
    }


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", text)


def _slacked(text: str) -> str:
    """Slack's own escapes: a group called `<!channel>` calls nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
