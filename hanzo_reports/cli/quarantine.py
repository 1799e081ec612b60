"""The rows that no load accepted: list, show, export, release."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.options import Format, Options, check_format, parse_unique_pairs, split_words
from hanzo_reports.cli.output import print_note, print_rows

if TYPE_CHECKING:
    import ibis

Load = Annotated[str, typer.Option(metavar="ID", help="Of this load; the start of its id.", show_default=False)]
Source = Annotated[str, typer.Option(metavar="NAME", help="Of this source.", show_default=False)]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="With this text in the reason.", show_default=False)]
Ids = Annotated[
    list[str] | None, typer.Option("--id", metavar="ID", help="These rows; the start of an id.", show_default=False)
]
COLUMNS = ("quarantine_id", "source", "file", "row", "reason", "raw", "quarantined_at", "load_id")


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    group = typer.Typer(
        help="Rows that no load accepted, and why: list, show, export, release.",
        no_args_is_help=True, rich_markup_mode=None,
    )  # fmt: skip
    group.command("list")(reasons)
    for command in (show, export, release):
        group.command()(command)
    app.add_typer(group, name="quarantine")


def reasons(
    context: typer.Context, load: Load = "", source: Source = "", reason: Reason = "", format_: Format = "table"
) -> None:
    """Count the rows by reason."""
    check_format(format_)
    rows = _rows(context, load, source, reason)
    from hanzo_reports.quality.quarantine import count_reasons

    print_rows(count_reasons(rows).to_pyarrow().to_pylist(), format_, ("rows", "source", "reason", "first", "last"))
    print_note(f"{rows.count().to_pyarrow().as_py():,} rows in quarantine")


def show(
    context: typer.Context,
    load: Load = "",
    source: Source = "",
    reason: Reason = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many rows, the newest first.")] = 20,
    format_: Format = "table",
) -> None:
    """Show the rows, each with its reason and its text."""
    check_format(format_)
    rows = _rows(context, load, source, reason)
    newest = rows.order_by(rows.quarantined_at.desc(), rows.file, rows.row).limit(limit).select(*COLUMNS)
    found = newest.to_pyarrow().to_pylist()
    if format_ == "table":
        found = [row | {"quarantine_id": row["quarantine_id"][:8]} for row in found]
    print_rows(found, format_, COLUMNS[:6] if format_ == "table" else COLUMNS)
    print_note(f"{rows.count().to_pyarrow().as_py():,} rows in quarantine")


def export(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False)
    ],
    load: Load = "",
    source: Source = "",
    reason: Reason = "",
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="csv, json, jsonl, parquet.")
    ] = "csv",
) -> None:
    """Write the rows to a file."""
    from hanzo_reports.export.tables import FORMATS, write_table

    check_format(format_, FORMATS)
    rows = _rows(context, load, source, reason)
    ordered = rows.order_by("quarantined_at", "file", "row").select(*COLUMNS)
    print_note(f"{output}: {write_table(ordered, output, format_):,} rows")


def release(
    context: typer.Context,
    load: Load = "",
    source: Source = "",
    reason: Reason = "",
    ids: Ids = None,
    map_: Annotated[Path | None, typer.Option("--map", metavar="FILE", help="The mapping, as it is now.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COLUMN=VALUE", help="One value for all rows.", show_default=False),
    ] = None,
    guard: Annotated[
        str, typer.Option(metavar="SUITE", help="The expectations to meet; those that a row failed, if empty.")
    ] = "",
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECK", help="Release rows in spite of this check, if they fail no other.", show_default=False
        ),
    ] = None,
    because: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, for the record; needed with --accept.", show_default=False)
    ] = "",
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Who decides it, for the record; you, if empty.", show_default=False)
    ] = "",
    format_: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table or json.")] = "table",
) -> None:
    """Check the rows again after a fix; those that pass are loaded, once, and leave the quarantine."""
    check_format(format_, ("table", "json"))
    options: Options = context.obj
    constants = parse_unique_pairs(set_ or (), "--set")
    result = options.workspace().release(
        mapping_file=map_,
        suite=guard,
        constants=constants,
        load=load,
        source=source,
        reason=reason,
        ids=split_words(ids or ()),
        accept=tuple(accept or ()),
        because=because,
        accepted_by=by,
    )
    counts = {
        "checked": result.checked, "released": result.released, "accepted": result.accepted,
        "duplicates": result.duplicates, "kept": result.remaining,
    }  # fmt: skip
    print_rows([counts], format_, tuple(counts))
    for note in result.notes:
        print_note(note)


def _rows(context: typer.Context, load: str, source: str, reason: str) -> "ibis.Table":
    options: Options = context.obj
    workspace = options.workspace()
    from hanzo_reports.quality.quarantine import filter_quarantine

    return filter_quarantine(workspace.store.quarantine(), load=load, source=source, reason=reason)
