"""Ingest: load logs into the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hanzo_reports.cli.options import TABLE_OR_JSON, DocumentFormat, Options, check_format, parse_unique_pairs
from hanzo_reports.cli.output import print_note, print_rows, show_progress
from hanzo_reports.errors import UnreadableError
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from hanzo_reports.ingest.load import LoadResult


COUNTS = ("read", "accepted", "duplicates", "quarantined", "unpriced", "price_differences")
DETAILS = ("shortened", "load_id", "source", "reasons")
MAX_LISTED_REASONS = 10


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
            show_default=False,
            help="Set a column to one value in all rows; repeat for more.",
        ),
    ] = None,
    guard: Annotated[
        str,
        typer.Option(metavar="SUITE", help="The suite of expectations that rows must meet: events, or a YAML file."),
    ] = "events",
    no_guard: Annotated[  # noqa: FBT002  # Typer reads it so
        bool, typer.Option("--no-guard", help="Accept every row that is a valid event.")
    ] = False,
    format_: DocumentFormat = "table",
) -> None:
    """Load logs, each event once.

    Rows that are not valid events, or that fail the guard, go to the quarantine with the reason and their text. An
    interrupted load can be repeated.
    """
    options: Options = context.obj
    check_format(format_, TABLE_OR_JSON)
    constants = parse_unique_pairs(set_ or (), "--set")
    from hanzo_reports.ingest.load import load, plan_load

    suite = "" if no_guard else guard
    plan = plan_load(source, paths, now=options.instant(), mapping_file=map_, constants=constants, suite=suite)
    workspace = options.workspace(create=True)
    with show_progress("loading") as report_share:
        result = load(workspace.store, plan, report_share)
    print_load(result, format_)
    if result.quarantined == result.read:
        rejected = result.verdict.quarantined if result.verdict else 0
        reason = (
            f"is accepted, {rejected:,} of them rejected by the guard" if rejected else f"is an event of {source!r}"
        )
        msg = f"none of the {result.read:,} rows {reason}; see `hanzo-reports quarantine list`"
        raise UnreadableError(msg)


def print_load(result: "LoadResult", format_: str) -> None:
    """Prints the counts of a load on stdout, and the reasons of quarantined rows on stderr."""
    counts: dict[str, Any] = {name: getattr(result, name) for name in COUNTS}
    if format_ == "json":
        print_rows([counts | {name: getattr(result, name) for name in DETAILS}], "json", COUNTS)
    else:
        print_rows([{name: f"{value:,}" for name, value in counts.items()}], "table", COUNTS)
    for note in result.skipped:
        print_note(note)
    if result.shortened:
        print_note(f"shortened: {result.shortened:,} rows had a text of more than 1,000 characters, which was cut")
    checks = result.verdict.checks if result.verdict else ()
    stakes = {
        f"guard {check.id}": f"; {format_value(check.at_stake, Unit.USD, 'terminal')} at stake"
        for check in checks
        if check.at_stake
    }
    for reason, row_count in list(result.reasons.items())[:MAX_LISTED_REASONS]:
        print_note(f"quarantined: {row_count:,} x {reason}{stakes.get(reason.partition(':')[0], '')}")
    for check in checks:
        if check.state == "error" or (check.state == "failed" and check.severity == "warning"):
            print_note(f"{check.severity}: {check.description}: {check.observed}")
