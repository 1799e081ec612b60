"""Subscriptions: who is told of budgets and anomalies, which are no rules."""

from typing import Annotated

import typer

from hanzo_reports.cli.ask import Format
from hanzo_reports.cli.options import check_format, store_channels
from hanzo_reports.cli.output import print_note, print_rows


def register(group: typer.Typer) -> None:
    """The commands of this file, beside those of rules."""
    group.command("subscribe")(subscribe)
    group.command("subscriptions")(subscriptions)


def subscribe(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(help="budgets, budgets:PROJECT or anomalies.")],
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", "-c", metavar="CHANNEL", help="As `alerts add` takes it; none: nobody is told."),
    ] = None,
) -> None:
    """Tell channels of budgets or anomalies, in place of those before."""
    from hanzo_reports.alerts.subscriptions import set_subscribers

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        set_subscribers(connection, topic, store_channels(deployment, connection, channel or (), literal=True))
    print_note(f"{topic}: {len(channel or ())} channels are told")


def subscriptions(context: typer.Context, format_: Format = "table") -> None:
    """Who is told of what."""
    check_format(format_)
    from hanzo_reports.alerts.subscriptions import list_subscriptions

    with context.obj.deployment.engine.connect() as connection:
        rows = list_subscriptions(connection)
    print_rows(rows, format_, ("topic", "channel"))
