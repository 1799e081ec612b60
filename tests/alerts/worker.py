"""Passes and deliveries that are killed: `python worker.py STATE LAKE KEY KILLS SEED MINUTES`; prints how many it took.

A minute of the clock passes with each pass. Each runs in a child of its own, forked from this process so that it
starts at once, and killed at a random moment, until so many have been killed before they were done. Then turns are left
in peace until nothing waits to be sent.
"""

import os
import random
import signal
import statistics
import sys
import time
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

READY = (deltalake, duckdb, ibis, delta)  # loaded here, so that no child spends its time on it
WAITS = 3  # the exit code of a turn after which messages are left
LAST = 20  # turns in peace, at most
START = datetime(2026, 3, 1, 3, tzinfo=UTC)
url, lake, key, kills, seed, minutes = sys.argv[1:]
chance = random.Random(int(seed))  # noqa: S311  # moments, not secrets


def turn(now):
    """What a process does: one pass, one delivery; whether anything still waits to be sent."""
    path = url.removeprefix("sqlite:///")
    engine = state.open_sqlite_state(Path(path)) if path != url else sqlalchemy.create_engine(url)
    check_rules(engine, store.open(lake).events, now, context=MessageContext(delay=timedelta()))
    deliver(engine, Vault(key), SsrfPolicy(frozenset({"localhost"}), timeout=10.0), lambda: now)
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.select(OUTBOX).where(OUTBOX.c.state == "pending")).first() is not None


def forked(minute, longest=None):
    """One turn in a child, killed if it takes longer; whether it was, whether anything waits, how long it took."""
    if minute > int(minutes):
        sys.exit(f"{killed} of {kills} turns were killed in {minutes} minutes, all that there is traffic for")
    started = time.monotonic()
    child = os.fork()
    if not child:
        try:
            waits = turn(START + timedelta(minutes=minute))
        except BaseException as error:  # noqa: BLE001  # told by the exit code
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(WAITS if waits else 0)
    done, status = os.waitpid(child, 0 if longest is None else os.WNOHANG)
    while not done:
        time.sleep(0.001)
        if time.monotonic() - started > longest:
            os.kill(child, signal.SIGKILL)
            longest = float("inf")
        done, status = os.waitpid(child, os.WNOHANG)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) not in {0, WAITS}:
        sys.exit(f"the turn of minute {minute} failed")
    return os.WIFSIGNALED(status), os.WIFEXITED(status) and os.WEXITSTATUS(status) == WAITS, time.monotonic() - started


minute, killed = 1, 0
took = [forked(minute)[2]]  # of the turns that came to their end
while killed < int(kills):
    minute += 1
    was, _, seconds = forked(minute, chance.uniform(0, statistics.median(took) * 1.3))
    killed += was
    took += [] if was else [seconds]
for _ in range(LAST):
    minute += 1
    if not forked(minute)[1]:
        break
else:
    sys.exit(f"messages still wait to be sent after {LAST} turns that nobody disturbed")
sys.stdout.write(f"{minute}\n")
