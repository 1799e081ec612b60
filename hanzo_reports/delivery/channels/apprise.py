"""Any other service that Apprise knows and the operator allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hanzo_reports.delivery.channel import Channel, Sender
from hanzo_reports.delivery.endpoint import Endpoint
from hanzo_reports.delivery.notice import render_plain
from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.delivery.notice import Notice
    from hanzo_reports.delivery.ssrf import SsrfPolicy

_TYPES = {"trigger": "failure", "resolve": "success", "inform": "info"}


def parse(address: str, policy: SsrfPolicy, schemes: Sequence[str]) -> Endpoint:
    """The endpoint of an Apprise URL whose scheme is allowed."""
    from hanzo_reports.delivery.apprise_bridge import check_apprise_url  # noqa: PLC0415  # Apprise is slow to load

    scheme = address.partition("://")[0].lower()[:20]
    if scheme not in schemes:
        allowed = ", ".join(schemes) or "none"
        msg = f"the Apprise scheme {scheme!r} is not allowed here (allowed: {allowed}); HANZO_REPORTS_APPRISE={scheme}"
        raise ChannelError(msg)
    check_apprise_url(address, policy)
    return Endpoint("", "", "apprise", f"{scheme}://***", SecretStr(address))


def render(notice: Notice) -> dict[str, Any]:
    """Title, text and type, which Apprise's plugin makes into the service's own form."""
    return {"title": notice.title, "body": render_plain(notice) or notice.title, "type": _TYPES[notice.action]}


def open_sender(endpoint: Endpoint, policy: SsrfPolicy) -> Sender:
    """The sender of an Apprise URL."""
    from hanzo_reports.delivery.apprise_bridge import AppriseSender  # noqa: PLC0415  # Apprise is slow to load

    return AppriseSender(endpoint.address.get_secret_value(), policy)


CHANNEL = Channel("apprise", "apprise:SCHEME://...", parse, render, open_sender)
