"""Amounts and durations: read exactly, and refused with the unit, the value and an example."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.errors import UsageError
from hanzo_reports.parse_values import MONEY_LIMIT, parse_amount, parse_duration, parse_money
from hanzo_reports.units import Unit


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1%", Unit.SHARE, "0.01"),
        ("2s", Unit.MILLISECONDS, "2000"),
        ("$1_000.50", Unit.USD, "1000.50"),
        ("5 USD", Unit.USD, "5"),
        (" 5. ", Unit.USD, "5"),
        ("1.2345678901234567890123456789012345678%", Unit.SHARE, "0.012345678901234567890123456789012345678"),
        (".5", Unit.USD, "0.5"),
        ("-1e3", Unit.USD, "-1000"),
        ("10GB", Unit.BYTES, "10000000000"),
        ("1.5M", Unit.TOKENS, "1500000"),
        ("20/s", Unit.PER_SECOND, "20"),
    ],
)
def test_an_amount_is_read_exactly(text, unit, value):
    assert parse_amount(text, "the amount", unit) == Decimal(value)


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        ("much", Unit.USD, "--limit must be a finite number (USD), not 'much'; give for example 50 or $50"),
        (float("nan"), Unit.USD, "--limit must be a finite number (USD), not nan"),
        ("5 ms", Unit.SHARE, "--limit must be in the unit share, and '5 ms' is not; give for example 0.01 or 1%"),
        ("$5$", Unit.USD, "--limit must be in the unit USD"),
        ("90", Unit.SHARE, "--limit must be a share, at least 0 and at most 1, not '90'"),
        ("1e99999", Unit.TOKENS, "--limit is too large or too small: '1e99999' (tokens)"),
        ("1e-99999", Unit.TOKENS, "too large or too small"),
    ],
)
def test_an_amount_that_cannot_be_read_is_refused_with_its_unit(value, unit, message):
    with pytest.raises(UsageError) as caught:
        parse_amount(value, "--limit", unit)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", ["1e12", "-1e99999999", -1e10, MONEY_LIMIT + 1, Decimal("1e400")])
def test_money_has_a_limit(value):
    with pytest.raises(UsageError, match="the limit must be at most 1,000,000,000, not"):
        parse_money(value, "the limit")


@given(st.decimals(-(10**9), 10**9, allow_nan=False) | st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9))
def test_money_is_read_as_it_is_printed(value):
    assert parse_money(value, "the amount") == Decimal(str(value))
    assert parse_money(str(value), "the amount") == Decimal(str(value))


@given(st.text(max_size=12), st.sampled_from(list(Unit)))
def test_any_text_is_an_amount_or_a_usage_error(text, unit):
    try:
        assert parse_amount(text, "the amount", unit).is_finite()
    except UsageError as error:
        assert "the amount" in str(error)  # noqa: PT017  # either is right


def test_a_duration_adds_its_parts():
    assert parse_duration("1d2h3m4s", "window") == timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert parse_duration("2w", "window") == timedelta(days=14)
    assert parse_duration("0", "window") == timedelta()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5 minutes", "--for '5 minutes' is not a duration; give for example 30s, 5m, 1h30m or 3d"),
        ("", "is not a duration"),
        ("-5m", "is not a duration"),
        ("999999w" * 9, "is longer than a century"),
    ],
)
def test_a_duration_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(UsageError) as caught:
        parse_duration(text, "--for")
    assert message in str(caught.value)
