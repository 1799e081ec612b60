"""One deployment: the objects that the CLI, the API and the scheduler create from its settings and share."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hanzo_reports.errors import ChannelError
from hanzo_reports.settings import Settings
from hanzo_reports.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    import sqlalchemy

    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.delivery.endpoint import Endpoint
    from hanzo_reports.delivery.sealing import Vault
    from hanzo_reports.delivery.ssrf import SsrfPolicy
    from hanzo_reports.delivery.worker import DeliveryResult
    from hanzo_reports.workspace import Workspace

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Deployment:
    """The store, the secrets, the SSRF policy and the clock of one deployment.

    Args:
        store: a folder or a database address.
        timezone: the IANA time zone that days and months follow.
        fixed_now: the instant that ranges end at, as ISO 8601; empty: the clock.
    """

    store: str
    timezone: str
    fixed_now: str = ""

    @cached_property
    def settings(self) -> Settings:
        """The settings in the environment."""
        return Settings.read(os.environ)

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace on the store.

        Raises:
            StoreError: no store exists there.
        """
        from hanzo_reports.workspace import open as open_workspace

        return open_workspace(self.store, timezone=self.timezone, now=self.now())

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The state database of the store."""
        return self.workspace.store.state

    @cached_property
    def vault(self) -> Vault:
        """Encrypts and decrypts the secrets of channels."""
        from hanzo_reports.delivery.sealing import open_vault

        return open_vault(self.settings.secret_key.get_secret_value(), Path(self.settings.key_file).expanduser())

    @cached_property
    def ssrf_policy(self) -> SsrfPolicy:
        """The policy for the hosts that messages may be sent to."""
        from hanzo_reports.delivery.ssrf import SsrfPolicy

        return SsrfPolicy(frozenset(self.settings.allowed_hosts))

    @cached_property
    def message_context(self) -> MessageContext:
        """What messages need to know: the time zone, the link to reports and the delay of events."""
        from hanzo_reports.alerts.messages import MessageContext
        from hanzo_reports.parse_values import parse_duration

        return MessageContext(
            self.timezone, self.settings.link, parse_duration(self.settings.delay, "HANZO_REPORTS_DELAY")
        )

    def now(self) -> datetime:
        """The fixed instant, or the clock, in UTC."""
        return (parse_instant(self.fixed_now, self.timezone) if self.fixed_now else datetime.now(UTC)).astimezone(UTC)

    def endpoints(
        self, connection: sqlalchemy.Connection, channels: Iterable[str], *, literal: bool
    ) -> tuple[list[str], list[Endpoint]]:
        """Finds the endpoints of channels by name, and stores those given by address.

        Args:
            connection: within a transaction.
            channels: names, or addresses in which ``${NAME}`` stands for an environment variable.
            literal: whether an address may be given without such a variable.

        Returns:
            The ids of the endpoints in the order of the channels, and the endpoints that were given by address.

        Raises:
            ChannelError: an address cannot be used, a literal address is not allowed, or a variable is not set.
            UnknownNameError: no channel has that name.
        """
        from hanzo_reports.delivery.endpoints import find_endpoint, is_address, parse_channel, store_endpoint

        ids, stored = [], []
        for text in channels:
            if not is_address(text):
                ids.append(find_endpoint(connection, text)["endpoint_id"])
                continue
            if not literal and not _VARIABLE.search(text):
                kind = text.partition(":")[0]
                msg = f"a file must not contain an address; give the channel's name, or {kind}:${{NAME}} and set NAME"
                raise ChannelError(msg)
            endpoint = parse_channel(
                _VARIABLE.sub(_read_variable, text), self.ssrf_policy, self.settings.apprise_schemes
            )
            stored.append(store_endpoint(connection, self.vault, endpoint, self.now()))
            ids.append(stored[-1].endpoint_id)
        return ids, stored

    def deliver(self, time_limit: timedelta | None = None) -> DeliveryResult:
        """Sends the messages that are due, within the time limit."""
        from hanzo_reports.delivery.worker import deliver

        return deliver(self.engine, self.vault, self.ssrf_policy, self.now, time_limit)


def _read_variable(match: re.Match[str]) -> str:
    value = os.environ.get(match[1], "")
    if not value:
        msg = f"the environment variable {match[1]} is not set; set it to the channel's address"
        raise ChannelError(msg)
    return value
