"""The mistakes that systems like this one are known for, each shown not to occur."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from hanzo_reports.metrics.cost import costs
from hanzo_reports.metrics.health import health
from hanzo_reports.metrics.usage import usage
from hanzo_reports.window import Window

SCHEMA = pa.schema(
    [
        ("timestamp", pa.timestamp("us", "UTC")), ("model", pa.string()), ("project", pa.string()),
        ("status", pa.int16()), ("latency_ms", pa.float64()), ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()), ("cache_read_tokens", pa.int64()), ("cost", pa.decimal128(18, 9)),
    ]
)  # fmt: skip
NOW = datetime(2025, 12, 1, tzinfo=UTC)


def events(*rows):
    """A table of events; a column that a row does not name is NULL."""
    return ibis.memtable(pa.Table.from_pylist([{"status": 200, **row} for row in rows], SCHEMA))


def hourly(start, end):
    """One event an hour that costs a tenth of a dollar."""
    hours = int((end - start) / timedelta(hours=1))
    return events(
        *({"timestamp": start + timedelta(hours=n), "model": "m", "cost": Decimal("0.1")} for n in range(hours))
    )


def answer(table):
    return table.to_pyarrow().to_pylist()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("month", ["2025-03", "2025-10", "2025-11"])
def test_single_days_sum_to_the_whole(zone, month):
    """Five single days once summed to 1.5 times the five-day total."""
    rows = hourly(datetime(2025, 2, 25, tzinfo=UTC), datetime(2025, 12, 5, tzinfo=UTC))
    whole = Window.parse(f"{month}-01..{month}-28", now=NOW, timezone=zone)
    days = [Window.parse(f"{month}-{day:02}..{month}-{day:02}", now=NOW, timezone=zone) for day in range(1, 29)]
    alone = [answer(usage(rows, day, ["requests", "cost"]))[0] for day in days]
    (total,) = answer(usage(rows, whole, ["requests", "cost"]))
    bucketed = answer(usage(rows, whole, ["requests", "cost"], every="day"))
    assert sum(row["requests"] for row in alone) == total["requests"] == sum(row["requests"] for row in bucketed)
    assert sum(row["cost"] for row in alone) == total["cost"] == sum(row["cost"] for row in bucketed)
    assert [row["requests"] for row in alone] == [row["requests"] for row in bucketed]


def test_the_day_of_a_clock_change_has_its_own_length():
    rows = hourly(datetime(2025, 3, 8, tzinfo=UTC), datetime(2025, 11, 5, tzinfo=UTC))
    for date, hours in (("2025-03-09", 23), ("2025-11-02", 25), ("2025-07-01", 24)):
        day = Window.parse(f"{date}..{date}", now=NOW, timezone="America/New_York")
        buckets = answer(usage(rows, day, ["requests"], every="hour"))
        assert [row["requests"] for row in buckets] == [1] * hours
        assert len({row["period"] for row in buckets}) == hours


def test_a_total_of_percentiles_is_not_their_average():
    at = {"timestamp": NOW - timedelta(hours=1)}
    rows = events(
        *({**at, "model": "fast", "latency_ms": 10.0} for _ in range(98)),
        *({**at, "model": "slow", "latency_ms": 1000.0} for _ in range(2)),
    )
    window = Window.parse("24h", now=NOW)
    by_model = answer(health(rows, window, ["latency_p50"], by=["model"]))
    assert {row["model"]: row["latency_p50"] for row in by_model} == {"fast": 10.0, "slow": 1000.0}
    assert answer(health(rows, window, ["latency_p50"])) == [{"latency_p50": 10.0}]
    rest = answer(health(rows, window, ["requests", "latency_p99"], by=["model"], top=1))
    assert rest[-1] == {"model": "other", "requests": 2, "latency_p99": 1000.0}


def test_a_total_of_ratios_is_not_their_average():
    at = {"timestamp": NOW - timedelta(hours=1)}
    rows = events(*({**at, "model": "a"} for _ in range(9)), {**at, "model": "b", "status": 500})
    window = Window.parse("24h", now=NOW)
    assert answer(health(rows, window, ["error_rate"])) == [{"error_rate": 0.1}]


def test_an_unknown_price_is_not_zero():
    at = {"timestamp": NOW - timedelta(hours=1), "model": "new", "input_tokens": 5, "output_tokens": 5}
    (row,) = answer(costs(events(at, {**at, "cost": Decimal(2)}), Window.parse("24h", now=NOW)))
    assert (row["cost"], row["unpriced_requests"], row["cost_per_request"]) == (2, 1, 2)
    (unknown,) = answer(costs(events(at), Window.parse("24h", now=NOW)))
    assert (unknown["cost"], unknown["unpriced_requests"], unknown["cost_per_request"]) == (None, 1, None)


def test_cache_reads_are_part_of_the_input():
    row = {"timestamp": NOW - timedelta(hours=1), "input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 80}
    (totals,) = answer(usage(events(row), Window.parse("24h", now=NOW), ["tokens", "cache_read_tokens"]))
    assert (totals["tokens"], totals["input_tokens"], totals["cache_read_tokens"]) == (110, 100, 80)


def test_money_is_added_exactly():
    rows = hourly(NOW - timedelta(days=30), NOW)
    (row,) = answer(usage(rows, Window.parse("30d", now=NOW), ["cost"]))
    assert str(row["cost"]) == "72.000000000"


def test_monthly_means_the_calendar_month():
    """ "Monthly" once meant 30 days."""
    rows = hourly(datetime(2025, 9, 1, tzinfo=UTC), NOW)
    (row,) = answer(usage(rows, Window.parse("last_month", now=NOW), ["requests"]))
    assert row["requests"] == 30 * 24
    (october,) = answer(usage(rows, Window.parse("last_month", now=NOW - timedelta(days=10)), ["requests"]))
    assert october["requests"] == 31 * 24


def test_an_event_belongs_to_one_of_two_adjacent_windows():
    edge = NOW - timedelta(hours=24)
    rows = events({"timestamp": edge, "model": "m"}, {"timestamp": edge - timedelta(microseconds=1), "model": "m"})
    window = Window.parse("24h", now=NOW)
    assert answer(usage(rows, window, ["requests"])) == [{"requests": 1}]
    assert answer(usage(rows, window.previous(), ["requests"])) == [{"requests": 1}]
