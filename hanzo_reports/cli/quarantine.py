"""Quarantine: list, show, export and release the rows that no load accepted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.options import (
    TABLE_OR_JSON,
    DocumentFormat,
    Format,
    Options,
    check_format,
    parse_unique_pairs,
    split_words,
)
from hanzo_reports.cli.output import print_note, print_rows

if TYPE_CHECKING:
    import ibis

Load = Annotated[
    str, typer.Option(metavar="ID", help="Only rows of this load; the id, or the start of it.", show_default=False)
]
Source = Annotated[str, typer.Option(metavar="NAME", help="Only rows of this source.", show_default=False)]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Only rows with this text in the reason.", show_default=False)
]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="Only these rows; ids, or the starts of them.", show_default=False),
]
TABLE_COLUMNS = ("quarantine_id", "source", "file", "row", "reason", "raw")
ID_LENGTH = 8  # of an id in a table; enough to name the row


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    group = typer.Typer(
        help="Rows that no load accepted, and why: list, show, export, release.",
        no_args_is_help=True, rich_markup_mode=None,
    )  # fmt: skip
    group.command("list")(list_)
    for command in (show, export, release):
        group.command()(command)
    app.add_typer(group, name="quarantine")


def list_(
    context: typer.Context, load: Load = "", source: Source = "", reason: Reason = "", format_: Format = "table"
) -> None:
    """Count the rows by reason."""
    check_format(format_)
    rows = _filter_rows(context, load, source, reason)
    from hanzo_reports.quality.quarantine import count_reasons

    counts = count_reasons(rows).to_pyarrow().to_pylist()
    print_rows(counts, format_, ("rows", "source", "reason", "first", "last"))
    _print_count(rows)


def show(
    context: typer.Context,
    load: Load = "",
    source: Source = "",
    reason: Reason = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The number of rows, newest first.")] = 20,
    format_: Format = "table",
) -> None:
    """Show the rows with their reason and their text."""
    check_format(format_)
    rows = _filter_rows(context, load, source, reason)
    from hanzo_reports.quality.quarantine import COLUMNS, newest_rows

    newest = newest_rows(rows, limit).to_pyarrow().to_pylist()
    if format_ == "table":
        newest = [row | {"quarantine_id": row["quarantine_id"][:ID_LENGTH]} for row in newest]
    print_rows(newest, format_, TABLE_COLUMNS if format_ == "table" else COLUMNS)
    _print_count(rows)


def export(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False)
    ],
    load: Load = "",
    source: Source = "",
    reason: Reason = "",
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="File format: csv, json, jsonl or parquet.")
    ] = "csv",
) -> None:
    """Write the rows to a file."""
    from hanzo_reports.export.tables import FORMATS, write_table

    check_format(format_, FORMATS)
    rows = _filter_rows(context, load, source, reason)
    from hanzo_reports.quality.quarantine import rows_in_order

    print_note(f"{output}: {write_table(rows_in_order(rows), output, format_):,} rows")


def release(
    context: typer.Context,
    load: Load = "",
    source: Source = "",
    reason: Reason = "",
    ids: Ids = None,
    map_: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="The mapping of the source, as it is now.")
    ] = None,
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
        str, typer.Option(metavar="SUITE", help="The suite that rows must meet; default: the one that each row failed.")
    ] = "",
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECK", help="Release rows that fail this check and no other; repeat for more.", show_default=False
        ),
    ] = None,
    because: Annotated[
        str,
        typer.Option(metavar="TEXT", help="The reason, for the record; required with --accept.", show_default=False),
    ] = "",
    by: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Who accepts the rows, for the record; default: your user name.", show_default=False
        ),
    ] = "",
    format_: DocumentFormat = "table",
) -> None:
    """Check rows again after a fix, load those that pass, once, and remove them from the quarantine."""
    check_format(format_, TABLE_OR_JSON)
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


def _filter_rows(context: typer.Context, load: str, source: str, reason: str) -> "ibis.Table":
    options: Options = context.obj
    workspace = options.workspace()
    from hanzo_reports.quality.quarantine import filter_quarantine

    return filter_quarantine(workspace.store.quarantine(), load=load, source=source, reason=reason)


def _print_count(rows: "ibis.Table") -> None:
    print_note(f"{rows.count().to_pyarrow().as_py():,} rows in quarantine")
