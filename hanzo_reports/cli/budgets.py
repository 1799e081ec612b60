"""Budgets: set, list, show, remove, status, check, decide."""

from typing import Annotated, Any

import typer

from hanzo_reports.cli.options import Format, Options, check_format, split_words
from hanzo_reports.cli.output import print_money_rows, print_note
from hanzo_reports.errors import nearest
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

DENIED = 4
NO_BUDGETS = "No budgets. Set one: hanzo-reports budgets set PROJECT --monthly 5000"
Project = Annotated[str, typer.Argument(help="A project, as events name it.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="Monthly budgets of projects.", rich_markup_mode=None)
    for name, command in (
        ("set", set_), ("list", list_), ("show", show), ("remove", remove), ("status", status), ("check", check),
        ("decide", decide),
    ):  # fmt: skip
        group.command(name)(command)
    app.add_typer(group, name="budgets")


def set_(
    context: typer.Context,
    project: Project,
    monthly: Annotated[str, typer.Option("--monthly", metavar="USD", help="The limit of a calendar month.")],
    thresholds: Annotated[
        list[str] | None,
        typer.Option(
            "--thresholds",
            metavar="SHARES",
            help="Shares of the limit to notify at, such as 0.5,0.75,0.9; 1 is always one.",
        ),
    ] = None,
    on_exceed: Annotated[
        str,
        typer.Option(
            "--on-exceed",
            metavar="ACTION",
            help="At the limit: notify, soft_limit (flag requests) or hard_limit (deny requests).",
        ),
    ] = "notify",
    zone: Annotated[
        str,
        typer.Option(
            "--tz",
            metavar="ZONE",
            help="The time zone of its months; default: the --tz before the command.",
            show_default=False,
        ),
    ] = "",
    *,
    forecast_alert: Annotated[
        bool, typer.Option("--forecast-alert", help="Also notify when the forecast exceeds the limit.")
    ] = False,
    format_: Format = "table",
) -> None:
    """Set or change the budget of a project; a new limit resets its thresholds."""
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.budget import DEFAULT_THRESHOLDS, Budget, parse_thresholds
    from hanzo_reports.parse_values import parse_money

    levels = parse_thresholds(split_words(thresholds)) if thresholds else DEFAULT_THRESHOLDS
    limit = parse_money(monthly, "--monthly")
    budget = Budget(project, limit, levels, on_exceed, zone or options.timezone, forecast_alert)
    saved = workspace.budgets.set(budget, workspace.now)
    projects = workspace.usage("all", ["requests"], by=["project"]).to_pyarrow()["project"].to_pylist()
    flagged = project not in projects
    print_money_rows([_row(saved) | {"flagged": flagged}], format_)
    if flagged:
        near = nearest(project, [name for name in projects if name])
        print_note(f"No event has the project {project!r} yet{f'; did you mean {near!r}?' if near else ''}")


def list_(context: typer.Context, format_: Format = "table") -> None:
    """List the budgets."""
    options: Options = context.obj
    check_format(format_)
    budgets = options.workspace().budgets.all()
    print_money_rows([_row(budget) for budget in budgets], format_)
    if not budgets:
        print_note(NO_BUDGETS)


def show(context: typer.Context, project: Project, format_: Format = "table") -> None:
    """Show a budget: its limits over time, and the thresholds that were reached."""
    options: Options = context.obj
    check_format(format_)
    budgets = options.workspace().budgets
    budget = budgets.get(project)
    limits = [{"at": row["since"], "what": f"limit {row['revision']}", "amount": row["monthly_limit"], "told": None}
              for row in budgets.list_revisions(budget)]  # fmt: skip
    crossings = [
        {"at": row["at"], "what": f"{row['threshold']} of {row['period_start']:%Y-%m}", "amount": row["spent"],
         "told": row["notify"]}
        for row in budgets.list_crossings(budget)
    ]  # fmt: skip
    from hanzo_reports.window import iso

    rows = sorted(limits + crossings, key=lambda row: row["at"])
    print_money_rows([row | {"at": iso(row["at"])} for row in rows], format_)


def remove(context: typer.Context, project: Project) -> None:
    """Remove the budget of a project; its notifications stay on record."""
    options: Options = context.obj
    removed = options.workspace().budgets.remove(project)
    print_note(
        f"{removed.project}: removed the budget of {format_value(removed.monthly_limit, Unit.USD, 'terminal')} a month"
    )


def status(context: typer.Context, format_: Format = "table") -> None:
    """Show the spend, share, forecast and state of every budget."""
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.status import evaluate_budgets

    results = evaluate_budgets(workspace.budgets, workspace.events, workspace.now)
    print_money_rows([status.row for status in results], format_)
    for status in results:
        if not status.known:
            print_note(f"No event has the project {status.budget.project!r}")
    if not results:
        print_note(NO_BUDGETS)


def check(context: typer.Context, format_: Format = "table") -> None:
    """Show what the next `hanzo-reports check` will record and notify, without recording it."""
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.crossings import find_crossings

    crossings = find_crossings(workspace.budgets, workspace.events, workspace.now)
    print_money_rows([crossing.row for crossing in crossings], format_)
    if not crossings:
        print_note("No threshold was reached since the last `hanzo-reports check`")


def decide(
    context: typer.Context,
    project: Project,
    estimate: Annotated[str, typer.Option("--estimate", metavar="USD", help="The estimated cost of the request.")],
    event_id: Annotated[
        str,
        typer.Option(
            "--event-id", metavar="ID", help="The id that the request's event will carry; default: a new one."
        ),
    ] = "",
    hold: Annotated[int, typer.Option("--hold", metavar="SECONDS", help="How long the amount is reserved.")] = 600,
    format_: Format = "table",
) -> None:
    """Decide whether a request may be made: exit code 0 allows it, 4 denies it.

    For a hard limit the estimate is reserved until the event with this id arrives, or the hold ends.
    """
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.reservations import validate_hold

    decision = workspace.decision(project, estimate, event_id=event_id, hold=validate_hold(hold))
    print_money_rows([decision.row], format_)
    if decision.flagged and decision.limit is None:
        print_note(f"{project!r}: {decision.reason}")
    if not decision.allowed:
        raise typer.Exit(DENIED)


def _row(budget: Any) -> dict[str, Any]:  # noqa: ANN401  # a Budget; naming it would load SQLAlchemy
    return {
        "project": budget.project, "monthly_limit": budget.monthly_limit,
        "thresholds": " ".join(f"{share:f}" for share in budget.thresholds), "on_exceed": budget.on_exceed,
        "timezone": budget.timezone, "forecast_alert": budget.forecast_alert, "limit_revision": budget.revision,
    }  # fmt: skip
