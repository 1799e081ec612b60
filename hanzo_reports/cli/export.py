"""Export: events, or metrics by group, as a file."""

from pathlib import Path
from typing import Annotated

import typer

from hanzo_reports.cli.options import (
    By,
    Every,
    Metrics,
    Options,
    Range,
    Top,
    Where,
    check_format,
    parse_pairs,
    split_words,
)
from hanzo_reports.cli.output import print_note
from hanzo_reports.cli.queries import UNPRICED, describe_empty_answer


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(export)


def export(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False)
    ],
    range_: Range = "mtd",
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="File format: csv, json, jsonl, parquet or focus.")
    ] = "csv",
    by: By = None,
    metrics: Metrics = None,
    every: Every = "",
    where: Where = None,
    top: Top = None,
    *,
    spreadsheet: Annotated[
        bool,
        typer.Option("--spreadsheet", help="CSV for a spreadsheet: names cannot become formulas."),
    ] = False,
) -> None:
    """Write events, or metrics by group, to a file.

    With --by, --every, --metrics or --top the file has metrics, without them the events themselves. The format focus
    has daily charges as FOCUS 1.2. Names are written exactly as they are, so that other tools can join on them; with
    --spreadsheet, an apostrophe precedes text that a spreadsheet would run as a formula.
    """
    options: Options = context.obj
    from hanzo_reports.export.tables import FORMATS

    check_format(format_, (*FORMATS, "focus"))
    workspace, filters = options.workspace(), parse_pairs(where or (), "--where")
    window = workspace.window(range_)
    row_count = workspace.export(
        output, format_, window, metrics=split_words(metrics or ()), by=split_words(by or ()), every=every or None,
        where=filters, top=top, spreadsheet=spreadsheet,
    )  # fmt: skip
    print_note(f"{output}: {row_count:,} rows")
    if format_ == "focus":
        unpriced = workspace.usage(window, [UNPRICED], where=filters).rows()[0][UNPRICED]
        if unpriced:
            print_note(f"The charges exclude {unpriced:,} requests with no known price")
    if not row_count:
        print_note(describe_empty_answer(workspace, window))
