"""Options that several commands share: those before the command, those of queries, and how their values are parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.output import print_note
from hanzo_reports.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import sqlalchemy

    from hanzo_reports.deployment import Deployment
    from hanzo_reports.workspace import Workspace

FORMATS = ("table", "json", "csv")
TABLE_OR_JSON = ("table", "json")

Range = Annotated[
    str,
    typer.Option(
        "--range", "-r", metavar="RANGE",
        help="The time range: 24h, 7d, today, mtd, last_month, 2025-06-01..2025-06-07, all, ...",
    ),
]  # fmt: skip
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by", "-b", metavar="NAMES", help="Dimensions to group by, such as model,project.", show_default=False
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics", "-m", metavar="NAMES", help="Metrics to compute; `hanzo-reports metrics` lists them.",
        show_default=False,
    ),
]  # fmt: skip
Every = Annotated[
    str,
    typer.Option(metavar="GRAIN", help="Time buckets: minute, 5m, 15m, hour, day, week or month.", show_default=False),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where", "-w", metavar="NAME=VALUE", show_default=False,
        help="Keep events with this value; repeat for several values or names. An empty value means unknown.",
    ),
]  # fmt: skip
Top = Annotated[
    int | None, typer.Option(metavar="N", help="Keep the N largest groups; the others become one row, 'other'.")
]
Format = Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="Output format: table, json or csv.")]
DocumentFormat = Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="Output format: table or json.")]


@dataclass(frozen=True)
class Options:
    """The options that stand before the command.

    Args:
        store: a folder or a database address; empty: not given.
        timezone: IANA name.
        now: ISO 8601; empty: the clock.
    """

    store: str
    timezone: str
    now: str

    @property
    def store_address(self) -> str:
        """The address of the store, or that of the default one."""
        return self.store or "./warehouse"

    @property
    def deployment(self) -> Deployment:
        """The deployment of these options and the environment, created anew."""
        from hanzo_reports.deployment import Deployment

        return Deployment(self.store_address, self.timezone, self.now)

    def instant(self) -> datetime:
        """The instant that ranges end at, UTC."""
        from hanzo_reports.window import parse_instant

        return parse_instant(self.now, self.timezone) if self.now else datetime.now(UTC)

    def workspace(self, *, create: bool = False) -> Workspace:
        """Opens the workspace on the store."""
        from hanzo_reports.workspace import open as open_workspace

        return open_workspace(self.store_address, timezone=self.timezone, now=self.instant(), create=create)


def store_channels(
    deployment: Deployment, connection: sqlalchemy.Connection, channels: Iterable[str], *, literal: bool
) -> list[str]:
    """Stores the channels given by address, and returns the endpoint ids of all; see `Deployment.endpoints`.

    Each new address is printed in its masked form.
    """
    ids, stored = deployment.endpoints(connection, channels, literal=literal)
    for endpoint in stored:
        print_note(f"channel {endpoint.name}: {endpoint.kind} {endpoint.label}")
    return ids


def split_words(values: Iterable[str]) -> list[str]:
    """The words of an option that is repeated, or given once with commas.

    >>> split_words(["model,project", "user"])
    ['model', 'project', 'user']
    """
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def parse_pairs(values: Iterable[str], option: str) -> dict[str, list[str]]:
    """The values of each name in an option that is given as NAME=VALUE.

    >>> parse_pairs(["model=a", "model=b", "project="], "--where")
    {'model': ['a', 'b'], 'project': ['']}
    """
    pairs: dict[str, list[str]] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name:
            msg = f"{option} {text!r}: give name=value"
            raise UsageError(msg)
        pairs.setdefault(name.strip(), []).append(value)
    return pairs


def parse_unique_pairs(values: Iterable[str], option: str) -> dict[str, str]:
    """As `parse_pairs`, for options where each name has one value."""
    pairs = parse_pairs(values, option)
    for name, texts in pairs.items():
        if len(texts) > 1:
            msg = f"{option} {name} is given {len(texts)} times; give it once"
            raise UsageError(msg)
    return {name: texts[0] for name, texts in pairs.items()}


def check_format(name: str, known: Sequence[str] = FORMATS) -> None:
    """Raises an UnknownNameError for an unknown output format, before any work."""
    if name not in known:
        raise UnknownNameError("format", name, known)
