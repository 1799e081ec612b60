"""Reports: run them, list them, see their parameters."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hanzo_reports.cli.options import Options, check_format, parse_unique_pairs
from hanzo_reports.cli.output import print_note, print_rows, print_text

Name = Annotated[str, typer.Argument(help="A report of `hanzo-reports report list`, or a notebook's path.")]
Format = Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table or json.")]


def register(app: typer.Typer) -> None:
    """The commands of this file."""
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
            "-p", "--param", metavar="NAME=VALUE", help="As `report params NAME` lists them.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(envvar="HANZO_REPORTS_REPORTS", metavar="FOLDER", help="Where the runs go.")
    ] = Path("reports"),
    *,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing when the same run is there already.")
    ] = False,
) -> None:
    """Run a report; the path of its page is printed."""
    options: Options = context.obj
    from hanzo_reports.reports.run import report_parameters, run_report
    from hanzo_reports.settings import Settings

    given = parse_unique_pairs(params or (), "-p")
    known = {parameter.name for parameter in report_parameters(name)}
    usual = {"store": options.store_address, "timezone": options.timezone}
    chosen = {key: value for key, value in usual.items() if key in known} | given
    state = Settings.read(os.environ).state
    done = run_report(name, chosen, now=options.instant(), out=out, if_missing=if_missing, state=state)
    print_note(f"{name}: {'there already' if not done.fresh else 'done'}")
    print_text(str(done.page))


def list_(format_: Format = "table") -> None:
    """The reports there are."""
    check_format(format_, ("table", "json"))
    from hanzo_reports.reports.run import report_names

    print_rows([{"report": name} for name in report_names()], format_, ("report",))


def params(name: Name, format_: Format = "table") -> None:
    """A report's parameters: type, default, meaning."""
    check_format(format_, ("table", "json"))
    from hanzo_reports.reports.run import report_parameters

    columns = ("name", "type", "default", "help")
    rows = [{column: getattr(p, column) for column in columns} for p in report_parameters(name)]
    print_rows(rows, format_, columns)
