"""Spend ahead and out of line: forecast, backtest, anomalies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.options import (
    By,
    Format,
    Options,
    Where,
    check_format,
    parse_pairs,
    parse_unique_pairs,
    split_words,
)
from hanzo_reports.cli.output import print_money_rows, print_note, print_rows
from hanzo_reports.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from decimal import Decimal


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    for command in (forecast, backtest, anomalies):
        app.command()(command)


def forecast(
    context: typer.Context,
    by: By = None,
    where: Where = None,
    limit: Annotated[
        str,
        typer.Option(
            metavar="USD",
            show_default=False,
            help="A limit for the month; with --by project, the limits are those of the budgets.",
        ),
    ] = "",
    charge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATE=USD",
            show_default=False,
            help="A fixed charge that is not an event, or a credit if negative; repeat for more.",
        ),
    ] = None,
    *,
    scorecard: Annotated[
        bool, typer.Option("--scorecard", help="Score the forecasts recorded so far, instead of a new forecast.")
    ] = False,
    path: Annotated[bool, typer.Option("--path", help="Show the spend of each remaining day, for charts.")] = False,
    format_: Format = "table",
) -> None:
    """Forecast the month's spend: p10, p50, p90, and when it reaches a limit."""
    options: Options = context.obj
    check_format(format_)
    if scorecard:
        _print_scorecard(options, format_)
        return
    workspace, groups = options.workspace(), split_words(by or ())
    charges = _parse_charges(charge or (), groups)
    from hanzo_reports.parse_values import parse_money

    if limit and groups:
        msg = "--limit applies to the total; with --by project, set limits with `hanzo-reports budgets set`"
        raise UsageError(msg)
    limits: dict[tuple[str | None, ...], Decimal] | None = {(): parse_money(limit, "--limit")} if limit else None
    forecasts = workspace.forecasts(groups, where=parse_pairs(where or (), "--where"), limits=limits, charges=charges)
    if path:
        rows = [
            dict(zip(groups, one.key, strict=True)) | {"day": day.day, "p10": day.p10, "p50": day.p50, "p90": day.p90}
            for one in forecasts
            for day in one.path
        ]
    else:
        rows = [dict(zip(groups, one.key, strict=True)) | one.row for one in forecasts]
    print_money_rows(rows, format_)
    if not forecasts:
        print_note("No events in the last 400 days, so there is no forecast")


def _print_scorecard(options: Options, format_: str) -> None:
    from hanzo_reports.forecast.scorecard import build_scorecard

    workspace = options.workspace()
    rows = build_scorecard(workspace.budgets.state, workspace.events, workspace.now)
    print_money_rows(rows, format_)
    if not rows[0]["forecasts"]:
        print_note(
            "No forecast can be scored yet: a month must be over by two days. "
            "`hanzo-reports forecast` records one forecast a day"
        )


def _parse_charges(values: "Iterable[str]", groups: list[str]) -> "Mapping[date, Decimal]":
    """Fixed charges in USD by day."""
    from datetime import date

    from hanzo_reports.parse_values import parse_money

    if values and groups:
        msg = "--charge applies to the total: leave --by out, or select one group with --where"
        raise UsageError(msg)
    charges: dict[date, Decimal] = {}
    for text, amount in parse_unique_pairs(values, "--charge").items():
        try:
            day = date.fromisoformat(text)
        except ValueError:
            msg = f"--charge {text!r} is not a date; give for example --charge 2025-06-30=500"
            raise UsageError(msg) from None
        if day in charges:
            msg = f"--charge names {day} twice; give the sum of the two amounts"
            raise UsageError(msg)
        charges[day] = parse_money(amount, "--charge")
    return charges


def backtest(
    context: typer.Context,
    by: By = None,
    days: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DAYS", help="Days of the month to forecast from, such as 5,10,15,20.", show_default=False
        ),
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a chart of the errors by day, as SVG.", show_default=False),
    ] = None,
    *,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Use the public series of the package instead of the store.")
    ] = False,
    format_: Format = "table",
) -> None:
    """Compare past forecasts with what was spent, and with simpler methods."""
    options: Options = context.obj
    check_format(format_)
    from hanzo_reports.forecast.backtest import DAYS, load_public_series
    from hanzo_reports.forecast.backtest import backtest as run_backtest

    words = split_words(days or ())
    wrong = [word for word in words if not word.isdigit()]
    if wrong:
        msg = f"--days {wrong[0]!r} is not a day; give for example --days 5,10,15,20"
        raise UsageError(msg)
    series = load_public_series() if shipped else options.workspace().daily(split_words(by or ()))
    rows = run_backtest(series, tuple(map(int, words)) or DAYS)
    print_money_rows(rows, format_)
    if chart is not None:
        from hanzo_reports.html.backtest_chart import write_backtest_chart

        write_backtest_chart(rows, chart)
        print_note(f"{chart}: errors by day of the month")


def anomalies(
    context: typer.Context,
    by: By = None,
    where: Where = None,
    days: Annotated[int, typer.Option(metavar="N", help="How many complete days to examine.")] = 30,
    score: Annotated[
        float, typer.Option(metavar="X", help="The deviation that is unusual, in multiples of the usual spread.")
    ] = 3.5,
    stake: Annotated[str, typer.Option(metavar="USD", help="The smallest deviation to report.")] = "1",
    format_: Format = "table",
) -> None:
    """List the days with unusual spend, the amount, and the group that caused it."""
    options: Options = context.obj
    check_format(format_)
    from hanzo_reports.parse_values import parse_money

    groups, filters = split_words(by or ["project"]), parse_pairs(where or (), "--where")
    least_stake = parse_money(stake, "--stake")
    unusual = options.workspace().anomalies(groups, days, where=filters, score=score, stake=least_stake)
    columns = ("day", *groups, "spent", "expected", "stake", "score", "why")
    rows = [
        dict(
            zip(
                columns,
                (one.day.isoformat(), *one.key, one.spent, one.expected, one.stake, round(one.score, 2), one.why),
                strict=True,
            )
        )
        for one in unusual
    ]
    if rows:
        print_money_rows(rows, format_)
    else:
        print_rows(rows, format_, columns)
        print_note(f"No day of the last {days} deviates by {score} spreads and ${least_stake}")
