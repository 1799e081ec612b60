"""Passes and deliveries that are killed: `python worker.py STATE LAKE KEY KILLS SEED`; prints the minutes it took.

A minute of the clock passes with each pass. Each runs in a child of its own, forked from this process so that it
starts at once, and killed at a random moment, until so many have been killed before they were done.
"""

import os
import random
import signal
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
from hanzo_reports.alerts.check import check
from hanzo_reports.alerts.texts import Voice
from hanzo_reports.delivery.deliver import deliver
from hanzo_reports.delivery.guard import Guard
from hanzo_reports.delivery.sealing import Vault
from hanzo_reports.store import lake as lakes
from hanzo_reports.store import state

READY = (deltalake, duckdb, ibis, lakes)  # loaded here, so that no child spends its time on it
START = datetime(2026, 3, 1, 3, tzinfo=UTC)
url, lake, key, kills, seed = sys.argv[1:]
chance = random.Random(int(seed))  # noqa: S311  # moments, not secrets


def turn(now):
    """What a process does: one pass, one delivery."""
    path = url.removeprefix("sqlite:///")
    engine = state.sqlite(Path(path)) if path != url else sqlalchemy.create_engine(url)
    check(engine, store.open(lake).events, now, voice=Voice(delay=timedelta()))
    deliver(engine, Vault(key), Guard(frozenset({"localhost"}), timeout=2.0), lambda: now)


def forked(now, longest):
    """One turn in a child; whether it was killed, and how long it took."""
    started = time.monotonic()
    child = os.fork()
    if not child:
        try:
            turn(now)
        except BaseException as error:  # noqa: BLE001  # told by the exit code
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    if longest:
        time.sleep(chance.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"a turn failed at {now}")
    return os.WIFSIGNALED(status), time.monotonic() - started


minute, killed = 1, 0
_, usual = forked(START + timedelta(minutes=minute), 0)
while killed < int(kills):
    minute += 1
    was, _ = forked(START + timedelta(minutes=minute), usual * 1.3)
    killed += was
for _ in range(3):
    minute += 1
    forked(START + timedelta(minutes=minute), 0)
sys.stdout.write(f"{minute}\n")
