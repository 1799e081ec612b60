"""Money ahead: forecast, backtest, anomalies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hanzo_reports.cli.ask import By, Format, Where
from hanzo_reports.cli.options import Options, check_format, parse_pairs, parse_unique_pairs, split_words
from hanzo_reports.cli.output import print_money_rows, print_note, print_rows
from hanzo_reports.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    for command in (forecast, backtest, anomalies):
        app.command()(command)


def forecast(
    context: typer.Context,
    by: By = None,
    where: Where = None,
    limit: Annotated[
        str,
        typer.Option(
            metavar="USD", help="A budget for the month; with --by project, the budgets'.", show_default=False
        ),
    ] = "",
    charge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATE=USD",
            help="A fixed charge, or a credit below 0, that is no event; repeat.",
            show_default=False,
        ),
    ] = None,
    *,
    scorecard: Annotated[
        bool, typer.Option("--scorecard", help="How good the forecasts issued so far have been.")
    ] = False,
    path: Annotated[bool, typer.Option("--path", help="Spend by each day that is left, for charts.")] = False,
    format_: Format = "table",
) -> None:
    """How the month's spend will end: p10, p50, p90, and when a limit is reached."""
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    if scorecard:
        from hanzo_reports.forecast.scorecard import scorecard as judged

        rows = judged(workspace.budgets.state, workspace.events, workspace.now)
        print_money_rows(rows, format_)
        if not rows[0]["forecasts"]:
            print_note(
                "no issued forecast can be judged yet: a month must be over by two days; `forecast` issues one a day"
            )
        return
    groups = split_words(by or ())
    known = _charges(charge or (), groups)
    from hanzo_reports.parse_values import parse_money

    if limit and groups:
        msg = "--limit is for the whole; with --by project the limits are those of `hanzo-reports budgets`"
        raise UsageError(msg)
    limits: dict[tuple[str | None, ...], Decimal] | None = {(): parse_money(limit, "--limit")} if limit else None
    made = workspace.forecasts(groups, where=parse_pairs(where or (), "--where"), limits=limits, charges=known)
    if path:
        rows = [
            dict(zip(groups, told.key, strict=True)) | {"day": day.day, "p10": day.p10, "p50": day.p50, "p90": day.p90}
            for told in made
            for day in told.path
        ]
    else:
        rows = [dict(zip(groups, told.key, strict=True)) | told.row for told in made]
    print_money_rows(rows, format_)
    if not made:
        print_note("no events in the last 400 days: nothing to forecast from")


def _charges(given: "list[str] | tuple[()]", groups: list[str]) -> "Mapping[date, Decimal]":
    """Fixed charges by day."""
    from datetime import date

    from hanzo_reports.parse_values import parse_money

    if given and groups:
        msg = "--charge is for the whole: leave --by out, or choose one group with --where"
        raise UsageError(msg)
    found = {}
    for day, usd in parse_unique_pairs(given, "--charge").items():
        try:
            known = date.fromisoformat(day)
        except ValueError:
            msg = f"--charge {day!r} is no date; give for example --charge 2025-06-30=500"
            raise UsageError(msg) from None
        if known in found:
            msg = f"--charge names {known} twice; add its amounts up"
            raise UsageError(msg)
        found[known] = parse_money(usd, "--charge")
    return found


def backtest(
    context: typer.Context,
    by: By = None,
    days: Annotated[
        list[str] | None, typer.Option(metavar="DAYS", help="Days of the period: 5,10,15,20.", show_default=False)
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An SVG of the errors by day.", show_default=False)
    ] = None,
    *,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="On the public series of the package instead of the store.")
    ] = False,
    format_: Format = "table",
) -> None:
    """How good forecasts would have been, against simpler ones, in the past of your own data."""
    options: Options = context.obj
    check_format(format_)
    from hanzo_reports.forecast.backtest import DAYS, public_series
    from hanzo_reports.forecast.backtest import backtest as evaluated

    wrong = [word for word in split_words(days or ()) if not word.isdigit()]
    if wrong:
        msg = f"--days {wrong[0]!r} is no day; give for example --days 5,10,15,20"
        raise UsageError(msg)
    asked = tuple(map(int, split_words(days or ()))) or DAYS
    rows = evaluated(public_series() if shipped else options.workspace().daily(split_words(by or ())), asked)
    print_money_rows(rows, format_)
    if chart is not None:
        from hanzo_reports.html.backtest_chart import write_backtest_chart

        write_backtest_chart(rows, chart)
        print_note(f"{chart}: errors by day of the period")


def anomalies(
    context: typer.Context,
    by: By = None,
    where: Where = None,
    days: Annotated[int, typer.Option(metavar="N", help="How many complete days are judged.")] = 30,
    score: Annotated[float, typer.Option(metavar="X", help="How many spreads off a day must be.")] = 3.5,
    stake: Annotated[str, typer.Option(metavar="USD", help="The least amount off that is worth a look.")] = "1",
    format_: Format = "table",
) -> None:
    """Days on which spend was out of line, the money at stake, and which group moved it."""
    options: Options = context.obj
    check_format(format_)
    from hanzo_reports.parse_values import parse_money

    groups, least = split_words(by or ["project"]), parse_money(stake, "--stake")
    found = options.workspace().anomalies(
        groups, days, where=parse_pairs(where or (), "--where"), score=score, stake=least
    )
    rows: list[dict[str, Any]] = [
        {"day": each.day.isoformat()} | dict(zip(groups, each.key, strict=True))
        | {"spent": each.spent, "expected": each.expected, "stake": each.stake}
        | {"score": round(each.score, 2), "why": each.why}
        for each in found
    ]  # fmt: skip
    listing_columns = ("day", *groups, "spent", "expected", "stake", "score", "why")
    if rows:
        print_money_rows(rows, format_)
    else:
        print_rows(rows, format_, listing_columns)
        print_note(f"no day of the last {days} is out of line by {score} spreads and ${least}")
