"""Forecasts: a naive recomputation, properties of any forecast, and bad input."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.forecast import SpendPanel, forecast, forecast_panel
from hanzo_reports.forecast.level import HALF_LIVES, estimate_level
from hanzo_reports.forecast.outlook import compute_outlook

NOW = datetime(2025, 6, 11, tzinfo=UTC)
MONTH = 30
amounts = st.lists(st.floats(0, 1e5), min_size=3, max_size=70)


def days(values, last=date(2025, 6, 10)):
    """Daily spend with the last value on the day before NOW."""
    return {last - timedelta(days=len(values) - 1 - at): value for at, value in enumerate(values)}


def estimate_naively(values, weekday):
    """The level and the weekday weights of one series, in plain Python, as docs/forecast.md describes them."""
    y = [max(value, 0.0) for value in values]
    n = len(y)
    place = [(weekday - n + at) % 7 for at in range(n)]
    weights = [1.0] * 7
    if n >= 10:
        above, count = [2.0] * 7, [2.0] * 7
        for at in range(n):
            near = y[max(at - 3, 0) : at + 4]
            week = sum(near) / len(near)
            if week > 0:
                above[place[at]] += min(y[at] / week, 4.0)
                count[place[at]] += 1
        weights = [a / c for a, c in zip(above, count, strict=True)]
        weights = [w * 7 / sum(weights) for w in weights]
    expected = [weights[p] for p in place]
    top, low, errors, judged = [0.0] * 4, [0.0] * 4, [0.0] * 4, 0
    keep = [0.5 ** (1 / half) for half in HALF_LIVES]
    for at in range(n):
        ahead = min(7, n - at)
        if at >= 3 and ahead >= 3:
            due, paid = sum(expected[at : at + ahead]), sum(y[at : at + ahead])
            errors = [e + abs(t / max(w, 1e-12) * due - paid) for e, t, w in zip(errors, top, low, strict=True)]
            judged += 1
        top = [t * k + y[at] for t, k in zip(top, keep, strict=True)]
        low = [w * k + expected[at] for w, k in zip(low, keep, strict=True)]
    levels = [t / max(w, 1e-12) for t, w in zip(top, low, strict=True)]
    if judged < 5:
        return sum(levels) / 4, weights
    mean = [e / judged for e in errors]
    power = [max(e, 0.02 * sum(mean) / 4 + 1e-12) ** -4 for e in mean]
    trust = judged / (judged + 10)
    mix = [trust * p / sum(power) + (1 - trust) / 4 for p in power]
    return sum(m * v for m, v in zip(mix, levels, strict=True)), weights


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.01, 1e5), min_size=3, max_size=60), st.integers(0, 6))
def test_level_and_weights_equal_a_naive_recomputation(values, weekday):
    steady = [*values[:-1], min(values[-1], max(values[:-1]))]  # the cap of the newest day has its own test
    level = estimate_level(np.array([steady]), np.array([weekday]))
    daily, weights = estimate_naively(steady, weekday)
    assert level.daily[0] == pytest.approx(daily, rel=1e-9)
    assert level.weights[0] == pytest.approx(weights, rel=1e-9)


def test_a_leap_after_a_steady_month_is_capped_until_a_second_day_confirms_it():
    steady = [100.0 + at % 3 for at in range(30)]
    leap, twice = (
        estimate_level(np.array([[*steady, 1000.0]]), np.array([0])),
        estimate_level(np.array([[*steady, 1000, 1000]]), np.array([0])),
    )
    assert leap.daily[0] == pytest.approx(estimate_level(np.array([[*steady, 102.0]]), np.array([0])).daily[0])
    assert twice.daily[0] > 2 * leap.daily[0]


@settings(deadline=None, max_examples=40)
@given(amounts, st.floats(1e-3, 1e3))
def test_scaling_all_inputs_scales_all_outputs(values, factor):
    values = [round(value, 2) + 1 for value in values]
    one = forecast(days(values), NOW, limit=1000)
    other = forecast(days([value * factor for value in values]), NOW, limit=Decimal(repr(1000 * factor)))
    for name in ("p10", "p50", "p90", "low", "high"):
        assert float(getattr(other, name)) == pytest.approx(float(getattr(one, name)) * factor, rel=1e-6)
    for day, scaled in zip(one.path, other.path, strict=True):
        for name in ("p10", "p50", "p90"):
            assert float(getattr(scaled, name)) == pytest.approx(float(getattr(day, name)) * factor, rel=1e-6)
    assert other.p_exceed == pytest.approx(one.p_exceed, abs=2e-3)
    assert other.burst == one.burst


@settings(deadline=None, max_examples=40)
@given(amounts)
def test_quantiles_are_ordered_and_at_least_the_spend_so_far(values):
    values = [round(value, 2) for value in values]
    result = forecast(days(values), NOW, limit=500)
    if result.p50 is None:
        assert not any(values[:-2])  # the history begins with the first spend, and three days are needed
        return
    assert result.spent <= result.low <= result.p10 <= result.p50 <= result.p90 <= result.high
    for name in ("p10", "p50", "p90"):
        amounts = [getattr(day, name) for day in result.path]
        assert amounts == sorted(amounts)
        assert float(amounts[-1]) == pytest.approx(float(getattr(result, name)))
    assert [day.day for day in result.path] == [date(2025, 6, 11) + timedelta(days=at) for at in range(20)]


def test_p50_is_the_spend_plus_level_times_weekday_weights():
    week = [10, 10, 10, 10, 10, 2, 1]  # Monday first; 10 June 2025 is a Tuesday
    values = [week[(date(2025, 6, 10) - timedelta(days=at)).weekday()] for at in reversed(range(70))]
    result = forecast(days(values), NOW)
    actual = sum(week[date(2025, 6, day).weekday()] for day in range(1, 31))
    assert float(result.p50) == pytest.approx(actual, rel=0.06)
    assert result.burst == "steady"


def test_a_forecast_does_not_depend_on_the_other_series_of_its_panel():
    generator = np.random.default_rng(3)
    values = generator.gamma(2, 50, (130, 90))
    alone = forecast(days(values[117].tolist()), NOW, 5000)
    amounts = np.c_[values, np.zeros(130)]
    spent = [Decimal(str(sum(map(Decimal, map(repr, row[-10:].tolist()))))) for row in values]
    panel = SpendPanel(
        ("p",), [(str(n),) for n in range(130)], date(2025, 6, 11) - timedelta(days=90), amounts, spent, NOW, NOW, "UTC"
    )
    together = forecast_panel(panel, [5000] * 130)[117]
    assert together.p50 == pytest.approx(alone.p50)
    assert (together.p_exceed, together.exhaustion) == (alone.p_exceed, alone.exhaustion)


def test_the_chance_to_exceed_and_the_exhaustion_days_agree_with_the_limit():
    values = [100.0 + 10 * (at % 4) for at in range(60)]
    result = forecast(days(values), NOW, 2400)
    early, middle, late = result.exhaustion
    assert result.p_exceed > 0.99
    assert date(2025, 6, 18) <= early <= middle <= late <= date(2025, 6, 24)
    assert forecast(days(values), NOW, 10_000).exhaustion == (None, None, None)
    over = forecast(days(values), NOW, 500)
    assert (over.p_exceed, over.exhaustion) == (1.0, (date(2025, 6, 5),) * 3)
    median = forecast(days(values), NOW, result.p50)
    assert median.p_exceed == pytest.approx(0.5, abs=0.08)


def test_known_charges_and_credits_shift_the_forecast_by_their_amount():
    values = [100.0] * 60
    plain = forecast(days(values), NOW, 3600)
    charged = forecast(
        days(values), NOW, 3600,
        charges={date(2025, 6, 25): Decimal(500), date(2025, 6, 3): Decimal(-50)},
    )  # fmt: skip
    assert charged.spent == plain.spent - 50
    assert charged.p50 - plain.p50 == pytest.approx(Decimal(450))
    assert charged.p90 - charged.p10 == pytest.approx(plain.p90 - plain.p10)
    before, after = (next(day.p50 for day in charged.path if day.day == date(2025, 6, at)) for at in (24, 25))
    assert after - before > 500
    assert plain.exhaustion[1] is None
    assert charged.exhaustion[2] is None


def test_confidence_grows_with_the_length_of_the_history():
    none, one, few, young, full = (forecast(days([10.0 + at % 2 for at in range(n)]), NOW) for n in (0, 1, 5, 12, 30))
    assert (none.p50, none.confidence, none.basis) == (None, "none", "no forecast: no spend in the history")
    assert (one.p50, one.basis) == (None, "no forecast: 1 complete day of spend, at least 3 are needed")
    assert [result.confidence for result in (few, young, full)] == ["low", "medium", "high"]
    assert "too few for a weekday profile" in few.basis
    assert few.p90 - few.p10 > 2 * (full.p90 - full.p10)


def test_zeros_are_no_spend_and_a_bursty_history_has_low_confidence():
    assert forecast(days([0.0] * 40), NOW, 5).basis == "no forecast: no spend in the history"
    bursts = forecast(days([0.0 if at % 9 else 900.0 for at in range(60)]), NOW)
    assert (bursts.burst, bursts.confidence) == ("bursty", "low")
    assert "hard to forecast" in bursts.basis


def test_a_refund_reduces_the_spend_but_not_the_level():
    values = [100.0] * 40
    refunded = [*values[:-2], -300.0, 100.0]
    plain, after_refund = forecast(days(values), NOW), forecast(days(refunded), NOW)
    assert after_refund.spent == plain.spent - 400
    assert after_refund.p50 > 1500


def test_an_unknown_day_is_not_zero():
    values = [100.0] * 40
    holes = days([*values[:-8], None, *values[-7:]])
    assert float(forecast(holes, NOW).p50) == pytest.approx(float(forecast(days(values), NOW).p50) - 100, rel=0.01)


def test_a_month_begins_and_ends_in_its_time_zone():
    values = days([100.0] * 60, date(2025, 5, 31))
    june = forecast(values, datetime(2025, 6, 1, tzinfo=UTC))
    assert (june.spent, len(june.path)) == (0, 30)
    assert float(june.p50) == pytest.approx(3000, rel=0.02)
    today = days([100.0] * 60, date(2025, 5, 30)) | {date(2025, 5, 31): 58}
    honolulu = forecast(today, datetime(2025, 6, 1, tzinfo=UTC), timezone="Pacific/Honolulu")
    assert (honolulu.period_start, honolulu.spent, len(honolulu.path)) == (date(2025, 5, 1), 3058, 1)
    assert float(honolulu.p50 - honolulu.spent) == pytest.approx(100 * 10 / 24, rel=0.02)  # 10 hours of the day remain


def test_the_rest_of_a_day_is_a_share_of_its_23_hours():
    today = days([100.0] * 60, date(2025, 3, 29)) | {date(2025, 3, 30): 57}
    spring = forecast(today, datetime(2025, 3, 30, 12, tzinfo=UTC), timezone="Europe/Berlin")
    assert float(spring.p50 - spring.spent) == pytest.approx(100 * (10 / 23 + 1), rel=0.02)


@pytest.mark.parametrize("hour", [0, 12, 23])
@pytest.mark.parametrize("missing", [{}, {date(2025, 6, 11): None}])
def test_without_spend_of_today_the_whole_day_is_forecast(hour, missing):
    result = forecast(days([100.0] * 60) | missing, NOW + timedelta(hours=hour))
    assert (result.as_of, result.spent) == (NOW, 1000)
    assert float(result.p50) == pytest.approx(3000, rel=0.001)


def test_the_day_a_limit_was_exceeded_counts_refunds_and_known_charges():
    refunded = days([100.0] * 60) | {date(2025, 6, 3): -250.0}
    assert forecast(refunded, NOW, 600).exhaustion == (date(2025, 6, 10),) * 3
    early = forecast(refunded, NOW, 600, charges={date(2025, 6, 8): Decimal(450)})
    assert early.exhaustion == (date(2025, 6, 8),) * 3


def test_the_interval_covers_volatile_spend_that_the_class_no_longer_shows():
    generator = np.random.default_rng(2)
    volatile, quiet = generator.gamma(1.5, 60, 45).tolist(), generator.gamma(50, 2, 45).tolist()
    after_spell, calm = (forecast(days(values), NOW) for values in (volatile + quiet, quiet + quiet))
    assert after_spell.burst == calm.burst == "steady"
    assert float(after_spell.p90 - after_spell.p10) > 1.3 * float(calm.p90 - calm.p10)
    level = estimate_level(np.array([volatile + quiet, [100.0] * 60 + volatile[:30]]), np.array([0, 0]))
    assert level.wide_spread[0] > 1.3 * level.spread[0]
    assert level.wide_spread[1] == level.spread[1]  # a quiet past does not narrow a recent volatile period


def test_a_week_without_events_gives_no_forecast():
    result = forecast(days([100.0] * 40, date(2025, 6, 1)), NOW, 50)
    assert (result.p50, result.p_exceed) == (None, 1.0)
    assert result.basis == "no forecast: the newest event is 9 days old; load newer ones"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 0}, "above 0"),
        ({"limit": -3}, "above 0"),
        ({"limit": float("nan")}, "finite"),
        ({"daily_spend": {date(2025, 6, 10): float("nan")}}, "finite"),
        ({"daily_spend": {date(2025, 6, 12): 3}}, "leave future days out"),
        ({"daily_spend": {date(2025, 6, 10): 1e30}}, "the spend of 2025-06-10 must be at most 1,000,000,000"),
        ({"limit": 1e12}, "the limit must be at most"),
        ({"charges": {date(2025, 6, 12): Decimal("inf")}}, "finite"),
        ({"charges": {date(2025, 6, 30): Decimal("1e30")}}, "the charge of 2025-06-30 must be at most"),
        ({"charges": {date(2025, 7, 1): Decimal(9)}}, "the charge of 2025-07-01 is not in June 2025"),
        ({"charges": {date(2025, 5, 31): Decimal(9)}}, "the charge of 2025-05-31 is not in June 2025"),
    ],
)
def test_invalid_input_is_refused(arguments, error):
    with pytest.raises(UsageError, match=error):
        forecast(**{"daily_spend": days([1.0] * 20), "now": NOW} | arguments)


def test_an_unknown_time_zone_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Europe/Berlin"):
        forecast({}, NOW, timezone="Europe/Berln")


def test_without_remaining_days_every_quantile_is_the_spend():
    level = estimate_level(np.full((1, 30), 5.0), np.array([0]))
    outlook = compute_outlook(level, np.array([0]), np.zeros((1, 1)), np.array([70.0]), np.array([np.nan]))
    assert outlook.totals[0] == pytest.approx([70.0] * 5)


def test_a_forecast_of_a_mapping_imports_no_engine():
    heavy = "{'ibis', 'pandas', 'duckdb', 'sqlalchemy'}"
    code = f"import sys, hanzo_reports.forecast; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path.cwd()).returncode == 0
