"""What the commands of alerts and delivery share: the state database, secrets, and how this deployment speaks."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hanzo_reports.cli.options import say, words
from hanzo_reports.errors import ChannelError
from hanzo_reports.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    import sqlalchemy

    from hanzo_reports.alerts.texts import Voice
    from hanzo_reports.cli.options import Options
    from hanzo_reports.delivery.deliver import Delivered
    from hanzo_reports.delivery.guard import Guard
    from hanzo_reports.delivery.sealing import Vault
    from hanzo_reports.workspace import Workspace

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Desk:
    """One deployment's alerts.

    Args:
        options: the options that stand before the command.
    """

    options: Options

    @cached_property
    def settings(self) -> Settings:
        """The deployment's settings."""
        return Settings.read(os.environ)

    @cached_property
    def workspace(self) -> Workspace:
        """The store."""
        return self.options.workspace()

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The state database."""
        return self.workspace.store.state

    @cached_property
    def vault(self) -> Vault:
        """What seals the secrets of channels."""
        from hanzo_reports.delivery.sealing import vault

        return vault(self.settings.secret_key.get_secret_value(), Path(self.settings.key_file).expanduser())

    @cached_property
    def guard(self) -> Guard:
        """Who may be posted to."""
        from hanzo_reports.delivery.guard import Guard

        return Guard(frozenset(word.lower() for word in words([self.settings.allow_hosts])))

    @cached_property
    def voice(self) -> Voice:
        """How messages are worded."""
        from hanzo_reports.alerts.amounts import span
        from hanzo_reports.alerts.texts import Voice

        return Voice(self.options.timezone, self.settings.link, span(self.settings.delay, "HANZO_REPORTS_DELAY"))

    def now(self) -> datetime:
        """The instant: the clock's, unless one was given."""
        return self.options.instant().astimezone(UTC)

    def endpoints(self, connection: sqlalchemy.Connection, channels: Iterable[str], *, literal: bool) -> list[str]:
        """The ids of the endpoints that texts name, new ones kept.

        Args:
            connection: within a transaction.
            channels: names, or addresses in which ``${NAME}`` stands for a variable of the environment.
            literal: whether an address may stand there without such a variable.
        """
        from hanzo_reports.delivery.endpoints import KINDS, keep, named, parse

        found = []
        for text in channels:
            if not re.match(rf"([\w.-]+=)?({'|'.join(KINDS)}):", text):
                found.append(named(connection, text)["endpoint_id"])
                continue
            if not literal and not _VARIABLE.search(text):
                kind = text.partition(":")[0]
                msg = f"an address would stand in the file; give the channel's name, or {kind}:${{NAME}} and set NAME"
                raise ChannelError(msg)
            endpoint = parse(_VARIABLE.sub(_value, text), self.guard, words([self.settings.apprise]))
            kept = keep(connection, self.vault, endpoint, self.now())
            say(f"channel {kept.name}: {kept.kind} {kept.label}")
            found.append(kept.endpoint_id)
        return found

    def deliver(self, patience: timedelta | None = None) -> Delivered:
        """Everything due, sent, as far as there is time for it; what failed is said."""
        from hanzo_reports.delivery.deliver import deliver

        done = deliver(self.engine, self.vault, self.guard, self.now, patience)
        for failure in done.failures:
            say(failure)
        return done


def _value(found: re.Match[str]) -> str:
    value = os.environ.get(found[1], "")
    if not value:
        msg = f"the variable {found[1]} of the environment is not set; set it to the channel's address"
        raise ChannelError(msg)
    return value
