"""One pass over alerts and budgets, and the delivery of messages: check, deliver; both can be repeated with --watch."""

import itertools
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from hanzo_reports.cli.options import Format, Options, check_format
from hanzo_reports.cli.output import print_error, print_note, print_rows
from hanzo_reports.errors import ReportsError, StoreError, UsageError

Once = Annotated[bool, typer.Option("--once", help="Run once; the default without --watch.")]
Watch = Annotated[str, typer.Option(metavar="TIME", help="Repeat at this interval, such as 60s.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    for command in (check, deliver):
        app.command()(command)


def check(
    context: typer.Context,
    watch: Watch = "",
    interval: Annotated[
        str, typer.Option(metavar="TIME", help="How often this command runs, if something else repeats it.")
    ] = "1m",
    format_: Format = "table",
    *,
    once: Once = False,
    no_deliver: Annotated[bool, typer.Option("--no-deliver", help="Leave the messages in the outbox.")] = False,
    reset_clock: Annotated[
        bool, typer.Option("--reset-clock", help="Continue from now if the last check lies in the future.")
    ] = False,
) -> None:
    """Evaluate every rule and budget, and deliver the messages."""
    from hanzo_reports.alerts.run import CLOCK_TOLERANCE
    from hanzo_reports.parse_values import parse_duration

    check_format(format_)
    options: Options = context.obj
    if options.now and options.instant() > datetime.now(UTC) + CLOCK_TOLERANCE:
        msg = f"--now {options.now} lies ahead of the clock: no check before it would do anything; leave --now out"
        raise UsageError(msg)
    pause = parse_duration(watch or interval, "--watch" if watch else "--interval")
    if reset_clock:
        from hanzo_reports.alerts.state_store import rewind_clock

        deployment = options.deployment
        with deployment.engine.begin() as connection:
            rewind_clock(connection, deployment.now())

    def run() -> None:
        _run_pass(options, pause, format_, send=not no_deliver)

    _repeat(run, options, pause if watch else None, once=once)


def deliver(context: typer.Context, watch: Watch = "", format_: Format = "table", *, once: Once = False) -> None:
    """Deliver the messages of the outbox that are due."""
    from hanzo_reports.parse_values import parse_duration

    check_format(format_)

    def run() -> None:
        counts = asdict(context.obj.deployment.deliver())
        for failure in counts.pop("failures"):
            print_note(failure)
        print_rows([counts], format_, tuple(counts))

    _repeat(run, context.obj, parse_duration(watch, "--watch") if watch else None, once=once)


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
        count = len(result.failures)
        noun = "failure" if count == 1 else "failures"
        msg = f"{count} {noun}, and alerts keep their state: {'; '.join(result.failures)}"
        raise StoreError(msg)


def _repeat(run: Callable[[], None], options: Options, interval: timedelta | None, *, once: bool) -> None:
    """Runs once, or for ever if there is an interval.

    A failed turn is reported and the next one runs all the same; only a usage error of the first turn ends it.
    """
    if interval is None:
        run()
        return
    if once or options.now or interval < timedelta(seconds=1):
        msg = "--watch needs a time of at least 1s, and goes without --once and without --now"
        raise UsageError(msg)
    for turn in itertools.count():
        started = time.monotonic()
        try:
            run()
        except ReportsError as error:
            if isinstance(error, UsageError) and not turn:
                raise
            print_error(error)
        time.sleep(max(interval.total_seconds() - (time.monotonic() - started), 0))
