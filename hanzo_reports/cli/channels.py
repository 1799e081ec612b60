"""Channels: who is told, kept encrypted, shown masked."""

from typing import Annotated

import typer

from hanzo_reports.cli.ask import Format
from hanzo_reports.cli.options import check_format, store_channels
from hanzo_reports.cli.output import print_note, print_rows, print_text

Name = Annotated[str, typer.Argument(help="A channel of `hanzo-reports alerts channels list`.")]


def register(group: typer.Typer) -> None:
    """The commands of this file, below those of rules."""
    own = typer.Typer(no_args_is_help=True, help="Who is told.", rich_markup_mode=None)
    for name, command in (
        ("add", add), ("list", list_), ("secret", secret), ("rotate", rotate), ("enable", enable),
    ):  # fmt: skip
        own.command(name)(command)
    group.add_typer(own, name="channels")


def add(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(help="[NAME=]KIND:ADDRESS; ${NAME} stands for a variable.")],
) -> None:
    """Keep a channel, to be named by rules."""
    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        store_channels(deployment, connection, [channel], literal=True)


def list_(context: typer.Context, format_: Format = "table") -> None:
    """The channels, masked, and who uses them."""
    check_format(format_)
    from hanzo_reports.delivery.endpoints import listed

    with context.obj.deployment.engine.connect() as connection:
        held = listed(connection)
    columns = ("name", "kind", "label", "rules", "failing_since", "disabled_at", "disabled_reason")
    print_rows(
        [{name: row[name] for name in columns} | {"rules": ",".join(row["rules"])} for row in held], format_, columns
    )


def secret(context: typer.Context, name: Name) -> None:
    """The live signing secrets of a webhook, for its receiver."""
    from hanzo_reports.delivery.endpoints import named, opened

    deployment = context.obj.deployment
    with deployment.engine.connect() as connection:
        held = opened(named(connection, name), deployment.vault)
    for live in held.live:
        print_text(live.get_secret_value())


def rotate(
    context: typer.Context,
    name: Name,
    *,
    finish: Annotated[bool, typer.Option("--finish", help="Drop the old secret.")] = False,
) -> None:
    """A new signing secret beside the old one; with --finish only the new one is left."""
    from hanzo_reports.delivery.endpoints import rotate as turn

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        newest = turn(connection, deployment.vault, name, finish=finish)
    print_note(f"{name}: {'only this secret signs now' if finish else 'both secrets sign until --finish'}")
    print_text(newest)


def enable(context: typer.Context, name: Name) -> None:
    """Use a channel again that was disabled."""
    from hanzo_reports.delivery.endpoints import enable as again

    with context.obj.deployment.engine.begin() as connection:
        again(connection, name)
    print_note(f"{name}: enabled; `hanzo-reports outbox resend --dead` sends what died meanwhile")
