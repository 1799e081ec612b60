"""Apprise, made fit to carry secrets: its own plugins, and a plugin that posts a finished body.

Apprise's own plugins keep the HTTP status only in their log, lose `Retry-After`, and write tokens into a debug log. So
Slack and PagerDuty use a small plugin that posts under the SSRF policy, and Apprise's log is closed while it works.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import socket
import threading
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import apprise

from hanzo_reports.delivery.ssrf import Reply, SsrfPolicy, is_public, post
from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_NOISY_LOGGERS = ("apprise", "urllib3", "requests")
_INSTANTIATION = threading.Lock()  # warning filters belong to the whole process
_STATUS = re.compile(r"error=(\d{3})")


class _PostPlugin(apprise.NotifyBase):
    """Posts a body unchanged under the SSRF policy, and keeps the reply."""

    service_name = "hanzo-reports"  # type: ignore[assignment]  # Apprise declares it as None
    storage_mode = apprise.PersistentStoreMode.MEMORY

    def __init__(self, name: str, policy: SsrfPolicy, address: Callable[[str], tuple[str, str]]) -> None:
        super().__init__(asset=_asset())
        self.name, self.policy, self.address = name, policy, address
        self.now: datetime | None = None
        self.reply = Reply(ok=False, error="not sent")

    def url(self, privacy: bool = False, *args: object, **kwargs: object) -> str:  # noqa: FBT001, FBT002
        """Its address, always masked."""
        del privacy, args, kwargs
        return f"hanzo://{self.name}"

    def send(self, body: str, title: str = "", notify_type: object = None, **kwargs: object) -> bool:
        """Posts the body."""
        del title, notify_type, kwargs
        if self.now is None:
            return False
        self.throttle()
        url, content = self.address(body)
        self.reply = post(url, {"Content-Type": "application/json"}, content.encode(), self.policy, self.now)
        return self.reply.ok


class PostSender:
    """Sends finished bodies through Apprise.

    Args:
        name: the endpoint's, shown in place of its address.
        policy: the hosts that may be posted to.
        address: gives the URL and the final body of a body; only it knows the secrets.
        messages_per_second: the most that the service accepts; 0: no limit.
    """

    def __init__(
        self,
        name: str,
        policy: SsrfPolicy,
        address: Callable[[str], tuple[str, str]],
        messages_per_second: float = 0.0,
    ) -> None:
        self._plugin = _PostPlugin(name, policy, address)
        self._plugin.request_rate_per_sec = 1 / messages_per_second if messages_per_second else 0.0

    def send(self, _message_id: str, body: bytes, now: datetime) -> Reply:
        """Makes one attempt."""
        self._plugin.now = now
        self._plugin.reply = Reply(ok=False, error="not sent")
        with _closed_logs:
            _deliver_through(self._plugin, body=body.decode())
        return self._plugin.reply


class AppriseSender:
    """Sends titles and texts through one of Apprise's own plugins.

    Args:
        url: the Apprise URL.
        policy: the hosts that may be sent to.
    """

    def __init__(self, url: str, policy: SsrfPolicy) -> None:
        self._plugin, self._policy = _instantiate(url), policy

    def send(self, _message_id: str, body: bytes, now: datetime) -> Reply:
        """Makes one attempt."""
        del now
        if refusal := _explain_refusal(self._plugin, self._policy):
            return Reply(ok=False, error=refusal, refused=True)
        form = json.loads(body)
        with _closed_logs:
            result = _deliver_through(self._plugin, body=form["body"], title=form["title"], notify_type=form["type"])
        return _read_reply(result)


def check_apprise_url(url: str, policy: SsrfPolicy) -> None:
    """Checks that an Apprise URL can be used.

    Raises:
        ChannelError: Apprise cannot read it, or it leads to no public host. Its text is not repeated.
    """
    if refusal := _explain_refusal(_instantiate(url), policy):
        msg = f"apprise: {refusal}"
        raise ChannelError(msg)


def _deliver_through(plugin: Any, **message: Any) -> Any:  # noqa: ANN401  # a plugin and a result of Apprise
    notifier = apprise.Apprise(asset=_asset())
    notifier.add(plugin)
    return notifier.notify(**message)


def _instantiate(url: str) -> Any:  # noqa: ANN401  # one of some 130 plugins
    with _INSTANTIATION, _closed_logs, warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        plugin = apprise.Apprise.instantiate(url, asset=_asset(), suppress_exceptions=True)
    if plugin is None:
        scheme = url.partition("://")[0][:20]
        msg = f"Apprise cannot read the address after {scheme}://; https://appriseit.com/services has its form"
        raise ChannelError(msg)
    return plugin


def _explain_refusal(plugin: Any, policy: SsrfPolicy) -> str:  # noqa: ANN401
    """Why a plugin's hosts may not be sent to; empty if they may. Apprise connects by itself: nothing is pinned.

    Some plugins have a second host, such as the server that mail is handed to.
    """
    values = [value for name, value in vars(plugin).items() if name == "host" or name.endswith("_host")]
    for host in {urlsplit(f"//{value}").hostname or "" for value in values if isinstance(value, str)}:
        if not host or host in policy.allowed_hosts:
            continue
        try:
            addresses = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
        except (OSError, UnicodeError):
            continue  # many plugins keep a token where others keep a host
        for address in sorted(addresses):
            if not is_public(ipaddress.ip_address(address)):
                return f"the host is {address}, which is not a public address; an operator can allow it by name"
    return ""


def _read_reply(result: Any) -> Reply:  # noqa: ANN401
    """The reply of one of Apprise's plugins; its log, which may hold tokens, is searched for the status and dropped."""
    logs = " ".join(str(entry) for service in result.results for entry in service.logs())
    match = _STATUS.search(logs)
    status = int(match[1]) if match and not result else None
    return Reply(
        bool(result), status, error="" if result else f"HTTP {status}" if status else "Apprise could not send it"
    )


def _asset() -> apprise.AppriseAsset:
    return apprise.AppriseAsset(
        app_id="hanzo-reports", app_desc="hanzo-reports", app_url="", image_url_mask="", image_url_logo="",
        http_redirects=False, async_mode=False, storage_mode="memory", service_timeout=0,
        plugin_paths=[], timezone="UTC", secure_logging=True,
    )  # fmt: skip


class _ClosedLogs:
    """Closes the logs of Apprise and of its HTTP client: at DEBUG they hold tokens, paths and bodies.

    Several threads may be inside at once: the first closes the logs, the last one opens them again.
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
                (log, log.propagate, log.level, log.handlers[:]) for log in map(logging.getLogger, _NOISY_LOGGERS)
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


_closed_logs = _ClosedLogs()
