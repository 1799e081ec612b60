"""What a kind of channel is: how its address is parsed, how a notice is rendered for it, and how that is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from hanzo_reports.delivery.endpoint import Endpoint
    from hanzo_reports.delivery.notice import Notice
    from hanzo_reports.delivery.ssrf import Reply, SsrfPolicy


class Sender(Protocol):
    """Sends messages to one endpoint, and keeps the distance between them that its service asks for."""

    def send(self, message_id: str, body: bytes, now: datetime) -> Reply:
        """Makes one attempt.

        Args:
            message_id: the same in each attempt.
            body: the rendered notice, JSON.
            now: the instant of the attempt.
        """


@dataclass(frozen=True)
class Channel:
    """A kind of channel.

    Args:
        kind: the word before the colon of its addresses, for example ``slack``.
        address_form: how an address is written, for help and errors.
        parse: makes an endpoint without id and name of an address, a policy and the allowed Apprise schemes; raises
            ChannelError for an address that cannot be used, without repeating it.
        render: makes the JSON body of a notice; it holds no secrets.
        open_sender: makes the sender of an endpoint.
        read_by_people: whether a resolve replaces a firing that was not sent yet; machines get both.
        has_signing_secret: whether its messages are signed.
    """

    kind: str
    address_form: str
    parse: Callable[[str, SsrfPolicy, Sequence[str]], Endpoint]
    render: Callable[[Notice], Mapping[str, Any]]
    open_sender: Callable[[Endpoint, SsrfPolicy], Sender]
    read_by_people: bool = True
    has_signing_secret: bool = False
