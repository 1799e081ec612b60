"""Kills passes and deliveries: `python worker.py STATE LAKE KEY KILLS SEED MINUTES`; prints the minutes it took.

Each turn is one pass and one delivery, and a minute of the clock passes with it. It runs in a child process, forked so
that it starts at once, and is killed at a random point of its work: after so many calls within the modules that write
to the database or to receivers. Points are counted and not timed, so a slow machine kills at the same points. When
enough turns were killed, turns run undisturbed until nothing waits to be sent.
"""

import os
import random
import signal
import statistics
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import duckdb
import ibis.backends.duckdb
import ibis.formats.pandas
import sqlalchemy

from hanzo_reports import store
from hanzo_reports.alerts.messages import MessageContext
from hanzo_reports.alerts.rule_check import check_rules
from hanzo_reports.delivery.sealing import Vault
from hanzo_reports.delivery.ssrf import SsrfPolicy
from hanzo_reports.delivery.worker import deliver
from hanzo_reports.state import database as state
from hanzo_reports.state.alert_tables import OUTBOX
from hanzo_reports.store import delta

PRELOADED = (deltalake, duckdb, ibis, delta)  # imported here, so that no child spends its calls on it
WRITERS = ("hanzo_reports.", "sqlalchemy.engine.", "sqlalchemy.pool.", "psycopg.", "httpcore.", "h11.")
MESSAGES_WAIT = 3  # the exit code of a turn after which messages wait to be sent
UNDISTURBED_LIMIT = 20  # turns
REPLY_TIMEOUT = 120.0  # seconds; a receiver that is slow since the machine is busy is no failure
START = datetime(2026, 3, 1, 3, tzinfo=UTC)
url, lake, key, kills, seed, minutes = sys.argv[1:]
random_point = random.Random(int(seed))  # noqa: S311  # points to kill at, not secrets


def run_turn(now):
    """One pass and one delivery; whether a message still waits to be sent."""
    path = url.removeprefix("sqlite:///")
    engine = state.open_sqlite_state(Path(path)) if path != url else sqlalchemy.create_engine(url)
    check_rules(engine, store.open(lake).events, now, context=MessageContext(delay=timedelta()))
    deliver(engine, Vault(key), SsrfPolicy(frozenset({"localhost"}), timeout=REPLY_TIMEOUT), lambda: now)
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.select(OUTBOX).where(OUTBOX.c.state == "pending")).first() is not None


class CallCounter:
    """Counts the calls and returns within the writing modules, in all threads, and kills this process at a number."""

    def __init__(self, kill_at):
        self.calls, self.kill_at = 0, kill_at
        threading.setprofile(self)
        sys.setprofile(self)

    def __call__(self, frame, _event, _argument):
        if frame.f_globals.get("__name__", "").startswith(WRITERS):
            self.calls += 1
            if self.calls == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def fork_turn(minute, kill_at=None):
    """Runs one turn in a child; returns its number of calls, None if it was killed, and whether a message waits."""
    if minute > int(minutes):
        sys.exit(f"{killed} of {kills} turns were killed in {minutes} minutes, and there is no traffic for more")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            counter = CallCounter(kill_at)
            messages_wait = run_turn(START + timedelta(minutes=minute))
            sys.setprofile(None)
            os.write(writer, str(counter.calls).encode())
        except BaseException as error:  # noqa: BLE001  # reported by the exit code
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(MESSAGES_WAIT if messages_wait else 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        calls = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None, True
    if os.WEXITSTATUS(status) not in {0, MESSAGES_WAIT}:
        sys.exit(f"the turn of minute {minute} failed")
    return int(calls), os.WEXITSTATUS(status) == MESSAGES_WAIT


minute, killed = 1, 0
call_counts = [fork_turn(minute)[0]]  # of the turns that were not killed
while killed < int(kills):
    minute += 1
    call_count, _ = fork_turn(minute, random_point.randint(1, int(statistics.median(call_counts) * 1.3)))
    killed += call_count is None
    call_counts += [] if call_count is None else [call_count]
for _ in range(UNDISTURBED_LIMIT):
    minute += 1
    if not fork_turn(minute)[1]:
        break
else:
    sys.exit(f"messages still wait to be sent after {UNDISTURBED_LIMIT} undisturbed turns")
sys.stdout.write(f"{minute}\n")
