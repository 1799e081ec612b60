"""The outbox: list, show, resend and purge its messages."""

from typing import Annotated

import typer

from hanzo_reports.cli.options import TABLE_OR_JSON, DocumentFormat, Format, check_format
from hanzo_reports.cli.output import print_note, print_rows
from hanzo_reports.errors import UsageError

Age = Annotated[str, typer.Option("--older-than", metavar="TIME", help="Only messages finished this long ago.")]
COLUMNS = ("message_id", "channel", "kind", "state", "attempts", "last_status", "last_error", "title", "created_at")
MAX_RESENT = 10_000


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="Messages that were sent or are waiting.", rich_markup_mode=None)
    for name, command in (("list", list_), ("show", show), ("resend", resend), ("purge", purge)):
        group.command(name)(command)
    app.add_typer(group, name="outbox")


def list_(
    context: typer.Context,
    state: Annotated[
        str,
        typer.Option(metavar="STATE", help="Only this state: pending, sent, dead or superseded.", show_default=False),
    ] = "",
    channel: Annotated[str, typer.Option(metavar="NAME", help="Only this channel.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The maximum number of messages.")] = 50,
    format_: Format = "table",
) -> None:
    """List messages, newest first."""
    check_format(format_)
    from hanzo_reports.delivery.admin import list_messages

    with context.obj.deployment.engine.connect() as connection:
        rows = list_messages(connection, state, channel, limit)
    print_rows([{name: row[name] for name in COLUMNS} for row in rows], format_, COLUMNS)


def show(
    context: typer.Context,
    message_id: Annotated[str, typer.Argument(help="The message's id, or the start of it.")],
    format_: DocumentFormat = "table",
) -> None:
    """Show one message: its body and each attempt."""
    check_format(format_, TABLE_OR_JSON)
    from hanzo_reports.delivery.admin import find_message

    with context.obj.deployment.engine.connect() as connection:
        fields = find_message(connection, message_id)
    fields["body"] = bytes(fields["body"]).decode()
    if format_ == "json":
        print_rows([fields], "json", tuple(fields))
        return
    fields["tried"] = [
        f"{attempt['at']:%Y-%m-%d %H:%M:%S} {attempt['status'] or ''} {attempt['error'] or 'ok'}"
        for attempt in fields["tried"]
    ]
    print_rows([{"field": name, "value": value} for name, value in fields.items()], "table", ("field", "value"))


def resend(
    context: typer.Context,
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids of messages, or the starts of them.")] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="All dead messages.")] = False,
) -> None:
    """Queue messages again, under the same ids."""
    from hanzo_reports.delivery.admin import find_message, list_messages, resend_messages

    if bool(message_ids) == dead:
        msg = "give ids of `hanzo-reports outbox list`, or --dead for all dead messages"
        raise UsageError(msg)
    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        if dead:
            rows = list_messages(connection, "dead", limit=MAX_RESENT)
        else:
            rows = [find_message(connection, message_id) for message_id in message_ids or ()]
        result = resend_messages(connection, [row["message_id"] for row in rows], deployment.now())
        if result.disabled and not dead:
            name = result.disabled[0]
            msg = f"the channel {name} is disabled; first: hanzo-reports alerts channels enable {name}"
            raise UsageError(msg)
    if result.over:
        print_note(f"{result.over} messages are not sent again: what they reported has been resolved since")
    for name in result.disabled:
        print_note(
            f"The channel {name} is disabled, so its messages are not sent again. "
            f"Enable it: hanzo-reports alerts channels enable {name}"
        )
    print_note(f"{result.due} messages are queued again; `hanzo-reports deliver` sends them")


def purge(
    context: typer.Context,
    older_than: Age = "30d",
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Also dead messages.")] = False,
) -> None:
    """Remove finished messages."""
    from hanzo_reports.delivery.admin import purge_messages
    from hanzo_reports.parse_values import parse_duration

    deployment = context.obj.deployment
    states = ("sent", "superseded", *(["dead"] if dead else []))
    before = deployment.now() - parse_duration(older_than, "--older-than")
    with deployment.engine.begin() as connection:
        count = purge_messages(connection, before, states)
    print_note(f"{count} messages removed")
