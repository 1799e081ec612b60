"""The gates, on the public series that come with the package."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.backtest import backtest, public_series

DAYS = (5, 10, 15, 20)


@pytest.fixture(scope="module")
def judged():
    """The rows by class, day and method."""
    return {(row["class"], row["day"], row["method"]): row for row in backtest(public_series(), DAYS)}


def mean(judged, burst, method, what):
    return np.mean([judged[burst, day, method][what] for day in DAYS])


def test_the_public_series_are_as_long_as_the_docs_say():
    found = public_series()
    assert {name: len(days) for name, days in found.items()} == {
        "wiki_views": 2905, "melbourne_pedestrians": 1490, "tweets_google": 54, "ad_cpc": 65, "ad_cpm": 65,
        "aider_cost": 120,
    }  # fmt: skip
    assert sum(value is None for days in found.values() for value in days.values()) == 0
    assert found["aider_cost"][date(2024, 11, 26)] == pytest.approx(5.61290095)


def test_steady_series_end_within_ten_percent_from_day_ten_on(judged):
    for day in (10, 15, 20):
        assert judged["steady", day, "forecast"]["wape"] <= 0.10
    assert mean(judged, "steady", "forecast", "wape") <= 0.90 * mean(judged, "steady", "run_rate", "wape")


def test_it_is_better_than_each_simple_method_in_every_class(judged):
    for burst in ("all", "steady", "uneven", "bursty"):
        for method in ("run_rate", "last_7_days", "seasonal_naive"):
            assert mean(judged, burst, "forecast", "wape") <= mean(judged, burst, method, "wape")


def test_the_80_percent_interval_covers_what_it_says(judged):
    for burst in ("all", "steady", "bursty"):
        assert 0.75 <= mean(judged, burst, "forecast", "coverage_80") <= 0.92


def test_the_chance_to_exceed_beats_a_rule_of_thumb(judged):
    for burst in ("all", "steady", "uneven"):
        assert mean(judged, burst, "forecast", "brier") <= 0.85 * mean(judged, burst, "run_rate", "brier")


def test_spend_with_a_working_week_is_foreseen_well_below_the_run_rates_error():
    """Made up: a working week, a slow trend, a little noise; run-rate arithmetic takes the weekend for a fall."""
    chance, made = np.random.default_rng(5), {}
    for name in range(12):
        weeks = np.array([1.15, 1.2, 1.2, 1.2, 1.1, 0.6, 0.55])
        days = [date(2024, 1, 1) + timedelta(days=at) for at in range(300)]
        values = [
            100 * weeks[day.weekday()] * (1 + 0.002 * at) * chance.gamma(60, 1 / 60) for at, day in enumerate(days)
        ]
        made[str(name)] = dict(zip(days, values, strict=True))
    rows = {row["method"]: row for row in backtest(made, [10]) if row["class"] == "steady"}
    assert rows["forecast"]["wape"] <= 0.85 * rows["run_rate"]["wape"]
    assert 0.75 <= rows["forecast"]["coverage_80"] <= 1


def test_a_perfect_series_is_foreseen_perfectly_and_counted_by_hand():
    flat = {date(2024, 1, 1) + timedelta(days=at): 7.0 for at in range(81)}
    rows = backtest({"flat": flat}, [10])
    found = next(row for row in rows if row["class"] == "all" and row["method"] == "run_rate")
    # origins need 21 days before them and 30 days of period: starts 12, 15, ..., 51
    assert (found["forecasts"], found["wape"], found["bias"]) == (14, pytest.approx(0), pytest.approx(0))


@pytest.mark.parametrize(("days", "said"), [((), "not none"), ((0,), "1 to 29"), ((30,), "1 to 29")])
def test_days_lie_in_the_period(days, said):
    with pytest.raises(UsageError, match=said):
        backtest(public_series(), days)


def test_too_short_a_history_is_said():
    with pytest.raises(UsageError, match="the longest has 9 days"):
        backtest({"short": {date(2024, 1, 1) + timedelta(days=at): 1.0 for at in range(9)}, "none": {}})
