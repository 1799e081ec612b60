"""The accuracy of forecasts on the public series that the package ships."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.backtest import SHIPPED_COVERAGE, backtest, load_public_series
from hanzo_reports.forecast.calibration import BURST_CLASSES

DAYS = (5, 10, 15, 20)


@pytest.fixture(scope="module")
def scores():
    """The rows of the backtest by class, day and method."""
    return {(row["class"], row["day"], row["method"]): row for row in backtest(load_public_series(), DAYS)}


def mean(scores, burst, method, column):
    return np.mean([scores[burst, day, method][column] for day in DAYS])


def test_the_public_series_have_the_lengths_in_the_docs():
    series = load_public_series()
    assert {name: len(days) for name, days in series.items()} == {
        "wiki_views": 2905, "melbourne_pedestrians": 1490, "tweets_google": 54, "ad_cpc": 65, "ad_cpm": 65,
        "aider_cost": 120,
    }  # fmt: skip
    assert sum(value is None for days in series.values() for value in days.values()) == 0
    assert series["aider_cost"][date(2024, 11, 26)] == pytest.approx(5.61290095)


def test_forecasts_of_steady_series_are_within_ten_percent_from_day_ten_on(scores):
    for day in (10, 15, 20):
        assert scores["steady", day, "forecast"]["wape"] <= 0.10


def test_on_day_ten_the_error_on_steady_series_is_092_of_the_run_rates(scores):
    """The target of 0.85 is missed on these series, as docs/forecast.md says."""
    ours, theirs = (scores["steady", 10, method]["wape"] for method in ("forecast", "run_rate"))
    assert 0.90 <= ours / theirs <= 0.93


def test_forecasts_beat_each_simple_method_in_every_class(scores):
    for burst in ("all", "steady", "uneven", "bursty"):
        for method in ("run_rate", "last_7_days", "seasonal_naive"):
            assert mean(scores, burst, "forecast", "wape") <= mean(scores, burst, method, "wape")


@pytest.mark.parametrize("burst", ["all", *BURST_CLASSES])
def test_the_80_percent_interval_covers_75_to_92_percent_of_every_class_on_every_day(scores, burst):
    for day in DAYS:
        assert 0.75 <= scores[burst, day, "forecast"]["coverage_80"] <= 0.92


def test_the_coverage_that_reports_state_is_the_measured_one(scores):
    measured = {burst: mean(scores, burst, "forecast", "coverage_80") for burst in BURST_CLASSES}
    assert {burst: pytest.approx(share, abs=0.005) for burst, share in SHIPPED_COVERAGE.items()} == measured


@pytest.mark.parametrize(("burst", "max_ratio"), [("all", 0.85), ("steady", 0.70), ("uneven", 0.95)])
def test_the_chance_to_exceed_beats_the_run_rate_rule(scores, burst, max_ratio):
    assert mean(scores, burst, "forecast", "brier") <= max_ratio * mean(scores, burst, "run_rate", "brier")


def test_on_spend_with_a_working_week_the_error_is_far_below_the_run_rates():
    """Generated: a working week, a slow trend, a little noise."""
    generator, series = np.random.default_rng(5), {}
    for name in range(12):
        weeks = np.array([1.15, 1.2, 1.2, 1.2, 1.1, 0.6, 0.55])
        days = [date(2024, 1, 1) + timedelta(days=at) for at in range(300)]
        values = [
            100 * weeks[day.weekday()] * (1 + 0.002 * at) * generator.gamma(60, 1 / 60) for at, day in enumerate(days)
        ]
        series[str(name)] = dict(zip(days, values, strict=True))
    rows = {row["method"]: row for row in backtest(series, [10]) if row["class"] == "steady"}
    assert rows["forecast"]["wape"] <= 0.85 * rows["run_rate"]["wape"]
    assert 0.75 <= rows["forecast"]["coverage_80"] <= 1


def test_a_constant_series_has_no_error_and_the_counted_number_of_forecasts():
    flat = {date(2024, 1, 1) + timedelta(days=at): 7.0 for at in range(81)}
    rows = backtest({"flat": flat}, [10])
    run_rate = next(row for row in rows if row["class"] == "all" and row["method"] == "run_rate")
    # origins need 21 days before them and 30 days of period: starts 12, 15, ..., 51
    assert (run_rate["forecasts"], run_rate["wape"], run_rate["bias"]) == (14, pytest.approx(0), pytest.approx(0))


ETS = """
import numpy as np

class AutoETS:
    def __init__(self, season_length):
        assert season_length == 7

    def forecast(self, y, h):
        assert np.isfinite(y).all() and len(y) >= 21
        return {"mean": np.full(h, y[-7:].max())}
"""


def test_auto_ets_is_evaluated_if_it_is_installed(tmp_path, monkeypatch):
    """A stand-in package with its interface, which forecasts the largest day of the last week."""
    daily = {date(2024, 1, 1) + timedelta(days=at): 4.0 + at % 2 for at in range(81)}
    (tmp_path / "statsforecast").mkdir()
    (tmp_path / "statsforecast" / "__init__.py").touch()
    (tmp_path / "statsforecast" / "models.py").write_text(ETS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = {row["method"]: row for row in backtest({"a": daily}, [10]) if row["class"] == "all"}
    assert rows["auto_ets"]["forecasts"] == rows["forecast"]["forecasts"] == 14
    assert rows["auto_ets"]["bias"] == pytest.approx(10 / 135)  # 20 days of 5 instead of 4.5, by 135 of the period


@pytest.mark.parametrize(("days", "error"), [((), "not none"), ((0,), "1 to 29"), ((30,), "1 to 29")])
def test_days_outside_the_period_are_refused(days, error):
    with pytest.raises(UsageError, match=error):
        backtest(load_public_series(), days)


def test_series_that_are_too_short_are_an_error():
    with pytest.raises(UsageError, match="the longest series has 9 days"):
        backtest({"short": {date(2024, 1, 1) + timedelta(days=at): 1.0 for at in range(9)}, "none": {}})
