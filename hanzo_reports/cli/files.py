"""Ingest: load logs into the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hanzo_reports.cli.options import (
    Options,
    check_format,
    parse_unique_pairs,
)
from hanzo_reports.cli.output import print_note, print_rows, show_progress
from hanzo_reports.errors import UnreadableError
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from hanzo_reports.ingest.load import LoadResult


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(ingest)


def ingest(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A source such as litellm, otel or langfuse; any name with --map.")],
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: CSV, JSON lines, Parquet, also gzipped.")],
    map_: Annotated[Path | None, typer.Option("--map", metavar="FILE", help="A mapping of your own, as TOML.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="COLUMN=VALUE",
            help="Set a column to one value in all rows; repeat for more.",
            show_default=False,
        ),
    ] = None,
    guard: Annotated[
        str,
        typer.Option(metavar="SUITE", help="The suite of expectations that rows must meet: events, or a YAML file."),
    ] = "events",
    no_guard: Annotated[  # noqa: FBT002  # Typer reads it so
        bool, typer.Option("--no-guard", help="Accept every row that is a valid event.")
    ] = False,
    format_: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table or json.")] = "table",
) -> None:
    """Load logs, each event once.

    Rows that are not valid events, or that fail the guard, go to the quarantine with the reason and their text. An
    interrupted load can be repeated.
    """
    options: Options = context.obj
    check_format(format_, ("table", "json"))
    constants = parse_unique_pairs(set_ or (), "--set")
    from hanzo_reports.ingest.load import load, plan_load

    suite = "" if no_guard else guard
    plan = plan_load(source, paths, now=options.instant(), mapping_file=map_, constants=constants, suite=suite)
    workspace = options.workspace(create=True)
    with show_progress("loading") as moved:
        loaded = load(workspace.store, plan, moved)
    print_load(loaded, format_)
    if loaded.quarantined == loaded.read:
        held = loaded.verdict.quarantined if loaded.verdict else 0
        why = f"is an event of {source!r}" if not held else f"is accepted, of which the guard holds {held:,} back"
        msg = f"none of the {loaded.read:,} rows {why}; see `hanzo-reports quarantine list`"
        raise UnreadableError(msg)


def print_load(loaded: "LoadResult", fmt: str) -> None:
    """Prints the counts of a load on stdout, and the reasons of quarantined rows on stderr."""
    counted = ("read", "accepted", "duplicates", "quarantined", "unpriced", "price_differences")
    row: dict[str, Any] = {name: getattr(loaded, name) for name in counted}
    if fmt == "json":
        more = {name: getattr(loaded, name) for name in ("shortened", "load_id", "source", "reasons")}
        print_rows([row | more], "json", counted)
    else:
        print_rows([{name: f"{value:,}" for name, value in row.items()}], "table", counted)
    checks = loaded.verdict.checks if loaded.verdict else ()
    stakes = {
        f"guard {check.id}": f"; {format_value(check.at_stake, Unit.USD, 'terminal')} at stake"
        for check in checks
        if check.at_stake
    }
    for note in loaded.skipped:
        print_note(note)
    if loaded.shortened:
        print_note(f"shortened: {loaded.shortened:,} rows had a text of more than 1,000 characters, which was cut")
    for reason, rows in list(loaded.reasons.items())[:10]:
        print_note(f"quarantined: {rows:,} x {reason}{stakes.get(reason.partition(':')[0], '')}")
    for check in checks:
        if check.state == "error" or (check.state == "failed" and check.severity == "warning"):
            print_note(f"{check.severity}: {check.description}: {check.observed}")
