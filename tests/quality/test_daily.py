"""Days that went wrong: stale, half the normal volume, without prices, responses at no cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from hanzo_reports.quality.daily import daily
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.verdict import State, Status
from hanzo_reports.window import Window

DAYS = 15


def requests(now, day):
    """So many events on the day so many days back; the same each weekday."""
    return [{"timestamp": now - timedelta(days=day, minutes=30 * n)} for n in range(20)]


@pytest.fixture(params=["lake", "postgres"])
def days(request, arrow, local, now):
    """A function that puts events into an engine and gives their days, and the verdict on them."""

    def check_days(rows, timezone="UTC", suite="daily", **overrides):
        table = arrow([{"event_id": f"{n}"} | row for n, row in enumerate(rows)])
        con = request.getfixturevalue("postgres_tables") if request.param == "postgres" else None
        events = con.create_table("days", table, overwrite=True) if con else local(table)
        window = Window.parse("14d", now=now, timezone=timezone)
        table = daily(events, window).to_pyarrow()
        verdict = guard(local(table), request.getfixturevalue("suite_of")(suite, **overrides), now=now)
        return table.to_pylist(), {check.id: check for check in verdict.checks}, verdict

    return check_days


def test_normal_days_pass(days, now):
    table, _, verdict = days([row for day in range(DAYS + 7) for row in requests(now, day)])
    assert verdict.status is Status.PASSED
    assert [day["requests"] for day in table[:-1]] == [20] * 13
    assert [day["volume_ratio"] for day in table[:-1]] == [1.0] * 13
    assert table[-1] == table[-1] | {"day": "2025-06-30", "complete": False, "volume_ratio": None}


def test_half_the_normal_volume_and_a_stale_day(days, now):
    rows = [row for day in range(DAYS + 7) for row in requests(now, day)]
    half = [row for row in rows if not (row["timestamp"].day == 25 and row["timestamp"].minute)]
    stale = [row for row in half if row["timestamp"].day != 27]
    table, checks, verdict = days(stale)
    assert {day["day"]: day["volume_ratio"] for day in table if day["volume_ratio"] not in {1.0, None}} == {
        "2025-06-25": 0.5, "2025-06-27": 0.0,
    }  # fmt: skip
    failed = {name: check.unexpected for name, check in checks.items() if check.state is State.FAILED}
    assert failed == {"fresh": 1, "volume_not_lost": 1, "volume_usual": 2}
    assert [row["day"] for row in checks["fresh"].examples] == ["2025-06-27"]
    assert sorted(row["day"] for row in checks["volume_usual"].examples) == ["2025-06-25", "2025-06-27"]
    assert verdict.status is Status.FAILED


def test_an_event_from_the_future_does_not_make_it_fresh(days, now):
    old = [{"timestamp": now - timedelta(days=3)}, {"timestamp": now + timedelta(days=400)}]
    table, checks, _ = days(old)
    assert table[-1]["hours_without_events"] == 72
    assert checks["fresh"].state is State.FAILED
    assert days(old, max_silence_hours=100)[1]["fresh"].state is State.PASSED


def test_unpriced_and_free_requests_and_copies_are_counted(days, now):
    rows = [
        {"timestamp": now - timedelta(hours=2), "event_id": "twice"},
        {"timestamp": now - timedelta(hours=3), "event_id": "twice"},
        {"timestamp": now - timedelta(hours=4), "cost": None},
        {"timestamp": now - timedelta(hours=5), "cost": Decimal(0)},
        {"timestamp": now - timedelta(hours=5), "cost": Decimal(0)},
        {"timestamp": now - timedelta(hours=6), "cost": None, "input_tokens": 0, "output_tokens": 0},
    ]
    table, checks, _ = days(rows)
    today = table[-1]
    assert (today["unpriced"], today["unpriced_share"], today["free_answers"]) == (1, 0.2, 2)
    assert (today["duplicates"], today["same_calls"]) == (1, 1)
    failed = {name for name, check in checks.items() if check.state is State.FAILED}
    assert {"mostly_priced", "answers_not_free", "no_duplicates", "no_call_twice"} <= failed


def test_days_are_cut_in_the_zone(days):
    berlin = ZoneInfo("Europe/Berlin")
    rows = [
        {"timestamp": datetime(2025, 6, 28, 0, 30, tzinfo=berlin)},
        {"timestamp": datetime(2025, 6, 28, 23, 30, tzinfo=berlin)},
    ]
    counted = {day["day"]: day["requests"] for day in days(rows, "Europe/Berlin")[0]}
    assert (counted["2025-06-27"], counted["2025-06-28"], counted["2025-06-29"]) == (0, 2, 0)


def test_days_before_the_first_event_are_not_stale(days, now):
    table, checks, _ = days([{"timestamp": now - timedelta(hours=1)}])
    assert [day["begun"] for day in table] == [False] * 13 + [True]
    assert (checks["fresh"].state, checks["fresh_ever"].state) == (State.PASSED, State.PASSED)
    assert days([{"timestamp": now - timedelta(days=90)}])[1]["fresh_ever"].unexpected == 14
    assert days([])[1]["fresh_ever"].unexpected == 14
