"""Doctor: what the store holds, how recent it is, and versions."""

import sys
from typing import Any

import typer

from hanzo_reports.cli.options import TABLE_OR_JSON, DocumentFormat, Options, check_format
from hanzo_reports.cli.output import print_rows

PACKAGES = ("hanzo-reports", "ibis-framework", "duckdb", "deltalake", "pyarrow", "genai-prices")


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(doctor)


def doctor(context: typer.Context, format_: DocumentFormat = "table") -> None:
    """Show what the store holds, how recent it is, and versions."""
    options: Options = context.obj
    check_format(format_, TABLE_OR_JSON)
    facts = list_versions()
    try:
        facts = options.workspace().condition() | facts
    finally:  # the versions help most where the store cannot be opened
        if format_ == "json":
            print_rows([facts], "json", tuple(facts))
        else:
            rows = [{"field": name, "value": value} for name, value in facts.items()]
            print_rows(rows, "table", ("field", "value"))


def list_versions() -> dict[str, Any]:
    """The versions of Python, of this package, and of the packages that answers depend on."""
    from importlib.metadata import version

    return {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}}
