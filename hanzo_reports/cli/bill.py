"""Bill: computed cost beside what a provider billed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hanzo_reports.cli.guard import describe_check, fail_if_untrusted
from hanzo_reports.cli.options import Format, Options, check_format
from hanzo_reports.cli.output import print_money_rows, print_note
from hanzo_reports.errors import UnreadableError

COLUMNS = ("day", "provider", "model", "requests", "billed_requests", "cost", "billed_cost", "difference", "off")


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(bill)


def bill(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="OpenAI usage or costs (JSON), FOCUS 1.0 to 1.2 (CSV, Parquet); stored, and then compared."
        ),
    ] = None,
    range_: Annotated[
        str, typer.Option("--range", "-r", metavar="RANGE", help="The days to compare; default: every billed day.")
    ] = "",
    model_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column of a FOCUS file with the model.", show_default=False)
    ] = "",
    tolerance: Annotated[
        float,
        typer.Option(min=0, metavar="SHARE", help="The difference from the bill that is accepted, per day and model."),
    ] = 0.01,
    format_: Format = "table",
) -> None:
    """Compare computed cost with the provider's bill; exit code 3 if they differ."""
    options: Options = context.obj
    check_format(format_)
    missing = [str(path) for path in files or () if not path.exists()]
    if missing:
        msg = f"no such file: {', '.join(missing)}"
        raise UnreadableError(msg)
    workspace = options.workspace()
    if files:
        loaded = workspace.load_bills(files, model_column)
        print_note(
            f"{loaded.files} files: {loaded.lines:,} lines of usage kept, {loaded.left_out:,} rows do not bill usage"
        )
    window = workspace.billed_window(range_)
    rows = workspace.reconciliation(window).to_pyarrow().to_pylist()
    print_money_rows(rows if format_ == "json" else [_format_row(row) for row in rows], format_)
    verdict = workspace.guard("bill", window, tolerance=str(tolerance))
    for check in verdict.checks:
        if check.state in {"failed", "error"}:
            print_note(describe_check(check))
    from hanzo_reports.billing.bill_lines import cost_by_currency, select_lines

    _, cut = select_lines(workspace.store, window)
    if cut:
        cost = ", ".join(f"{value:,.2f} {currency}" for currency, value in cost_by_currency(cut).items())
        print_note(
            f"left out: {len(cut):,} lines of bills ({cost}) for days that the range holds only a part of; "
            "leave out --range to compare every billed day"
        )
    print_note(verdict.reason or f"bill: {verdict.status.value}, tolerance {tolerance:.2%}")
    fail_if_untrusted([verdict])


def _format_row(row: dict[str, Any]) -> dict[str, Any]:
    share = row["difference_share"]
    return {name: row[name] for name in COLUMNS[:-1]} | {"off": None if share is None else f"{share:+.2%}"}
