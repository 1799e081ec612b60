"""What commands share: the global options, how option values are split, how answers and talk are printed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hanzo_reports.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from hanzo_reports.deployment import Deployment
    from hanzo_reports.result import Result
    from hanzo_reports.workspace import Workspace

FORMATS = ("table", "json", "csv")
WIDE = 240  # columns of a table that goes into a file or a pipe


@dataclass(frozen=True)
class Options:
    """The options that stand before the command.

    Args:
        store: a folder or a database's address; empty: not given.
        timezone: IANA name.
        now: ISO 8601; empty: the clock's.
    """

    store: str
    timezone: str
    now: str

    @property
    def place(self) -> str:
        """The store that they name, or the usual one."""
        return self.store or "./warehouse"

    @property
    def deployment(self) -> Deployment:
        """What they and the environment deploy, opened anew."""
        from hanzo_reports.deployment import Deployment

        return Deployment(self.place, self.timezone, self.now)

    def instant(self) -> datetime:
        """The instant that ranges end at, UTC."""
        from hanzo_reports.window import parse_instant

        return parse_instant(self.now, self.timezone) if self.now else datetime.now(UTC)

    def workspace(self, *, create: bool = False) -> Workspace:
        """The workspace they name."""
        from hanzo_reports.workspace import open as opened

        return opened(self.place, timezone=self.timezone, now=self.instant(), create=create)


def say(text: str) -> None:
    """Talk: on stderr, so that stdout holds nothing but the answer."""
    sys.stderr.write(f"{text}\n")


def store_channels(
    deployment: Deployment, connection: sqlalchemy.Connection, channels: Iterable[str], *, literal: bool
) -> list[str]:
    """The ids of the endpoints that some texts name, as `Deployment.endpoints`; each address is reported masked."""
    ids, stored = deployment.endpoints(connection, channels, literal=literal)
    for endpoint in stored:
        say(f"channel {endpoint.name}: {endpoint.kind} {endpoint.label}")
    return ids


def words(given: Iterable[str]) -> list[str]:
    """Names of an option that is repeated, or given once with commas.

    >>> words(["model,project", "user"])
    ['model', 'project', 'user']
    """
    return [word.strip() for part in given for word in part.split(",") if word.strip()]


def pairs(given: Iterable[str], option: str) -> dict[str, list[str]]:
    """The values of each name in an option that is given as name=value.

    >>> pairs(["model=a", "model=b", "project="], "--where")
    {'model': ['a', 'b'], 'project': ['']}
    """
    found: dict[str, list[str]] = {}
    for part in given:
        name, equals, value = part.partition("=")
        if not equals or not name:
            msg = f"{option} {part!r}: give name=value"
            raise UsageError(msg)
        found.setdefault(name.strip(), []).append(value)
    return found


def single(given: Iterable[str], option: str) -> dict[str, str]:
    """As `pairs`, for options where each name has one value."""
    found = pairs(given, option)
    for name, values in found.items():
        if len(values) > 1:
            msg = f"{option} {name} is given {len(values)} times; give it once"
            raise UsageError(msg)
    return {name: values[0] for name, values in found.items()}


def checked_format(name: str, known: Sequence[str] = FORMATS) -> str:
    """An output format; an unknown one is named before any work."""
    if name not in known:
        raise UnknownNameError("format", name, known)
    return name


def answer(result: Result, fmt: str) -> None:
    """A result on stdout."""
    if fmt == "table":
        _draw(result)
    else:
        _write(str(result.to_json() if fmt == "json" else result.to_csv()))


def listing(rows: Sequence[Mapping[str, Any]], fmt: str, columns: Sequence[str]) -> None:
    """Rows that are no metrics on stdout."""
    if fmt == "json":
        import json

        _write(json.dumps(rows, indent=2, default=str))
    elif fmt == "csv":
        import csv

        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*(Text("-" if row[name] is None else str(row[name]), overflow="fold") for name in columns))
        _draw(table)


def money_listing(rows: Sequence[Mapping[str, Any]], fmt: str) -> None:
    """Rows of amounts on stdout: exact in JSON (a number with its own digits) and CSV, readable in a table."""
    from decimal import Decimal

    from hanzo_reports.export.tables import format_json_row
    from hanzo_reports.formats import format_decimal, format_value
    from hanzo_reports.units import Unit

    columns = tuple(rows[0]) if rows else ()
    if fmt == "json":
        lines = ",\n ".join(format_json_row(dict(row)) for row in rows)
        _write(f"[{lines}]")
    elif fmt == "csv":
        exact = [{n: format_decimal(v) if isinstance(v, Decimal) else v for n, v in row.items()} for row in rows]
        listing(exact, fmt, columns)
    elif rows:

        def cell(value: object) -> object:
            if isinstance(value, Decimal):
                return format_value(value, Unit.USD, "terminal")
            return f"{value:.3g}" if isinstance(value, float) else value

        listing([{name: cell(value) for name, value in row.items()} for row in rows], fmt, columns)


def _draw(thing: object) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDE).print(thing)


def _write(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
