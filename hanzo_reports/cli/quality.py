"""Can the numbers be trusted: guard, bill."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hanzo_reports.cli.ask import Format
from hanzo_reports.cli.options import Options, check_format, parse_unique_pairs
from hanzo_reports.cli.output import print_money_rows, print_note, print_rows, print_text
from hanzo_reports.errors import QualityError, UnreadableError
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hanzo_reports.billing.bill_lines import BillLine
    from hanzo_reports.quality.verdict import Verdict

COLUMNS = ("state", "severity", "check", "description", "seen")
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the suite.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    for command in (guard, bill):
        app.command()(command)


def guard(
    context: typer.Context,
    suite: Annotated[
        str, typer.Argument(help="events, daily, rollup, bill or a YAML file; all of them if empty.")
    ] = "",
    range_: Annotated[str, typer.Option("--range", "-r", metavar="RANGE", help="The events to look at.")] = "7d",
    set_: Set = None,
    format_: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table, json or html.")] = "table",
) -> None:
    """Check what is stored; exit code 3 if it cannot be trusted.

    The verdict is kept beside the data, and shown on the pages of reports.
    """
    options: Options = context.obj
    check_format(format_, ("table", "json", "html"))
    overrides = parse_unique_pairs(set_ or (), "--set")
    from hanzo_reports.quality.store_check import check_store
    from hanzo_reports.quality.suites import suite_names

    workspace = options.workspace()
    window = workspace.window(range_)
    asked = [suite] if suite else suite_names()
    verdicts = [check_store(workspace.store, name, window, now=workspace.now, overrides=overrides) for name in asked]
    if format_ == "html":
        from hanzo_reports.dashboards.quality import render_verdicts

        meta = {"title": "Data quality", "generated": verdicts[-1].at, "window": window.name, "events": None}
        print_text(render_verdicts(verdicts, meta))
    else:
        _tell(verdicts, format_)
    _stop(verdicts)


def bill(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="OpenAI usage or costs (JSON), FOCUS 1.0 to 1.2 (CSV, Parquet); kept, then compared."),
    ] = None,
    range_: Annotated[
        str, typer.Option("--range", "-r", metavar="RANGE", help="The days to compare; empty: all that are billed.")
    ] = "",
    model_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column of a FOCUS file that names the model.", show_default=False)
    ] = "",
    tolerance: Annotated[
        float, typer.Option(min=0, metavar="SHARE", help="How far off the bill a day and model may be.")
    ] = 0.01,
    format_: Format = "table",
) -> None:
    """Compare computed spend with what a provider billed; exit code 3 if it is off."""
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
    from hanzo_reports.billing.bill_lines import billed_days, select_lines
    from hanzo_reports.window import Window

    days = None if range_ else billed_days(workspace.store)
    window = Window(*days, now=workspace.now, name="billed") if days else workspace.window(range_ or "mtd")
    rows = workspace.reconciliation(window).to_pyarrow().to_pylist()
    shown = [
        {name: value for name, value in row.items() if name != "difference_share"} | {"off": _share(row)}
        for row in rows
    ]
    columns = ("day", "provider", "model", "requests", "billed_requests", "cost", "billed_cost", "difference", "off")
    print_money_rows(rows if format_ == "json" else [{name: row[name] for name in columns} for row in shown], format_)
    verdict = workspace.guard("bill", window, tolerance=str(tolerance))
    for check in verdict.checks:
        if check.state in {"failed", "error"}:
            stake = "" if check.at_stake is None else f", {format_value(check.at_stake, Unit.USD, 'terminal')} at stake"
            print_note(f"{check.severity}: {check.description}: {check.observed}{stake}")
    _, cut = select_lines(workspace.store, window)
    if cut:
        cost = ", ".join(f"{value:,.2f} {currency}" for currency, value in _costs(cut).items())
        print_note(f"left out: {len(cut):,} lines of bills ({cost}) for days that the range holds only a part of; "
            "leave out --range to compare every billed day")  # fmt: skip
    print_note(verdict.reason or f"bill: {verdict.status.value}, tolerance {tolerance:.2%}")
    _stop([verdict])


def _costs(lines: "Iterable[BillLine]") -> dict[str, Decimal]:
    """The billed cost of lines by currency."""
    costs: dict[str, Decimal] = {}
    for line in lines:
        costs[line.currency] = costs.get(line.currency, Decimal(0)) + (line.cost or 0)
    return costs


def _tell(verdicts: "Sequence[Verdict]", fmt: str) -> None:
    """Verdicts on stdout: what failed first."""
    if fmt == "json":
        import json

        print_text(json.dumps([json.loads(verdict.text()) for verdict in verdicts], indent=1, ensure_ascii=False))
        return
    rows: list[dict[str, Any]] = []
    for verdict in verdicts:
        if verdict.reason:
            print_note(f"{verdict.suite}: skipped, {verdict.reason}")
        for check in sorted(verdict.checks, key=lambda one: one.state not in {"failed", "error"}):
            stake = ""
            if check.at_stake is not None and check.unexpected:
                stake = f"; {format_value(check.at_stake, Unit.USD, 'terminal')} at stake"
            by = ", ".join(f"{group['value'] or 'unknown'} {group['rows']:,}" for group in check.groups[:5])
            rows.append({
                "state": check.state.value, "severity": check.severity, "check": f"{verdict.suite}.{check.id}",
                "description": check.description, "seen": f"{check.observed}{stake}" + (f" ({by})" if by else ""),
            })  # fmt: skip
    if rows:
        print_rows(rows, "table", COLUMNS)
    for verdict in verdicts:
        if not verdict.reason:
            print_note(verdict.summary)


def _stop(verdicts: "Sequence[Verdict]") -> None:
    """Exit code 3, where something cannot be trusted."""
    failed = [
        f"{verdict.suite}.{check.id}"
        for verdict in verdicts
        if verdict.status == "failed"
        for check in verdict.checks
        if check.state == "error" or (check.state == "failed" and check.severity == "critical")
    ]
    if failed:
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""  # noqa: PLR2004  # as many as a line bears
        msg = f"the data cannot be trusted: {', '.join(failed[:5])}{more}"
        raise QualityError(msg)


def _share(row: dict[str, Any]) -> str | None:
    share = row["difference_share"]
    return None if share is None else f"{share:+.2%}"
