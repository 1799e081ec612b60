"""Channels: the addresses of notifications, stored encrypted and shown masked."""

from typing import Annotated

import typer

from hanzo_reports.cli.options import Format, check_format, store_channels
from hanzo_reports.cli.output import print_note, print_rows, print_text

Name = Annotated[str, typer.Argument(help="A channel, as `hanzo-reports alerts channels list` lists it.")]


def register(group: typer.Typer) -> None:
    """Adds the commands of this module below those of rules."""
    subgroup = typer.Typer(no_args_is_help=True, help="Channels of notifications.", rich_markup_mode=None)
    for name, command in (
        ("add", add), ("list", list_), ("secret", secret), ("rotate", rotate), ("enable", enable),
    ):  # fmt: skip
        subgroup.command(name)(command)
    group.add_typer(subgroup, name="channels")


def add(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(help="[NAME=]KIND:ADDRESS; ${NAME} stands for an environment variable.")],
) -> None:
    """Store a channel, for rules to refer to."""
    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        store_channels(deployment, connection, [channel], literal=True)


def list_(context: typer.Context, format_: Format = "table") -> None:
    """List the channels, masked, and the rules that use them."""
    check_format(format_)
    from hanzo_reports.delivery.endpoints import list_endpoints

    with context.obj.deployment.engine.connect() as connection:
        channels = list_endpoints(connection)
    columns = ("name", "kind", "label", "rules", "failing_since", "disabled_at", "disabled_reason")
    print_rows(
        [{name: row[name] for name in columns} | {"rules": ",".join(row["rules"])} for row in channels],
        format_,
        columns,
    )


def secret(context: typer.Context, name: Name) -> None:
    """Print the valid signing secrets of a webhook, for its receiver."""
    from hanzo_reports.delivery.endpoints import decrypt_endpoint, find_endpoint

    deployment = context.obj.deployment
    with deployment.engine.connect() as connection:
        channel = decrypt_endpoint(find_endpoint(connection, name), deployment.vault)
    for secret in channel.signing_secrets:
        print_text(secret.get_secret_value())


def rotate(
    context: typer.Context,
    name: Name,
    *,
    finish: Annotated[bool, typer.Option("--finish", help="Remove the old secret.")] = False,
) -> None:
    """Add a signing secret beside the old one; with --finish, remove the old one."""
    from hanzo_reports.delivery.endpoints import rotate_secret

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        newest = rotate_secret(connection, deployment.vault, name, finish=finish)
    print_note(f"{name}: {'only this secret signs' if finish else 'both secrets sign until you rotate with --finish'}")
    print_text(newest)


def enable(context: typer.Context, name: Name) -> None:
    """Enable a channel that was disabled."""
    from hanzo_reports.delivery.endpoints import enable_endpoint

    with context.obj.deployment.engine.begin() as connection:
        enable_endpoint(connection, name)
    print_note(f"{name}: enabled; send its dead messages with `hanzo-reports outbox resend --dead`")
