"""Metrics against a hand-computed table and against a naive recomputation in plain Python."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanzo_reports.errors import ColumnError, UnknownNameError, UsageError, WindowError
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.compare import comparison, movers
from hanzo_reports.metrics.cost import costs
from hanzo_reports.metrics.health import health
from hanzo_reports.metrics.usage import usage
from hanzo_reports.units import Grain
from hanzo_reports.window import Window

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
DAY = Window.parse("2025-06-01..2025-06-01", now=NOON + timedelta(days=9))
SCHEMA = pa.schema(
    [
        ("timestamp", pa.timestamp("us", "UTC")), ("model", pa.string()), ("project", pa.string()),
        ("status", pa.int16()), ("latency_ms", pa.float64()), ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()), ("cost", pa.decimal128(18, 9)),
    ]
)  # fmt: skip


def table(rows):
    return ibis.memtable(pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA))


@pytest.fixture
def five():
    return table(
        [
            (NOON, "a", "x", 200, 100.0, 10, 5, Decimal("0.10")),
            (NOON + timedelta(hours=1), "a", "x", 200, 300.0, 20, None, Decimal("0.20")),
            (NOON + timedelta(hours=1), "b", "y", 500, None, None, None, None),
            (NOON + timedelta(hours=2), None, "y", 429, None, None, None, Decimal(0)),
            (NOON - timedelta(days=1), "a", "x", 200, 50.0, 1, 1, Decimal("0.05")),
        ]
    )


def answer(expression):
    return expression.to_pyarrow().to_pylist()


def test_totals_by_hand(five):
    (row,) = answer(usage(five, DAY, ["requests", "tokens", "cost", "unpriced_requests", "active_projects"]))
    assert row == {
        "requests": 4, "input_tokens": 30, "output_tokens": 5, "tokens": 35, "cost": Decimal("0.30"),
        "unpriced_requests": 0, "active_projects": 2,
    }  # fmt: skip


def test_an_unknown_sum_is_null_and_an_empty_window_is_zero(five):
    rows = answer(usage(five, DAY, ["tokens"], by=["model"]))
    assert {r["model"]: r["tokens"] for r in rows} == {"a": 35, "b": None, None: None}
    later = Window.parse("2025-07-01..2025-07-01", now=NOON)
    assert answer(usage(five, later, ["requests", "cost", "error_rate"])) == [
        {"requests": 0, "cost": Decimal(0), "error_rate": None}
    ]


def test_health_by_hand(five):
    (row,) = answer(
        health(five, DAY, ["error_rate", "availability", "rate_limited_rate", "latency_p50", "latency_p99"])
    )
    assert row == {
        "error_rate": 0.5, "availability": 0.75, "rate_limited_rate": 0.25, "latency_p50": 200.0,
        "latency_p99": pytest.approx(298.0),
    }  # fmt: skip


def test_unit_costs_are_decimals_over_priced_requests(five):
    (row,) = answer(costs(five, DAY, ["cost_per_request", "cost_per_million_tokens"]))
    assert row == {"cost_per_request": Decimal("0.1"), "cost_per_million_tokens": Decimal("8571.428571429")}


def test_top_keeps_the_largest_and_computes_the_rest_from_its_rows(five):
    rows = answer(usage(five, DAY, ["requests", "error_rate"], by=["model"], top=1))
    assert rows == [
        {"model": "a", "requests": 2, "error_rate": 0.0},
        {"model": "other", "requests": 2, "error_rate": 1.0},
    ]


def test_empty_buckets_are_filled(five):
    rows = answer(usage(five, DAY, ["requests", "cost", "latency_p50"], every="hour"))
    assert len(rows) == 24
    assert rows[12] == {
        "period": "2025-06-01T12:00:00+00:00", "requests": 1, "cost": Decimal("0.1"), "latency_p50": 100.0
    }  # fmt: skip
    assert rows[3]["requests"] == 0
    assert rows[3]["cost"] == 0
    assert rows[3]["latency_p50"] is None


def test_buckets_ignore_the_time_zone_of_the_connection(five):
    connection = ibis.duckdb.connect()
    events = connection.create_table("events", five.to_pyarrow(), temp=True)
    connection.con.execute("SET TimeZone = 'America/New_York'")
    rows = answer(usage(events, DAY, ["requests"], every="hour"))
    assert [row["requests"] for row in rows][11:16] == [0, 1, 2, 1, 0]


def test_filters_take_values_lists_and_the_unknown(five):
    def count(**where):
        return answer(usage(five, DAY, ["requests"], where=where))[0]["requests"]

    assert (count(model="a"), count(model=["a", "b"]), count(model=None), count(status="429")) == (2, 3, 1, 1)


def test_comparison_and_movers_add_up(five):
    (row,) = answer(comparison(five, DAY, ["requests", "cost"]))
    assert (row["requests"], row["requests_previous"], row["requests_change"]) == (4, 1, 3)
    assert (row["cost"], row["cost_previous"], row["cost_change"]) == (Decimal("0.3"), Decimal("0.05"), Decimal("0.25"))
    moved = answer(movers(five, DAY, "requests", ["model"], top=1))
    assert [(r["model"], r["contribution"]) for r in moved] == [("a", 1), ("other", 2)]
    rate = answer(movers(five, DAY, "error_rate", ["project"]))
    assert sum(r["contribution"] for r in rate) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"metrics": ["latencyp99"]}, UnknownNameError, "did you mean 'latency_p99'"),
        ({"by": ["modle"]}, UnknownNameError, "did you mean 'model'"),
        ({"by": ["day"]}, UsageError, "every='day'"),
        ({"every": "hourly"}, UnknownNameError, "did you mean 'hour'"),
        ({"where": {"status": "ok"}}, UsageError, "whole number"),
        ({"by": ["model"], "top": 0}, UsageError, "at least 1"),
        ({"by": ["team"]}, ColumnError, "no column 'team'"),
    ],
)
def test_a_wrong_argument_is_an_error_before_any_work(five, arguments, error, says):
    with pytest.raises(error, match=says):
        usage(five, DAY, **{"metrics": ["requests"], **arguments})


def test_a_range_is_not_a_window(five):
    with pytest.raises(WindowError, match=r"Window\.parse"):
        usage(five, "7d")


def test_percentiles_have_no_movers(five):
    with pytest.raises(UsageError, match="no parts that add up"):
        movers(five, DAY, "latency_p99", ["model"])


def test_every_metric_of_the_catalogue_says_what_it_is():
    for metric in CATALOG.values():
        assert metric.title
        assert metric.meaning


ROW = st.tuples(
    st.integers(0, 40 * 86400).map(
        lambda s: datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=s, microseconds=s * 13)
    ),
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["x", "y"]),
    st.sampled_from([200, 404, 429, 500]),
    st.one_of(st.none(), st.floats(0, 1e4)),
    st.one_of(st.none(), st.integers(0, 1000)),
    st.one_of(st.none(), st.integers(0, 1000)),
    st.one_of(st.none(), st.integers(0, 10**10).map(lambda n: Decimal(n).scaleb(-9))),
)


def test_the_repeated_hour_is_in_order_east_of_greenwich():
    first = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)  # 01:30 in Berlin; 02:30 follows, and follows again
    times = [first, *[first + timedelta(hours=1)] * 2, *[first + timedelta(hours=2)] * 3]
    events = table([(time, "a", "x", 200, None, None, None, None) for time in times])
    window = Window.parse("2026-10-25..2026-10-25", now=NOON + timedelta(days=900), timezone="Europe/Berlin")
    rows = answer(usage(events, window, ["requests"], every="hour"))
    assert [row["period"] for row in rows] == [bucket.label for bucket in window.buckets(Grain.HOUR)]
    assert [(row["period"][11:], row["requests"]) for row in rows[1:4]] == [
        ("01:00:00+02:00", 1), ("02:00:00+02:00", 2), ("02:00:00+01:00", 3)
    ]  # fmt: skip


def test_the_first_hours_of_1970_belong_to_the_previous_day_in_the_west():
    """Rounded towards 0, as engines divide, they would be of the day after."""
    events = table([(datetime(1970, 1, 1, hour, tzinfo=UTC), "a", "x", 200, *[None] * 4) for hour in (2, 4, 6)])
    window = Window.parse("1969-12-31..1970-01-01", now=NOON, timezone="America/New_York")
    counts = {grain: [row["requests"] for row in answer(usage(events, window, ["requests"], every=grain))]
              for grain in ("day", "week", "month", "hour")}  # fmt: skip
    assert (counts["day"], counts["week"], counts["month"]) == ([2, 1], [3], [2, 1])
    assert [place for place, count in enumerate(counts["hour"]) if count] == [21, 23, 25]


def test_a_window_that_has_just_begun_has_no_buckets(five):
    midnight = datetime(2025, 6, 2, tzinfo=UTC)
    window = Window(midnight, midnight)
    assert answer(usage(five, window, ["requests", "cost"], every="hour")) == []
    assert answer(usage(five, window, ["requests"], by=["model"], every="day")) == []


def test_traffic_keys_caches_and_credits_by_hand():
    rows = [
        {"timestamp": NOON, "status": 200, "api_key": "k1", "bytes_in": 100, "bytes_out": 900, "input_tokens": 1000,
         "output_tokens": 8, "cache_read_tokens": 250, "latency_ms": 1.0, "cost": Decimal("0.50")},
        {"timestamp": NOON, "status": 404, "api_key": "k1", "bytes_in": 50, "bytes_out": None, "input_tokens": 1000,
         "output_tokens": None, "cache_read_tokens": None, "latency_ms": 2.0, "cost": Decimal("-0.125")},
        {"timestamp": NOON, "status": 503, "api_key": "k2", "bytes_in": None, "bytes_out": None, "input_tokens": None,
         "output_tokens": None, "cache_read_tokens": None, "latency_ms": 11.0, "cost": None},
        {"timestamp": NOON, "status": 499, "api_key": None, "bytes_in": None, "bytes_out": 4, "input_tokens": None,
         "output_tokens": None, "cache_read_tokens": None, "latency_ms": None, "cost": Decimal("-0.25")},
    ]  # fmt: skip
    types = {"bytes_in": pa.int64(), "bytes_out": pa.int64(), "cache_read_tokens": pa.int64(), "api_key": pa.string()}
    fields = [field for field in SCHEMA if field.name in rows[0]] + [pa.field(*each) for each in types.items()]
    events = ibis.memtable(pa.Table.from_pylist(rows, pa.schema(fields)))
    (row,) = answer(
        usage(
            events, Window(NOON, NOON + timedelta(minutes=1)),
            ["requests_per_second", "tokens_per_second", "bandwidth", "active_keys", "cache_hit_ratio",
             "client_error_rate", "latency_p90", "cost", "credits"],
        )
    )  # fmt: skip
    assert row == {
        "requests_per_second": 4 / 60, "tokens_per_second": 2008 / 60, "bandwidth": 1054, "active_keys": 2,
        "cache_hit_ratio": 0.125, "client_error_rate": 0.5, "latency_p90": pytest.approx(9.2),
        "cost": Decimal("0.125"), "credits": Decimal("-0.375"),
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(ROW, max_size=30),
    zone=st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]),
    grain=st.sampled_from([Grain.HOUR, Grain.DAY, Grain.WEEK, Grain.MONTH]),
)
def test_against_a_naive_recomputation(rows, zone, grain):
    window = Window.parse("2026-10-03..2026-11-05", now=datetime(2026, 12, 1, tzinfo=UTC), timezone=zone)
    got = answer(usage(table(rows), window, ["requests", "cost", "tokens", "error_rate", "latency_p95"], every=grain))
    want = []
    for bucket in window.buckets(grain):
        mine = [row for row in rows if bucket.start <= row[0] < bucket.end]
        priced = [row[7] for row in mine if row[7] is not None]
        latencies = [row[4] for row in mine if row[4] is not None]
        known = [row for row in mine if row[5] is not None or row[6] is not None]
        want.append(
            {
                "period": bucket.label,
                "requests": len(mine),
                "cost": sum(priced, Decimal(0)) if priced or not mine else None,
                "tokens": sum((r[5] or 0) + (r[6] or 0) for r in known) if known or not mine else None,
                "error_rate": sum(r[3] >= 400 for r in mine) / len(mine) if mine else None,
                "latency_p95": pytest.approx(np.quantile(latencies, 0.95), rel=1e-9) if latencies else None,
            }
        )
    assert [{k: row[k] for k in want[0]} for row in got] == want
