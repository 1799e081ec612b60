"""Evaluating rules and sending what they say: check, deliver, outbox."""

import itertools
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from hanzo_reports.cli.ask import Format
from hanzo_reports.cli.options import Options, check_format
from hanzo_reports.cli.output import print_note, print_rows
from hanzo_reports.errors import ReportsError, StoreError, UsageError

Once = Annotated[bool, typer.Option("--once", help="Once, which is what happens without --watch.")]
Watch = Annotated[str, typer.Option(metavar="TIME", help="Again and again, so far apart: 60s.", show_default=False)]
Age = Annotated[str, typer.Option("--older-than", metavar="TIME", help="Done with for so long.")]
_LINE = ("message_id", "channel", "kind", "state", "attempts", "last_status", "last_error", "title", "created_at")


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    app.command()(check)
    app.command()(deliver)
    group = typer.Typer(no_args_is_help=True, help="What was and is to be sent.", rich_markup_mode=None)
    for name, command in (("list", list_), ("show", show), ("resend", resend), ("purge", purge)):
        group.command(name)(command)
    app.add_typer(group, name="outbox")


def check(
    context: typer.Context,
    watch: Watch = "",
    interval: Annotated[str, typer.Option(metavar="TIME", help="How often --once is called.")] = "1m",
    format_: Format = "table",
    *,
    once: Once = False,
    no_deliver: Annotated[bool, typer.Option("--no-deliver", help="Leave the messages in the outbox.")] = False,
    reset_clock: Annotated[
        bool, typer.Option("--reset-clock", help="Go on from now where the last check lies ahead of the clock.")
    ] = False,
) -> None:
    """Evaluate every rule, and send what there is to tell."""
    from hanzo_reports.alerts.run import CLOCK_TOLERANCE
    from hanzo_reports.parse_values import parse_duration

    check_format(format_)
    if context.obj.now and context.obj.instant() > datetime.now(UTC) + CLOCK_TOLERANCE:
        msg = f"--now {context.obj.now} lies ahead of the clock: every check before it would do nothing; leave it out"
        raise UsageError(msg)
    apart = parse_duration(watch or interval, "--watch" if watch else "--interval")

    if reset_clock:
        from hanzo_reports.alerts.state_store import rewind_clock

        deployment = context.obj.deployment
        with deployment.engine.begin() as connection:
            rewind_clock(connection, deployment.now())

    def run() -> None:
        _run_pass(context.obj, apart, format_, send=not no_deliver)

    _repeated(run, context.obj, apart if watch else None, once=once)


def deliver(context: typer.Context, watch: Watch = "", format_: Format = "table", *, once: Once = False) -> None:
    """Send what is due in the outbox."""
    from hanzo_reports.parse_values import parse_duration

    check_format(format_)
    apart = parse_duration(watch, "--watch") if watch else None

    def run() -> None:
        done = asdict(context.obj.deployment.deliver())
        for failure in done.pop("failures"):
            print_note(failure)
        print_rows([done], format_, tuple(done))

    _repeated(run, context.obj, apart, once=once)


def _run_pass(options: Options, interval: timedelta, format_: str, *, send: bool) -> None:
    from hanzo_reports.alerts.run import run_pass

    deployment = options.deployment
    workspace = deployment.workspace
    result = run_pass(
        workspace.budgets,
        workspace.store.events,
        deployment.now(),
        context=deployment.message_context,
        interval=interval,
        deliver=deployment.deliver if send else None,
    )
    for line in (*result.notes, *(result.delivery.failures if result.delivery else ())):
        print_note(line)
    print_rows([result.counts], format_, tuple(result.counts))
    if result.failures:
        msg = f"{len(result.failures)} kinds of failure, alerts stay as they were: {'; '.join(result.failures)}"
        raise StoreError(msg)


def _repeated(run: "Callable[[], None]", options: Options, apart: timedelta | None, *, once: bool) -> None:
    """Once, or for ever; then an error is said and the next turn comes all the same, but for a mistake in the first."""
    if apart is None:
        run()
        return
    if once or options.now or apart < timedelta(seconds=1):
        msg = "--watch goes with a time of at least 1s, without --once and without --now"
        raise UsageError(msg)
    for turn in itertools.count():
        started = time.monotonic()
        try:
            run()
        except ReportsError as error:
            if isinstance(error, UsageError) and not turn:
                raise
            print_note(f"hanzo-reports: {error}")
        time.sleep(max(apart.total_seconds() - (time.monotonic() - started), 0))


def list_(
    context: typer.Context,
    state: Annotated[
        str, typer.Option(metavar="STATE", help="pending, sent, dead or superseded.", show_default=False)
    ] = "",
    channel: Annotated[str, typer.Option(metavar="NAME", help="A channel's name.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="So many at most.")] = 50,
    format_: Format = "table",
) -> None:
    """Messages, newest first."""
    check_format(format_)
    from hanzo_reports.delivery.admin import messages

    with context.obj.deployment.engine.connect() as connection:
        rows = messages(connection, state, channel, limit)
    print_rows([{name: row[name] for name in _LINE} for row in rows], format_, _LINE)


def show(
    context: typer.Context,
    message_id: Annotated[str, typer.Argument(help="Its id, or the start of it.")],
    format_: Format = "table",
) -> None:
    """One message whole: its body and each attempt."""
    check_format(format_, ("table", "json"))
    from hanzo_reports.delivery.admin import message

    with context.obj.deployment.engine.connect() as connection:
        whole = message(connection, message_id)
    whole["body"] = bytes(whole["body"]).decode()
    if format_ == "json":
        print_rows([whole], "json", tuple(whole))
        return
    tried = [
        f"{line['at']:%Y-%m-%d %H:%M:%S} {line['status'] or ''} {line['error'] or 'ok'}" for line in whole["tried"]
    ]
    whole["tried"] = "\n".join(tried) or "-"
    print_rows([{"what": name, "found": value} for name, value in whole.items()], "table", ("what", "found"))


def resend(
    context: typer.Context,
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids, or the starts of them.")] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="All that died.")] = False,
) -> None:
    """Put messages back to be sent, under the same ids."""
    from hanzo_reports.delivery.admin import message, messages
    from hanzo_reports.delivery.admin import resend as again

    if bool(message_ids) == dead:
        msg = "give ids of `hanzo-reports outbox list`, or --dead for all that died"
        raise UsageError(msg)
    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        chosen = (
            messages(connection, "dead", limit=10_000) if dead else [message(connection, m) for m in message_ids or ()]
        )
        resent = again(connection, [row["message_id"] for row in chosen], deployment.now())
        if resent.disabled and not dead:
            name = resent.disabled[0]
            msg = f"the channel {name} is disabled; first: hanzo-reports alerts channels enable {name}"
            raise UsageError(msg)
    if resent.over:
        print_note(f"{resent.over} messages stay as they are: what they told of has been resolved since")
    for name in resent.disabled:
        print_note(
            f"{name} is disabled, so its messages stay as they are; first: hanzo-reports alerts channels enable {name}"
        )
    print_note(f"{resent.due} messages are due again; `hanzo-reports deliver` sends them")


def purge(
    context: typer.Context,
    older_than: Age = "30d",
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Also what died.")] = False,
) -> None:
    """Remove messages that are done with."""
    from hanzo_reports.delivery.admin import purge as removed
    from hanzo_reports.parse_values import parse_duration

    deployment = context.obj.deployment
    states = ("sent", "superseded", *(["dead"] if dead else []))
    with deployment.engine.begin() as connection:
        number = removed(connection, deployment.now() - parse_duration(older_than, "--older-than"), states)
    print_note(f"{number} messages removed")
