"""Stores: create one, copy one into another."""

from typing import Annotated

import typer

from hanzo_reports.cli.options import TABLE_OR_JSON, DocumentFormat, Options, check_format
from hanzo_reports.cli.output import print_note, print_rows, show_progress
from hanzo_reports.errors import StoreError, StoreVersionError

MAX_LISTED_DAYS = 5


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    for command in (init, copy):
        app.command()(command)


def init(
    context: typer.Context,
    store: Annotated[
        str,
        typer.Option(
            metavar="STORE", help="The store to create; default: the --store before the command.", show_default=False
        ),
    ] = "",
) -> None:
    """Create an empty store, or migrate the tables of an older version.

    A store that exists and is up to date is not changed.
    """
    options: Options = context.obj
    from hanzo_reports.workspace import open as open_workspace

    address = store or options.store_address
    try:
        workspace = open_workspace(address)
        outcome = "a store exists here already; nothing was changed"
    except StoreVersionError:
        raise
    except StoreError:
        workspace = open_workspace(address, create=True)
        outcome = "ready"
    workspace.store.state.dispose()
    print_note(f"{workspace.store.url}: {outcome}")


def copy(
    context: typer.Context,
    from_: Annotated[str, typer.Option("--from", metavar="STORE", help="The store to copy.", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", metavar="STORE", help="The target; created if it is not a store.", show_default=False)
    ],
    format_: DocumentFormat = "table",
) -> None:
    """Copy the events and the quarantine of a store into another, and compare both.

    An interrupted copy can be repeated: days that are equal in both stores are skipped. The exit code is 1 if counts or
    sums differ at the end.
    """
    options: Options = context.obj
    check_format(format_, TABLE_OR_JSON)
    from hanzo_reports.store import open as open_store
    from hanzo_reports.store.copying import copy_store

    source = open_store(from_)
    target = open_store(to, create=True)
    with show_progress("copying") as report_share:
        result = copy_store(source, target, now=options.instant(), progress=report_share)
    rows = [
        {"what": name, "from": value, "to": result.target[name], "equal": value == result.target[name]}
        for name, value in result.source.items()
    ]
    print_rows(rows, format_, ("what", "from", "to", "equal"))
    print_note(f"{result.accepted:,} events copied, {result.skipped:,} events skipped on days that were equal before")
    if not result.equal:
        days = ", ".join(map(str, result.days[:MAX_LISTED_DAYS])) + (", ..." if result.days[MAX_LISTED_DAYS:] else "")
        place = f"on {len(result.days)} days ({days})" if result.days else "in the quarantine"
        msg = (
            f"{source.url} and {target.url} differ {place}; copy again if events arrived during the copy, or copy "
            "into an empty store if the target has events of its own"
        )
        raise StoreError(msg)
