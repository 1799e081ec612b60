"""Reports: run them, list them, show their parameters."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hanzo_reports.cli.options import TABLE_OR_JSON, DocumentFormat, Options, check_format, parse_unique_pairs
from hanzo_reports.cli.output import print_note, print_rows, print_text

Name = Annotated[str, typer.Argument(help="A report of `hanzo-reports report list`, or the path of a notebook.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="Run notebooks into reports.", rich_markup_mode=None)
    group.command("run")(run)
    group.command("list")(list_)
    group.command("params")(params)
    app.add_typer(group, name="report")


def run(
    context: typer.Context,
    name: Name,
    params: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--param",
            metavar="NAME=VALUE",
            show_default=False,
            help="A parameter of the report, as `report params NAME` lists them; repeat for more.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(envvar="HANZO_REPORTS_REPORTS", metavar="FOLDER", help="The folder that reports are written to."),
    ] = Path("reports"),
    *,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing if a report of the same run exists.")
    ] = False,
) -> None:
    """Run a report, and print the path of its page."""
    options: Options = context.obj
    from hanzo_reports.reports.run import report_parameters, run_report
    from hanzo_reports.settings import Settings

    declared = {parameter.name for parameter in report_parameters(name)}
    defaults = {"store": options.store_address, "timezone": options.timezone}
    values = {key: value for key, value in defaults.items() if key in declared}
    values |= parse_unique_pairs(params or (), "-p")
    state = Settings.read(os.environ).state
    result = run_report(name, values, now=options.instant(), out=out, if_missing=if_missing, state=state)
    print_note(f"{name}: {'done' if result.fresh else 'exists already'}")
    print_text(str(result.page))


def list_(format_: DocumentFormat = "table") -> None:
    """List the reports."""
    check_format(format_, TABLE_OR_JSON)
    from hanzo_reports.reports.run import report_names

    print_rows([{"report": name} for name in report_names()], format_, ("report",))


def params(name: Name, format_: DocumentFormat = "table") -> None:
    """List the parameters of a report: type, default, meaning."""
    check_format(format_, TABLE_OR_JSON)
    from hanzo_reports.reports.run import report_parameters

    columns = ("name", "type", "default", "help")
    rows = [{column: getattr(p, column) for column in columns} for p in report_parameters(name)]
    print_rows(rows, format_, columns)
