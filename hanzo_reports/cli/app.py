"""The commands and their global options."""

from typing import Annotated

import typer

from hanzo_reports.cli.lazy import LazyGroup
from hanzo_reports.cli.options import Options

app = typer.Typer(
    name="hanzo-reports",
    cls=LazyGroup,
    help="Usage, cost, latency and reliability analytics for an AI platform.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(requested: bool) -> None:  # noqa: FBT001  # as Typer calls it
    """Prints the version of the package and ends the command."""
    if requested:
        from hanzo_reports import __version__

        typer.echo(f"hanzo-reports {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    store: Annotated[
        str,
        typer.Option(
            envvar="HANZO_REPORTS_STORE",
            metavar="STORE",
            help="The store: a folder, postgresql://USER@HOST/DATABASE or clickhouse://...; default: ./warehouse.",
            show_default=False,
        ),
    ] = "",
    tz: Annotated[
        str,
        typer.Option(envvar="HANZO_REPORTS_TZ", metavar="ZONE", help="The IANA time zone that days and months follow."),
    ] = "UTC",
    now: Annotated[
        str,
        typer.Option(
            envvar="HANZO_REPORTS_NOW", metavar="INSTANT", help="The instant that ranges end at; default: the clock."
        ),
    ] = "",
    *,
    version: Annotated[  # noqa: ARG001  # its callback prints it and ends the command
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stores the options that stand before the command."""
    context.obj = Options(store, tz, now)
