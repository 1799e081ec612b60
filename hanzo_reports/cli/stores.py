"""Stores: make one, copy one into another."""

from typing import Annotated

import typer

from hanzo_reports.cli.files import progress
from hanzo_reports.cli.options import Options, check_format
from hanzo_reports.cli.output import print_note, print_rows
from hanzo_reports.errors import StoreError

DAYS = 5  # differing days that are named


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    for command in (init, copy):
        app.command()(command)


def init(
    context: typer.Context,
    store: Annotated[
        str, typer.Option(metavar="STORE", help="Where; else the store given before the command.", show_default=False)
    ] = "",
) -> None:
    """Make an empty store, or bring the tables of an older version up to date.

    What is there already is left as it is.
    """
    options: Options = context.obj
    from hanzo_reports.workspace import open as opened

    made = opened(store or options.store_address, create=True).store
    made.state.dispose()
    print_note(f"{made.url}: ready")


def copy(
    context: typer.Context,
    from_: Annotated[str, typer.Option("--from", metavar="STORE", help="Where from.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="STORE", help="Where to; made if it is none.", show_default=False)],
    format_: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table or json.")] = "table",
) -> None:
    """Copy a store's events and quarantine into another, and compare both sides.

    A copy that was stopped can just be done again: days that are equal on both sides are skipped. The exit code is 1
    when counts or sums differ at the end.
    """
    options: Options = context.obj
    check_format(format_, ("table", "json"))
    from hanzo_reports.store import open as opened
    from hanzo_reports.store.copying import copy_store

    source = opened(from_)
    target = opened(to, create=True)
    with progress("copying") as moved:
        done = copy_store(source, target, now=options.instant(), progress=moved)
    rows = [
        {"what": name, "from": value, "to": done.target[name], "equal": value == done.target[name]}
        for name, value in done.source.items()
    ]
    print_rows(rows, format_, ("what", "from", "to", "equal"))
    print_note(f"{done.accepted:,} events copied, {done.skipped:,} of days that were equal before")
    if not done.equal:
        days = ", ".join(map(str, done.days[:DAYS])) + (", ..." if len(done.days) > DAYS else "")
        what = f"on {len(done.days)} days ({days})" if done.days else "in the quarantine"
        msg = (
            f"{source.url} and {target.url} differ {what}; copy again if events came in meanwhile, "
            "and into an empty store if the target holds others"
        )
        raise StoreError(msg)
