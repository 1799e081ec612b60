"""Silences: a while in which rules say nothing new."""

from typing import Annotated

import typer

from hanzo_reports.cli.ask import Format, Where
from hanzo_reports.cli.options import check_format, parse_unique_pairs
from hanzo_reports.cli.output import print_note, print_rows, print_text


def register(group: typer.Typer) -> None:
    """The commands of this file, beside those of rules."""
    group.command("silence")(silence)
    group.command("silences")(silences)
    group.command("unsilence")(unsilence)


def silence(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="A rule's name; none: every rule.")] = "",
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="For how long: 2h, 3d.")] = "2h",
    until: Annotated[
        str, typer.Option(metavar="INSTANT", help="Until when, instead of --for.", show_default=False)
    ] = "",
    where: Where = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown in the list.", show_default=False)] = "",
) -> None:
    """Say nothing new for a while; what was told is still resolved."""
    from hanzo_reports.alerts import silences as silence_store
    from hanzo_reports.parse_values import parse_duration
    from hanzo_reports.window import parse_instant

    deployment = context.obj.deployment
    now = deployment.now()
    end = parse_instant(until, deployment.timezone) if until else now + parse_duration(for_, "--for")
    made = silence_store.Silence("", rule, parse_unique_pairs(where or (), "--where"), now, end, reason)
    with deployment.engine.begin() as connection:
        kept = silence_store.add_silence(connection, made)
    local_end = deployment.message_context.format_time(kept.ends_at)
    print_note(f"silent until {local_end}; end it with `hanzo-reports alerts unsilence {kept.silence_id}`")
    print_text(kept.silence_id)


def silences(context: typer.Context, format_: Format = "table") -> None:
    """The silences that are not over."""
    check_format(format_)
    from hanzo_reports.alerts import silences as silence_store
    from hanzo_reports.window import iso

    deployment = context.obj.deployment
    with deployment.engine.connect() as connection:
        held = silence_store.list_silences(connection, deployment.now())
    columns = ("id", "rule", "where", "until", "reason")
    rows = [
        {
            "id": one.silence_id, "rule": one.rule or "every rule", "until": iso(one.ends_at), "reason": one.reason,
            "where": ",".join(f"{name}={value}" for name, value in one.groups.items()),
        }
        for one in held
    ]  # fmt: skip
    print_rows(rows, format_, columns)


def unsilence(
    context: typer.Context, silence_id: Annotated[str, typer.Argument(help="As `alerts silences` lists it.")]
) -> None:
    """End a silence; what still fires is told at the next check."""
    from hanzo_reports.alerts import silences as silence_store

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        silence_store.end_silence(connection, silence_id, deployment.now())
    print_note(f"{silence_id}: over")
