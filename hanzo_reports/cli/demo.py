"""The demo: a synthetic platform, its store and its dashboard."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.files import progress, report_load
from hanzo_reports.cli.output import print_note, print_text
from hanzo_reports.errors import UsageError

if TYPE_CHECKING:
    from hanzo_reports.cli.options import Options

MINUTE = timedelta(minutes=1)


def register(app: typer.Typer) -> None:
    """The command of this file."""
    app.command()(demo)


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="For all that it makes.")] = Path("demo"),
    days: Annotated[int, typer.Option(min=1, max=400, metavar="N", help="Days of events.")] = 61,
    per_day: Annotated[
        int, typer.Option(min=1, max=10_000_000, metavar="N", help="Requests on an average day.")
    ] = 20_000,
    *,
    only_data: Annotated[bool, typer.Option("--only-data", help="Load the events and make no report.")] = False,
) -> None:
    """A made-up platform and its dashboard."""
    options: Options = context.obj
    workspace = replace(options, store=options.store or str(out / "warehouse")).workspace(create=True)
    held = workspace.condition()
    if held["events"] and not held["synthetic"]:
        msg = f"{held['store']} holds real events, which a demo would mix with made-up ones; name another --store"
        raise UsageError(msg)
    if held["events"]:
        print_note(f"{held['store']} has {held['events']:,} synthetic events; remove it for new ones")
    else:
        print_note(f"making {days} days of synthetic events in {held['store']}")
        workspace = replace(workspace, now=workspace.now.replace(second=0, microsecond=0))
        with progress("events"):
            loaded = workspace.sample(days, per_day)
        report_load(loaded, "table")
    if only_data:
        return
    last = workspace.window("all").end.replace(second=0, microsecond=0)
    workspace = replace(workspace, now=last + MINUTE)
    for suite in ("events", "daily"):
        print_note(workspace.guard(suite, "7d").summary)
    done = workspace.report("dashboard", out=out / "reports")
    print_note("the dashboard, its exports and its manifest are in its folder:")
    print_text(str(done.page))
