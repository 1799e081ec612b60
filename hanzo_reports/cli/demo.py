"""The demo: a synthetic platform, its store and its dashboard."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.ingest import print_load
from hanzo_reports.cli.output import print_note, print_text, show_progress
from hanzo_reports.errors import UsageError

if TYPE_CHECKING:
    from hanzo_reports.cli.options import Options


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(demo)


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder for store and report.")] = Path("demo"),
    days: Annotated[int, typer.Option(min=1, max=400, metavar="N", help="Days of events.")] = 61,
    per_day: Annotated[
        int, typer.Option(min=1, max=10_000_000, metavar="N", help="Requests on an average day.")
    ] = 20_000,
    *,
    only_data: Annotated[bool, typer.Option("--only-data", help="Load the events without running a report.")] = False,
) -> None:
    """Create a synthetic platform and its dashboard."""
    options: Options = context.obj
    workspace = replace(options, store=options.store or str(out / "warehouse")).workspace(create=True)
    condition = workspace.condition()
    store, count = condition["store"], condition["events"]
    if count and not condition["synthetic"]:
        msg = f"{store} holds real events, which synthetic ones must not mix with; name another --store"
        raise UsageError(msg)
    if count:
        print_note(f"{store} holds {count:,} synthetic events already; remove it to create new ones")
    else:
        print_note(f"creating {days} days of synthetic events in {store}")
        workspace = replace(workspace, now=workspace.now.replace(second=0, microsecond=0))
        with show_progress("events"):
            result = workspace.sample(days, per_day)
        print_load(result, "table")
    if only_data:
        return
    last_minute = workspace.window("all").end.replace(second=0, microsecond=0)
    workspace = replace(workspace, now=last_minute + timedelta(minutes=1))
    for suite in ("events", "daily"):
        print_note(workspace.guard(suite, "7d").summary)
    report = workspace.report("dashboard", out=out / "reports")
    print_note("The dashboard, its exports and its manifest are in this folder:")
    print_text(str(report.page))
