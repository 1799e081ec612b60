"""Windows: ranges, calendar periods, clock changes and buckets in any zone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanzo_reports.errors import UnknownNameError, WindowError
from hanzo_reports.units import Grain
from hanzo_reports.window import Window, iso

NOW = datetime(2026, 11, 1, 12, 34, 56, tzinfo=UTC)
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"]


@pytest.mark.parametrize(
    ("text", "start", "end", "previous_start"),
    [
        ("24h", "2026-10-31T12:34:56Z", "2026-11-01T12:34:56Z", "2026-10-30T12:34:56Z"),
        ("today", "2026-11-01T04:00:00Z", "2026-11-01T12:34:56Z", "2026-10-31T04:00:00Z"),
        ("yesterday", "2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z", "2026-10-30T04:00:00Z"),
        ("last_week", "2026-10-19T04:00:00Z", "2026-10-26T04:00:00Z", "2026-10-12T04:00:00Z"),
        ("mtd", "2026-11-01T04:00:00Z", "2026-11-01T12:34:56Z", "2026-10-01T04:00:00Z"),
        ("last_month", "2026-10-01T04:00:00Z", "2026-11-01T04:00:00Z", "2026-09-01T04:00:00Z"),
        ("ytd", "2026-01-01T05:00:00Z", "2026-11-01T12:34:56Z", "2025-01-01T05:00:00Z"),
        ("2025-06-01..2025-06-07", "2025-06-01T04:00:00Z", "2025-06-08T04:00:00Z", "2025-05-25T04:00:00Z"),
    ],
)
def test_ranges_in_new_york(text, start, end, previous_start):
    window = Window.parse(text, now=NOW, timezone="America/New_York")
    assert (iso(window.start), iso(window.end), iso(window.previous().start)) == (start, end, previous_start)


def test_the_month_to_date_is_compared_with_the_same_part_of_the_previous_month():
    previous = Window.parse("mtd", now=datetime(2026, 3, 31, 12, tzinfo=UTC)).previous()
    assert (iso(previous.start), iso(previous.end)) == ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterdy", "did you mean 'yesterday'"),
        ("2025-06-09..2025-06-01", "is empty"),
        ("2025-13-01..2025-06-01", "'2025-13-01'"),
        ("0d", "at least 1d"),
    ],
)
def test_an_invalid_range_says_why(text, message):
    with pytest.raises(WindowError, match=message):
        Window.parse(text, now=NOW)


def test_an_unknown_zone_error_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'America/New_York'"):
        Window.parse("24h", now=NOW, timezone="America/NewYork")
    with pytest.raises(UnknownNameError, match=r"known: Africa/Abidjan, .*\.\.\. \(\d{3} in all\)") as raised:
        Window.parse("24h", now=NOW, timezone="Mars/Olympus")
    assert len(str(raised.value)) < 1500


def test_the_repeated_hour_of_autumn_makes_two_buckets():
    labels = [b.label for b in Window.parse("today", now=NOW, timezone="America/New_York").buckets(Grain.HOUR)]
    assert labels[:4] == [
        f"2026-11-01T{t}" for t in ("00:00:00-04:00", "01:00:00-04:00", "01:00:00-05:00", "02:00:00-05:00")
    ]


def test_lord_howe_changes_by_half_an_hour_and_santiago_skips_midnight():
    howe = Window.parse("2026-04-05..2026-04-05", now=NOW, timezone="Australia/Lord_Howe")
    assert howe.buckets(Grain.DAY)[0].end - howe.start == timedelta(hours=24, minutes=30)
    assert [b.label[11:] for b in howe.buckets(Grain.HOUR)[1:4]] == [
        "01:00:00+11:00",
        "01:30:00+10:30",
        "02:00:00+10:30",
    ]
    santiago = Window.parse("2026-09-06..2026-09-06", now=NOW, timezone="America/Santiago")
    assert santiago.buckets(Grain.DAY)[0].label == "2026-09-06T01:00:00-03:00"


@settings(deadline=None)
@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1)).map(lambda d: d.replace(tzinfo=UTC)),  # noqa: DTZ001
    hours=st.floats(0.1, 2000),
    zone=st.sampled_from(ZONES),
    grain=st.sampled_from([g for g in Grain if g not in {Grain.MINUTE, Grain.FIVE_MINUTES}]),
)
def test_buckets_tile_the_window(start, hours, zone, grain):
    window = Window(start, start + timedelta(hours=hours), zone)
    buckets = window.buckets(grain)
    assert buckets[0].start == window.start
    assert buckets[-1].end == window.end
    assert all(a.end == b.start and a.key < b.key for a, b in pairwise(buckets))
