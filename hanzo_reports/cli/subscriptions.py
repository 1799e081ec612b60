"""Subscriptions: the channels that are notified of budgets and anomalies."""

from typing import Annotated

import typer

from hanzo_reports.cli.options import Format, check_format, store_channels
from hanzo_reports.cli.output import print_note, print_rows


def register(group: typer.Typer) -> None:
    """Adds the commands of this module beside those of rules."""
    group.command("subscribe")(subscribe)
    group.command("subscriptions")(subscriptions)


def subscribe(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(help="budgets, budgets:PROJECT or anomalies.")],
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            "-c",
            metavar="CHANNEL",
            help="A channel, as for `alerts add`; repeat for more. Without it, the topic has no channel.",
        ),
    ] = None,
) -> None:
    """Notify channels of budgets or anomalies, instead of the topic's earlier channels."""
    from hanzo_reports.alerts.subscriptions import set_subscribers

    deployment, channels = context.obj.deployment, channel or ()
    with deployment.engine.begin() as connection:
        set_subscribers(connection, topic, store_channels(deployment, connection, channels, literal=True))
    print_note(f"{topic}: {len(channels)} channels")


def subscriptions(context: typer.Context, format_: Format = "table") -> None:
    """List the topics and their channels."""
    check_format(format_)
    from hanzo_reports.alerts.subscriptions import list_subscriptions

    with context.obj.deployment.engine.connect() as connection:
        rows = list_subscriptions(connection)
    print_rows(rows, format_, ("topic", "channel"))
