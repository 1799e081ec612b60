"""The `guard` command: checks the stored events."""

from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.options import Options, check_format, parse_unique_pairs
from hanzo_reports.cli.output import print_json, print_note, print_rows, print_text
from hanzo_reports.errors import QualityError
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.quality.verdict import Check, Verdict

MAX_LISTED_CHECKS = 5
COLUMNS = ("state", "severity", "check", "description", "seen")
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the suite; repeat for more.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(guard)


def guard(
    context: typer.Context,
    suite: Annotated[
        str, typer.Argument(help="A suite: events, daily, rollup, bill or a YAML file; default: all of them.")
    ] = "",
    range_: Annotated[
        str, typer.Option("--range", "-r", metavar="RANGE", help="The time range of the events to check.")
    ] = "7d",
    set_: Set = None,
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="Output format: table, json or html.")
    ] = "table",
) -> None:
    """Check the stored events; exit code 3 if they cannot be trusted.

    The verdict is stored with the data, and shown on the pages of reports.
    """
    options: Options = context.obj
    check_format(format_, ("table", "json", "html"))
    overrides = parse_unique_pairs(set_ or (), "--set")
    from hanzo_reports.quality.store_check import check_store
    from hanzo_reports.quality.suites import suite_names

    workspace = options.workspace()
    window = workspace.window(range_)
    names = [suite] if suite else suite_names()
    verdicts = [check_store(workspace.store, name, window, now=workspace.now, overrides=overrides) for name in names]
    if format_ == "html":
        from hanzo_reports.dashboards.quality import render_verdicts

        meta = {"title": "Data quality", "generated": verdicts[-1].at, "window": window.name, "events": None}
        print_text(render_verdicts(verdicts, meta))
    else:
        _print_verdicts(verdicts, format_)
    fail_if_untrusted(verdicts)


def describe_check(check: "Check") -> str:
    """What a check found, and the money at stake, in one line."""
    stake = "" if check.at_stake is None else f", {format_value(check.at_stake, Unit.USD, 'terminal')} at stake"
    return f"{check.severity}: {check.description}: {check.observed}{stake}"


def fail_if_untrusted(verdicts: "Sequence[Verdict]") -> None:
    """Raises a QualityError if a verdict says that the data cannot be trusted."""
    failed = [
        f"{verdict.suite}.{check.id}"
        for verdict in verdicts
        if verdict.status == "failed"
        for check in verdict.checks
        if check.state == "error" or (check.state == "failed" and check.severity == "critical")
    ]
    if failed:
        more = f" and {len(failed) - MAX_LISTED_CHECKS} more" if len(failed) > MAX_LISTED_CHECKS else ""
        msg = f"the data cannot be trusted: {', '.join(failed[:MAX_LISTED_CHECKS])}{more}"
        raise QualityError(msg)


def _print_verdicts(verdicts: "Sequence[Verdict]", format_: str) -> None:
    """Prints the checks of verdicts, failed ones first, and a summary of each verdict."""
    if format_ == "json":
        import json

        documents = [json.loads(verdict.text()) for verdict in verdicts]
        print_json(json.dumps(documents, indent=1, ensure_ascii=False))
        return
    for verdict in verdicts:
        if verdict.reason:
            print_note(f"{verdict.suite}: skipped, {verdict.reason}")
    rows = [
        {
            "state": check.state.value, "severity": check.severity, "check": f"{verdict.suite}.{check.id}",
            "description": check.description, "seen": _format_observation(check),
        }
        for verdict in verdicts
        for check in sorted(verdict.checks, key=lambda check: check.state not in {"failed", "error"})
    ]  # fmt: skip
    if rows:
        print_rows(rows, "table", COLUMNS)
    for verdict in verdicts:
        if not verdict.reason:
            print_note(verdict.summary)


def _format_observation(check: "Check") -> str:
    stake = ""
    if check.at_stake is not None and check.unexpected:
        stake = f"; {format_value(check.at_stake, Unit.USD, 'terminal')} at stake"
    groups = ", ".join(f"{group['value'] or 'unknown'} {group['rows']:,}" for group in check.groups[:MAX_LISTED_CHECKS])
    return f"{check.observed}{stake}" + (f" ({groups})" if groups else "")
