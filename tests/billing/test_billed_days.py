"""A bill without a range is compared over every day that any of its lines is about, whatever the lines look like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hanzo_reports as hr
from hanzo_reports.billing.bill_lines import billed_days, has_bills
from hanzo_reports.quality.verdict import State, Status

HEAD = "BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ProviderName,x_Model\n"
NUMBERS = count()
SIZES = ["0s", "500ms", "1h", "23h", "24h", "25h", "3d"]
LENGTH = {"0s": timedelta(0), "500ms": timedelta(milliseconds=500), "3d": timedelta(days=3)} | {
    f"{hours}h": timedelta(hours=hours) for hours in (1, 23, 24, 25)
}


@pytest.fixture
def ws(tmp_path, now):
    return hr.open(str(tmp_path / "w"), now=now, create=True)


@pytest.fixture
def bill(tmp_path):
    """A function that writes a FOCUS file: a cost, a start and an end for each line."""

    def write(*lines, provider="openai", model="gpt-4o", name="bill.csv"):
        path = tmp_path / name
        path.write_text(HEAD + "".join(f"{cost},USD,{start},{end},{provider},{model}\n" for cost, start, end in lines))
        return path

    return write


def billed(ws, window=""):
    return {row["day"]: row["billed_cost"] for row in ws.reconciliation(window).to_pyarrow().to_pylist()}


@pytest.mark.parametrize(
    ("start", "end", "day"),
    [
        ("2025-06-27T06:00:00Z", "2025-06-27T12:00:00Z", "2025-06-27"),
        ("2025-06-27T06:00:00Z", "2025-06-28T00:00:00Z", "2025-06-27"),
        ("2025-06-27T00:00:00Z", "2025-06-27T12:00:00Z", "2025-06-27"),
        ("2025-06-27T12:00:00Z", "2025-06-28T12:00:00Z", "2025-06-27"),
        ("2025-06-27T12:00:00Z", "2025-06-29T12:00:00Z", "2025-06-27..2025-06-29"),
        ("2025-06-27T00:00:00Z", "2025-06-27T00:00:00Z", "2025-06-27"),
        ("2025-06-27T23:59:59.5Z", "2025-06-28T00:00:00Z", "2025-06-27"),
        ("2025-06-27T00:00:00.25Z", "2025-06-27T00:00:00.75Z", "2025-06-27"),
        ("2025-06-27T00:00:00+02:00", "2025-06-28T00:00:00+02:00", "2025-06-26"),
        ("2025-06-27T00:00:00-09:30", "2025-06-27T20:00:00-09:30", "2025-06-27"),
        ("2025-06-27", "2025-06-28", "2025-06-27"),
    ],
)
def test_a_line_that_begins_or_ends_inside_a_day_is_compared_and_fails_the_guard(ws, bill, start, end, day):
    ws.load_bills([bill((500, start, end))])
    assert billed(ws) == {day: Decimal(500)}
    window = hr.window.Window(*billed_days(ws.store), now=ws.now)
    verdict = ws.guard("bill", window)
    assert verdict.status is Status.FAILED
    (check,) = [check for check in verdict.checks if check.id == "nothing_unseen"]
    assert (check.state, check.at_stake) == (State.FAILED, Decimal(500))


def test_the_range_holds_the_lines_of_several_bills(ws, bill):
    ws.load_bills([bill((1, "2025-06-10T18:00:00Z", "2025-06-10T20:00:00Z"), provider="aws")])
    ws.load_bills([bill((500, "2025-06-12T00:00:00Z", "2025-06-12T07:00:00Z"), provider="google")])
    assert billed_days(ws.store) == (datetime(2025, 6, 10, tzinfo=UTC), datetime(2025, 6, 13, tzinfo=UTC))
    assert billed(ws) == {"2025-06-10": Decimal(1), "2025-06-12": Decimal(500)}


def test_a_line_without_length_at_the_last_midnight_is_of_the_day_that_begins_there(ws, bill):
    midnight = "2025-06-28T00:00:00Z"
    path = bill((1, "2025-06-27T00:00:00Z", midnight), (500, midnight, midnight))
    ws.load_bills([path])
    ws.load_bills([path])
    assert billed(ws) == {"2025-06-27": Decimal(1), "2025-06-28": Decimal(500)}
    ws.load_bills([bill((7, midnight, midnight))])
    ws.load_bills([bill((7, midnight, midnight))])
    assert billed(ws) == {"2025-06-27": Decimal(1), "2025-06-28": Decimal(7)}


def test_a_fraction_of_a_second_past_midnight_is_of_the_next_day(ws, bill):
    ws.load_bills([bill((1, "2025-06-27T00:00:00Z", "2025-06-28T00:00:00Z"),
                        (500, "2025-06-28T00:00:00Z", "2025-06-28T00:00:00.5Z"))])  # fmt: skip
    assert billed(ws) == {"2025-06-27": Decimal(1), "2025-06-28": Decimal(500)}
    ws.load_bills([bill((2, "2025-06-28T00:00:00.25Z", "2025-06-28T00:00:00.75Z"))])
    assert billed(ws) == {"2025-06-27": Decimal(1), "2025-06-28": Decimal(2)}


def test_a_day_of_another_zone_is_compared_in_the_range_that_its_begin_is_in(ws, bill):
    zone = "+02:00"
    ws.load_bills([bill((1, f"2025-06-01T00:00:00{zone}", f"2025-06-02T00:00:00{zone}"),
                        (2, f"2025-06-30T12:00:00{zone}", f"2025-07-01T12:00:00{zone}"))])  # fmt: skip
    assert billed(ws, "2025-06-01..2025-06-30") == {"2025-06-30": Decimal(2)}
    assert billed(ws, "2025-05-01..2025-05-31") == {"2025-05-31": Decimal(1)}


def test_no_bill_has_no_days(ws):
    assert (has_bills(ws.store), billed_days(ws.store)) == (False, None)


instants = st.datetimes(datetime(2025, 6, 1), datetime(2025, 6, 20)).map(  # noqa: DTZ001  # the offset comes below
    lambda at: at.replace(microsecond=0)
)
offsets = st.sampled_from(["Z", "+02:00", "-05:00", "+05:45"])
lines = st.lists(st.tuples(st.integers(1, 999), instants, st.sampled_from(SIZES), offsets), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines)
def test_every_line_of_a_bill_is_compared_once(ws, bill, lines):
    provider = f"p{next(NUMBERS)}"  # each example a bill of its own, in one store
    rows = [(cost, at.isoformat() + zone, (at + LENGTH[size]).isoformat() + zone) for cost, at, size, zone in lines]
    loaded = ws.load_bills([bill(*rows, provider=provider)])
    compared = [row for row in ws.reconciliation().to_pyarrow().to_pylist() if row["provider"] == provider]
    assert sum(row["billed_cost"] for row in compared) == sum(cost for cost, *_ in rows)
    assert loaded.lines == len({(datetime.fromisoformat(start), datetime.fromisoformat(end)) for _, start, end in rows})
