"""Silences: periods in which rules send no new notifications."""

from typing import Annotated

import typer

from hanzo_reports.cli.options import Format, Where, check_format, parse_unique_pairs
from hanzo_reports.cli.output import print_note, print_rows, print_text


def register(group: typer.Typer) -> None:
    """Adds the commands of this module beside those of rules."""
    group.command("silence")(silence)
    group.command("silences")(silences)
    group.command("unsilence")(unsilence)


def silence(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="A rule's name; without it, every rule.")] = "",
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 2h, 3d.")] = "2h",
    until: Annotated[str, typer.Option(metavar="INSTANT", help="The end, instead of --for.", show_default=False)] = "",
    where: Where = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="The reason, shown in the list.", show_default=False)
    ] = "",
) -> None:
    """Suppress new notifications for a while; resolved notifications are still sent."""
    from hanzo_reports.alerts import silences as silence_store
    from hanzo_reports.parse_values import parse_duration
    from hanzo_reports.window import parse_instant

    deployment = context.obj.deployment
    now = deployment.now()
    end = parse_instant(until, deployment.timezone) if until else now + parse_duration(for_, "--for")
    draft = silence_store.Silence("", rule, parse_unique_pairs(where or (), "--where"), now, end, reason)
    with deployment.engine.begin() as connection:
        saved = silence_store.add_silence(connection, draft)
    local_end = deployment.message_context.format_time(saved.ends_at)
    print_note(f"Silent until {local_end}. End it with `hanzo-reports alerts unsilence {saved.silence_id}`")
    print_text(saved.silence_id)


def silences(context: typer.Context, format_: Format = "table") -> None:
    """List the silences that have not ended."""
    check_format(format_)
    from hanzo_reports.alerts import silences as silence_store
    from hanzo_reports.window import iso

    deployment = context.obj.deployment
    with deployment.engine.connect() as connection:
        current = silence_store.list_silences(connection, deployment.now())
    columns = ("id", "rule", "where", "until", "reason")
    rows = [
        {
            "id": one.silence_id, "rule": one.rule or "every rule", "until": iso(one.ends_at), "reason": one.reason,
            "where": ",".join(f"{name}={value}" for name, value in one.groups.items()),
        }
        for one in current
    ]  # fmt: skip
    print_rows(rows, format_, columns)


def unsilence(
    context: typer.Context,
    silence_id: Annotated[str, typer.Argument(help="The id, as `alerts silences` lists it.")],
) -> None:
    """End a silence; alerts that still fire are notified at the next check."""
    from hanzo_reports.alerts import silences as silence_store

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        silence_store.end_silence(connection, silence_id, deployment.now())
    print_note(f"{silence_id}: ended")
