"""Budgets: set, list, show, remove, status, check, decide."""

from typing import Annotated, Any

import typer

from hanzo_reports.cli.ask import Format
from hanzo_reports.cli.options import Options, check_format, split_words
from hanzo_reports.cli.output import print_money_rows, print_note
from hanzo_reports.errors import nearest
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

DENIED = 4
Project = Annotated[str, typer.Argument(help="A project, as events name it.")]


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="What projects may cost in a month.", rich_markup_mode=None)
    for name, command in (
        ("set", set_), ("list", list_), ("show", show), ("remove", remove), ("status", status), ("check", check),
        ("decide", decide),
    ):  # fmt: skip
        group.command(name)(command)
    app.add_typer(group, name="budgets")


def set_(
    context: typer.Context,
    project: Project,
    monthly: Annotated[str, typer.Option("--monthly", metavar="USD", help="What a calendar month may cost.")],
    thresholds: Annotated[
        list[str] | None,
        typer.Option("--thresholds", metavar="SHARES", help="Shares that are told: 0.5,0.75,0.9; 1 always is."),
    ] = None,
    on_exceed: Annotated[
        str, typer.Option("--on-exceed", metavar="ACTION", help="notify, soft_limit (flags) or hard_limit (denies).")
    ] = "notify",
    zone: Annotated[
        str,
        typer.Option("--tz", metavar="ZONE", help="The zone of its months; else the command's.", show_default=False),
    ] = "",
    *,
    forecast_alert: Annotated[
        bool, typer.Option("--forecast-alert", help="Tell a forecast above the limit as well.")
    ] = False,
    format_: Format = "table",
) -> None:
    """Set a project's budget, or change it; another limit arms its thresholds anew."""
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.budget import THRESHOLDS, Budget, shares
    from hanzo_reports.parse_values import parse_money

    chosen = shares(split_words(thresholds)) if thresholds else THRESHOLDS
    wanted = Budget(
        project, parse_money(monthly, "--monthly"), chosen, on_exceed, zone or options.timezone, forecast_alert
    )
    kept = workspace.budgets.set(wanted, workspace.now)
    projects = workspace.usage("all", ["requests"], by=["project"]).to_pyarrow()["project"].to_pylist()
    flagged = project not in projects
    print_money_rows([_row(kept) | {"flagged": flagged}], format_)
    if flagged:
        near = nearest(project, [name for name in projects if name])
        print_note(f"no event names the project {project!r} yet{f'; did you mean {near!r}?' if near else ''}")


def list_(context: typer.Context, format_: Format = "table") -> None:
    """The budgets there are."""
    options: Options = context.obj
    check_format(format_)
    kept = options.workspace().budgets.all()
    print_money_rows([_row(budget) for budget in kept], format_)
    if not kept:
        print_note("no budgets yet; set one: hanzo-reports budgets set PROJECT --monthly 5000")


def show(context: typer.Context, project: Project, format_: Format = "table") -> None:
    """One budget: its limits over time, and which thresholds were told."""
    options: Options = context.obj
    check_format(format_)
    budgets = options.workspace().budgets
    budget = budgets.get(project)
    limits = [{"at": row["since"], "what": f"limit {row['revision']}", "amount": row["monthly_limit"], "told": None}
              for row in budgets.revisions(budget)]  # fmt: skip
    told = [
        {"at": row["at"], "what": f"{row['threshold']} of {row['period_start']:%Y-%m}", "amount": row["spent"],
         "told": row["notify"]}
        for row in budgets.told(budget)
    ]  # fmt: skip
    from hanzo_reports.window import iso

    rows = sorted(limits + told, key=lambda row: row["at"])
    print_money_rows([row | {"at": iso(row["at"])} for row in rows], format_)


def remove(context: typer.Context, project: Project) -> None:
    """Remove a project's budget; what was told about it stays on record."""
    options: Options = context.obj
    gone = options.workspace().budgets.remove(project)
    print_note(
        f"removed the budget of {gone.project}: {format_value(gone.monthly_limit, Unit.USD, 'terminal')} a month"
    )


def status(context: typer.Context, format_: Format = "table") -> None:
    """Spent, share, forecast and state of every budget."""
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.status import statuses

    found = statuses(workspace.budgets, workspace.events, workspace.now)
    print_money_rows([each.row for each in found], format_)
    for each in found:
        if not each.known:
            print_note(f"no event names the project {each.budget.project!r}")
    if not found:
        print_note("no budgets yet; set one: hanzo-reports budgets set PROJECT --monthly 5000")


def check(context: typer.Context, format_: Format = "table") -> None:
    """What the next `hanzo-reports check` will record of budgets, and tell; looking changes nothing."""
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.status import due

    found = due(workspace.budgets, workspace.events, workspace.now)
    print_money_rows([each.row for each in found], format_)
    if not found:
        print_note("no threshold was reached since the last `hanzo-reports check`")


def decide(
    context: typer.Context,
    project: Project,
    estimate: Annotated[str, typer.Option("--estimate", metavar="USD", help="What the request may cost.")],
    event_id: Annotated[
        str,
        typer.Option(
            "--event-id", metavar="ID", help="The request's own id, which its event will carry; else a new one."
        ),
    ] = "",
    hold: Annotated[int, typer.Option("--hold", metavar="SECONDS", help="How long the amount is set aside.")] = 600,
    format_: Format = "table",
) -> None:
    """Whether a request may be made: exit code 0 allows, 4 denies.

    For a hard limit the estimate is set aside, until the event with this id arrives or the hold is over.
    """
    options: Options = context.obj
    check_format(format_)
    workspace = options.workspace()
    from hanzo_reports.budgets.decision import holding

    told = workspace.decision(project, estimate, event_id=event_id, hold=holding(hold))
    print_money_rows([told.row], format_)
    if told.flagged and told.limit is None:
        print_note(f"{project!r}: {told.reason}")
    if not told.allowed:
        raise typer.Exit(DENIED)


def _row(budget: Any) -> dict[str, Any]:  # noqa: ANN401  # a Budget; naming it would load SQLAlchemy
    return {
        "project": budget.project, "monthly_limit": budget.monthly_limit,
        "thresholds": " ".join(f"{share:f}" for share in budget.thresholds), "on_exceed": budget.on_exceed,
        "timezone": budget.timezone, "forecast_alert": budget.forecast_alert, "limit_revision": budget.revision,
    }  # fmt: skip
