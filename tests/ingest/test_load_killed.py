"""`kill -9` at any moment of a load, and then the load again."""

import json
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hanzo_reports import store
from hanzo_reports.ingest.load import ingest

LOADER = Path(__file__).with_name("loader.py")
NOW = datetime(2025, 7, 1, tzinfo=UTC)
KILLS = 6


@pytest.fixture
def log(tmp_path):
    """20,000 rows over 7 days: one in ten repeats an id, one in a hundred is bad, some of those are equal."""
    path = tmp_path / "log.jsonl"
    with path.open("w") as file:
        for number in range(20_000):
            bad = number % 100 == 0
            row = {
                "event_id": None if bad else str(number // 10 * 10 if number % 10 == 1 else number),
                "timestamp": f"2025-06-{1 + number % 7:02}T00:00:00Z",
                "service": "gateway",
                "project": "search",
                "status": 200,
                "user": "same" if bad and number % 200 else str(number),
            }
            file.write(json.dumps(row) + "\n")
    return path


def contents(lake):
    """Everything that a load leaves, but for its own name."""
    events, quarantine = lake.events(), lake.quarantine()
    return (
        events.order_by("event_id").to_pyarrow().to_pylist(),
        quarantine.select("quarantine_id", "reason", "raw").order_by("quarantine_id").to_pyarrow().to_pylist(),
    )


def start(lake, log):
    return subprocess.Popen(
        [sys.executable, LOADER, lake.url, log, NOW.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(process):
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_load_killed_at_any_moment_and_done_again_is_a_clean_load(tmp_path, log):
    clean = store.open(str(tmp_path / "clean"), create=True)
    begun = time.perf_counter()
    ingest(clean, "events", [log], now=NOW)
    usual = 1.5 * (time.perf_counter() - begun)
    expected = contents(clean)
    assert (len(expected[0]), len(expected[1])) == (18_000, 200)

    lake = store.open(str(tmp_path / "lake"), create=True)
    processes = [start(lake, log) for _ in range(KILLS)]
    chance, survived = random.Random(0), 0  # noqa: S311  # no secret
    for number, process in enumerate(processes):
        go(process)
        time.sleep(usual * (number + chance.random()) / KILLS)
        process.kill()
        process.communicate()
        survived += process.returncode != -signal.SIGKILL
        events, quarantined = contents(lake)
        assert events in ([], expected[0])
        assert quarantined in ([], expected[1])
    assert survived < KILLS, "nothing was killed"

    loaded = ingest(lake, "events", [log], now=NOW)
    assert (loaded.read, loaded.accepted + loaded.duplicates, loaded.quarantined) == (20_000, 19_800, 200)
    assert contents(lake) == expected
    assert len(list(lake.folder.glob("events/day=*/*"))) == len(list(clean.folder.glob("events/day=*/*")))
    assert len(list(lake.folder.glob("quarantine/day=*/*"))) == 1
    assert list((lake.folder / "scratch").iterdir()) == []
