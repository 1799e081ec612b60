"""Numbers as people read them: every style by hand, and no style that loses the sign or the size."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.formats import (
    describe_change,
    format_difference,
    format_duration,
    format_relative_change,
    format_short,
    format_value,
    relative_change,
)
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.parse_values import parse_duration
from hanzo_reports.units import Unit

STYLES = ("short", "table", "terminal", "message", "exact")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, Unit.REQUESTS, "0"),
        (999, Unit.REQUESTS, "999"),
        (183_612, Unit.REQUESTS, "183.6K"),
        (999_999, Unit.REQUESTS, "1.000M"),
        (78_081_234, Unit.TOKENS, "78.08M"),
        (1_000_000_000, Unit.TOKENS, "1.000B"),
        (12.345, Unit.PER_SECOND, "12.35/s"),
        (Decimal("327.238"), Unit.USD, "$327.24"),
        (Decimal("0.000421"), Unit.USD, "$0.00042"),
        (Decimal(0), Unit.USD, "$0.00"),
        (Decimal(1_234_567), Unit.USD, "$1.235M"),
        (Decimal("-6.11"), Unit.USD, "\N{MINUS SIGN}$6.11"),
        (317.2, Unit.MILLISECONDS, "317 ms"),
        (7.31, Unit.MILLISECONDS, "7.3 ms"),
        (12_345.0, Unit.MILLISECONDS, "12.3 s"),
        (0.00712, Unit.SHARE, "0.71%"),
        (None, Unit.USD, "\N{EN DASH}"),
    ],
)
def test_a_tile_has_about_four_digits(value, unit, text):
    assert format_short(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (183_612, Unit.REQUESTS, "183,612"),
        (1234.5678, Unit.TOKENS, "1,234.57"),
        (1234.0, Unit.TOKENS, "1,234"),
        (-5, Unit.REQUESTS, "\N{MINUS SIGN}5"),
        (Decimal("1234.5"), Unit.USD, "$1,234.50"),
        (Decimal("0.421"), Unit.USD, "$0.42"),
        (12_345.67, Unit.MILLISECONDS, "12,345.7 ms"),
        (1234.5, Unit.PER_SECOND, "1,234.50/s"),
        (None, Unit.REQUESTS, "\N{EN DASH}"),
    ],
)
def test_a_table_of_a_page_keeps_the_digits(value, unit, text):
    assert format_value(value, unit, "table") == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (Decimal("1234.567891"), Unit.USD, "$1,234.57"),
        (Decimal("0.421"), Unit.USD, "$0.4210"),
        (Decimal("-0.0000421"), Unit.USD, "-$0.00004210"),
        (0.00712, Unit.SHARE, "0.71%"),
        (12_345.67, Unit.MILLISECONDS, "12,345.7 ms"),
        (1234, Unit.TOKENS, "1,234"),
        (1234.5, Unit.TOKENS, "1,234.50"),
        (None, Unit.USD, "-"),
    ],
)
def test_a_cell_of_a_terminal(value, unit, text):
    assert format_value(value, unit, "terminal") == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, Unit.SHARE, "no data"),
        (0.999, Unit.SHARE, "99.9%"),
        (0.99998, Unit.SHARE, "99.998%"),
        (1.0, Unit.SHARE, "100%"),
        (Decimal("0.0001"), Unit.USD, "$0.0001000"),
        (Decimal(-5), Unit.USD, "-$5.00"),
        (7, Unit.REQUESTS, "7 requests"),
        (12.345, Unit.PER_SECOND, "12.35 per second"),
        (3, Unit.COUNT, "3"),
        (1.5, Unit.MILLISECONDS, "1.5 ms"),
        (2140.3, Unit.MILLISECONDS, "2,140 ms"),
    ],
)
def test_a_message_names_the_unit(value, unit, text):
    assert format_value(value, unit, "message") == text


@given(st.decimals(-(10**9), 10**9, places=9), st.sampled_from(list(Unit)))
def test_exact_loses_no_digit(value, unit):
    text = format_value(value, unit, "exact")
    digits = Decimal("".join(character for character in text if character in "0123456789.-"))
    assert digits == (value * 100 if unit is Unit.SHARE else value)


@given(st.integers(-(10**15), 10**15), st.sampled_from(list(Unit)), st.sampled_from(STYLES))
def test_a_number_and_its_negative_differ_by_the_sign_alone(value, unit, style):
    positive, negative = (format_value(Decimal(number), unit, style) for number in (abs(value), -abs(value)))
    assert negative.lstrip("-\N{MINUS SIGN}") == positive
    assert (negative == positive) is (value == 0)


@given(st.integers(1, 10**15))
def test_a_tile_never_has_more_than_four_digits_before_its_letter(value):
    text = format_short(value, Unit.TOKENS)
    assert sum(character.isdigit() for character in text) <= 4
    letter = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}.get(text[-1], 1)
    assert float(text.rstrip("KMBT").replace(",", "")) * letter == pytest.approx(value, rel=0.0006)


def test_a_difference_has_a_sign():
    assert format_difference(Decimal("1.69"), Unit.USD) == "+$1.69"
    assert format_difference(-163, Unit.REQUESTS) == "\N{MINUS SIGN}163"
    assert format_relative_change(0.0191) == "+1.9%"
    assert format_relative_change(-0.5) == "\N{MINUS SIGN}50.0%"
    assert format_relative_change(11.5) == "\N{MULTIPLICATION SIGN}12.5"


def test_there_is_no_change_from_zero_or_from_no_data():
    assert relative_change(5, 0) is None
    assert relative_change(5, None) is None
    assert relative_change(None, 5) is None
    assert relative_change(Decimal("3.3"), Decimal(3)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("metric", "current", "previous", "text", "tone"),
    [
        ("cost", 104, 100, "↑ 4.0%", "even"),  # too little for a colour
        ("cost", 106, 100, "↑ 6.0%", "bad"),
        ("cost", 94, 100, "↓ 6.0%", "good"),
        ("availability", 0.5, 1.0, "↓ 50.0%", "bad"),
        ("requests", 200, 100, "↑ 100.0%", "even"),  # more is neither good nor bad
        ("cost", 100, 100, "±0%", "even"),
        ("cost", 100, 0, "new", "even"),
        ("latency_p99", None, 100, "", "even"),
    ],
)
def test_a_change_is_coloured_by_the_direction_of_its_metric(metric, current, previous, text, tone):
    change = describe_change(current, previous, CATALOG[metric].direction)
    assert (change.text, change.tone) == (text, tone)


def test_a_screen_reader_hears_what_a_change_is_measured_against():
    change = describe_change(3, 2, CATALOG["cost"].direction)
    assert change.words == "up 50.0% on the previous period"


@given(st.integers(0, 36_000 * 86_400))
def test_a_duration_reads_back_as_it_was_written(seconds):
    length = timedelta(seconds=seconds)
    assert parse_duration(format_duration(length), "the window") == length


def test_a_negative_duration_shows_its_sign():
    assert format_duration(timedelta(minutes=-90)) == "-1h30m"
