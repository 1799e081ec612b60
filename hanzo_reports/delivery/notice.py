"""A notice: one thing to report, before its channel is known, and its forms as text and Markdown."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Action(StrEnum):
    """What a notice does to an incident."""

    TRIGGER = "trigger"
    RESOLVE = "resolve"
    INFORM = "inform"


@dataclass(frozen=True)
class Notice:
    """One thing to report.

    Args:
        source: the id of the rule or budget that it is about.
        group: which of its groups; empty if it has none.
        episode: which firing, or period, it belongs to.
        kind: what it reports, unique within the episode: ``firing``, ``reminder:2``, ``threshold:0.9``.
        action: what it does to an incident.
        severity: critical, warning or info.
        at: the instant at which it became true.
        title: a complete summary in one line.
        facts: label and text of each further line.
        link: a URL with more; may be empty.
        data: the same for programs: JSON values, money as decimal text.
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
        """What its messages share; messages of one thread keep their order."""
        return f"{self.source}|{self.group}"

    @property
    def incident(self) -> str:
        """The key of the incident that it belongs to, the same in each episode."""
        return f"hanzo:{self.source}:{hashlib.sha256(self.group.encode()).hexdigest()[:16]}"


def render_plain(notice: Notice) -> str:
    """The notice as text, without its title."""
    lines = [f"{label}: {text}" for label, text in notice.facts]
    return "\n".join([*lines, *([f"Look: {notice.link}"] if notice.link else [])])


def render_markdown(notice: Notice) -> str:
    """The notice as Markdown, with its title."""
    lines = [f"- **{label}:** {_escape_markdown(text)}" for label, text in notice.facts]
    link = [f"- **Look:** <{notice.link}>"] if notice.link else []
    return "\n".join([f"**{_escape_markdown(notice.title)}**", "", *lines, *link])


def shorten(text: str, length: int) -> str:
    """A text of at most so many characters; a longer one ends in an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", text)
