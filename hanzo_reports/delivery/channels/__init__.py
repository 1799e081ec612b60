"""The kinds of channels: each module here defines one as `CHANNEL`, and is found by being here.

Others use `channel_kinds`, `find_channel` and `render_body`.
"""

from __future__ import annotations

import json
import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from hanzo_reports.errors import UnknownNameError

if TYPE_CHECKING:
    from hanzo_reports.delivery.channel import Channel
    from hanzo_reports.delivery.notice import Notice


@cache
def channel_kinds() -> dict[str, Channel]:
    """Every kind of channel by its name, in alphabetical order."""
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {channel.kind: channel for channel in sorted((each.CHANNEL for each in modules), key=lambda each: each.kind)}


def find_channel(kind: str) -> Channel:
    """The kind of channel of that name.

    Raises:
        UnknownNameError: no channel is of that kind, for example one that a newer version stored.
    """
    if kind not in channel_kinds():
        raise UnknownNameError("kind of channel", kind, channel_kinds())
    return channel_kinds()[kind]


def render_body(kind: str, notice: Notice) -> bytes:
    """The body of a notice for a kind of channel, JSON; it holds no secrets."""
    return json.dumps(find_channel(kind).render(notice), ensure_ascii=False, separators=(",", ":")).encode()
