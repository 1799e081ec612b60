"""Channels for people, by Apprise: Slack, PagerDuty, and any other service that the operator allows.

Apprise's own plugins keep the HTTP status only in their log, lose `Retry-After`, and write tokens into a debug log. So
Slack and PagerDuty are small plugins of ours, posting through the guard, and Apprise's log is closed.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import socket
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import apprise

from hanzo_reports.delivery.ssrf import Guard, Reply, post, public
from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from datetime import datetime

    from hanzo_reports.delivery.endpoints import Endpoint
    from hanzo_reports.delivery.outbox import Claimed

_TALKATIVE = ("apprise", "urllib3", "requests")
_MAKING = threading.Lock()  # filters of warnings are those of the whole process
_STATUS = re.compile(r"error=(\d{3})")


class _Plugin(apprise.NotifyBase):
    """A plugin that posts a body as it is, through the guard, and keeps the reply."""

    service_name = "hanzo-reports"  # type: ignore[assignment]  # Apprise declares it as None
    request_rate_per_sec = 0.0
    storage_mode = apprise.PersistentStoreMode.MEMORY

    def __init__(self, endpoint: Endpoint, guard: Guard) -> None:
        super().__init__(asset=_asset())
        self.endpoint, self.guard = endpoint, guard
        self.now: datetime | None = None
        self.reply = Reply(ok=False, error="not sent")

    def url(self, privacy: bool = False, *args: object, **kwargs: object) -> str:  # noqa: FBT001, FBT002
        """Its address, always masked."""
        del privacy, args, kwargs
        return f"hanzo://{self.endpoint.name}"

    def send(self, body: str, title: str = "", notify_type: object = None, **kwargs: object) -> bool:
        """The body, posted."""
        del title, notify_type, kwargs
        if self.now is None:
            return False
        self.throttle()
        url, content = self._target(body)
        headers = {"Content-Type": "application/json"}
        self.reply = post(url, headers, content.encode(), self.guard, self.now)
        return self.reply.ok

    def _target(self, body: str) -> tuple[str, str]:
        return self.endpoint.address.get_secret_value(), body


class _Slack(_Plugin):
    """An incoming webhook of Slack, or of what understands its blocks: one message a second."""

    request_rate_per_sec = 1.0


class _PagerDuty(_Plugin):
    """PagerDuty's Events API v2: alert events and change events; the routing key is added here."""

    def _target(self, body: str) -> tuple[str, str]:
        key, _, url = self.endpoint.address.get_secret_value().partition("@")
        event = json.loads(body)
        path = "v2/enqueue" if "event_action" in event else "v2/change/enqueue"
        return f"{url}/{path}", json.dumps({"routing_key": key, **event})


@dataclass(frozen=True)
class Channel:
    """One endpoint to be sent to; it remembers when it last was, so that messages keep their distance.

    Args:
        plugin: Apprise's, or one of ours.
        guard: who may be posted to.
    """

    plugin: Any
    guard: Guard

    def send(self, claimed: Claimed, now: datetime) -> Reply:
        """One attempt."""
        sender = apprise.Apprise(asset=_asset())
        sender.add(self.plugin)
        text = claimed.body.decode()
        if isinstance(self.plugin, _Plugin):
            self.plugin.now = now
            self.plugin.reply = Reply(ok=False, error="not sent")
            with _quiet:
                sender.notify(body=text)
            return self.plugin.reply
        if refused := _private(self.plugin, self.guard):
            return Reply(ok=False, error=refused, refused=True)
        form = json.loads(text)
        with _quiet:
            result = sender.notify(body=form["body"], title=form["title"], notify_type=form["type"])
        return _reply_of(result)


def channel(endpoint: Endpoint, guard: Guard) -> Channel:
    """The channel of an endpoint of kind slack, pagerduty or apprise."""
    ours = {"slack": _Slack, "pagerduty": _PagerDuty}
    if endpoint.kind in ours:
        return Channel(ours[endpoint.kind](endpoint, guard), guard)
    return Channel(_instance(endpoint.address.get_secret_value()), guard)


def checked_url(url: str, guard: Guard) -> None:
    """An Apprise URL that can be used.

    Raises:
        ChannelError: Apprise cannot read it, or it leads to no public host. The text of it is not repeated.
    """
    if refused := _private(_instance(url), guard):
        msg = f"apprise: {refused}"
        raise ChannelError(msg)


def _instance(url: str) -> Any:  # noqa: ANN401  # one of some 130 plugins
    old = DeprecationWarning  # what its plugins import is full of it
    with _MAKING, _quiet, warnings.catch_warnings(action="ignore", category=old):
        found = apprise.Apprise.instantiate(url, asset=_asset(), suppress_exceptions=True)
    if found is None:
        scheme = url.partition("://")[0][:20]
        msg = f"Apprise cannot read the address after {scheme}://; https://appriseit.com/services has its form"
        raise ChannelError(msg)
    return found


def _private(plugin: Any, guard: Guard) -> str:  # noqa: ANN401
    """Why a plugin's own hosts may not be sent to; empty: they may. Apprise connects by itself: nothing is pinned.

    Some have a second host, such as the server that mail is handed to.
    """
    named = [value for name, value in vars(plugin).items() if name == "host" or name.endswith("_host")]
    for host in {urlsplit(f"//{value}").hostname or "" for value in named if isinstance(value, str)}:
        if not host or host in guard.allowed:
            continue
        try:
            found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
        except (OSError, UnicodeError):
            continue  # many plugins keep a token where a host would stand
        for text in sorted(found):
            if not public(ipaddress.ip_address(text)):
                return f"the host is {text}, which is no public address; an operator can allow it by name"
    return ""


def _reply_of(result: Any) -> Reply:  # noqa: ANN401
    """What Apprise's own plugin says; its log is searched for the status and then dropped, since it may hold tokens."""
    logs = " ".join(str(entry) for service in result.results for entry in service.logs())
    found = _STATUS.search(logs)
    status = int(found[1]) if found and not result else None
    return Reply(
        bool(result), status, error="" if result else f"HTTP {status}" if status else "Apprise could not send it"
    )


def _asset() -> apprise.AppriseAsset:
    return apprise.AppriseAsset(
        app_id="hanzo-reports", app_desc="hanzo-reports", app_url="", image_url_mask="", image_url_logo="",
        http_redirects=False, async_mode=False, storage_mode="memory", service_timeout=0,
        plugin_paths=[], timezone="UTC", secure_logging=True,
    )  # fmt: skip


class _Closed:
    """The logs of Apprise and of its HTTP client closed to every handler: at DEBUG they hold tokens, paths, bodies.

    Several threads may be in it at once: the first closes them, the last one opens them again.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._before: list[tuple[logging.Logger, bool, int, list[logging.Handler]]] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._before = [
                (log, log.propagate, log.level, log.handlers[:]) for log in map(logging.getLogger, _TALKATIVE)
            ]
            for log, *_ in self._before:
                log.propagate, log.handlers = False, [logging.NullHandler()]
                log.setLevel(logging.WARNING)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside:
                return
            for log, propagate, level, handlers in self._before:
                log.propagate, log.handlers = propagate, handlers
                log.setLevel(level)


_quiet = _Closed()
