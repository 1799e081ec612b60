"""The gates, on the public series that come with the package."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.backtest import SHIPPED_COVERAGE, backtest, public_series
from hanzo_reports.forecast.model import BURSTS

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


def test_on_day_ten_the_run_rate_is_beaten_by_what_the_steady_series_allow(judged):
    """0.92 is what is reached; the gate of 0.85 is missed on these four series, as docs/forecast.md says."""
    ours, theirs = (judged["steady", 10, method]["wape"] for method in ("forecast", "run_rate"))
    assert 0.90 <= ours / theirs <= 0.93


def test_it_is_better_than_each_simple_method_in_every_class(judged):
    for burst in ("all", "steady", "uneven", "bursty"):
        for method in ("run_rate", "last_7_days", "seasonal_naive"):
            assert mean(judged, burst, "forecast", "wape") <= mean(judged, burst, method, "wape")


@pytest.mark.parametrize("burst", ["all", *BURSTS])
def test_the_80_percent_interval_covers_75_to_92_percent_of_every_class_on_every_day(judged, burst):
    for day in DAYS:
        assert 0.75 <= judged[burst, day, "forecast"]["coverage_80"] <= 0.92


def test_the_coverage_that_reports_name_is_what_is_measured(judged):
    measured = {burst: mean(judged, burst, "forecast", "coverage_80") for burst in BURSTS}
    assert {burst: pytest.approx(share, abs=0.005) for burst, share in SHIPPED_COVERAGE.items()} == measured


@pytest.mark.parametrize(("burst", "most"), [("all", 0.85), ("steady", 0.70), ("uneven", 0.95)])
def test_the_chance_to_exceed_beats_a_rule_of_thumb(judged, burst, most):
    assert mean(judged, burst, "forecast", "brier") <= most * mean(judged, burst, "run_rate", "brier")


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


ETS = """
import numpy as np

class AutoETS:
    def __init__(self, season_length):
        assert season_length == 7

    def forecast(self, y, h):
        assert np.isfinite(y).all() and len(y) >= 21
        return {"mean": np.full(h, y[-7:].max())}
"""


def test_auto_ets_is_evaluated_where_it_is_installed(tmp_path, monkeypatch):
    """A stand-in of its interface, which foresees the last week's largest day, as a package that can be found."""
    daily = {date(2024, 1, 1) + timedelta(days=at): 4.0 + at % 2 for at in range(81)}
    (tmp_path / "statsforecast").mkdir()
    (tmp_path / "statsforecast" / "__init__.py").touch()
    (tmp_path / "statsforecast" / "models.py").write_text(ETS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {row["method"]: row for row in backtest({"a": daily}, [10]) if row["class"] == "all"}
    assert found["auto_ets"]["forecasts"] == found["forecast"]["forecasts"] == 14
    assert found["auto_ets"]["bias"] == pytest.approx(10 / 135)  # 20 days of 5 instead of 4.5, by 135 of the period


@pytest.mark.parametrize(("days", "said"), [((), "not none"), ((0,), "1 to 29"), ((30,), "1 to 29")])
def test_days_lie_in_the_period(days, said):
    with pytest.raises(UsageError, match=said):
        backtest(public_series(), days)


def test_too_short_a_history_is_said():
    with pytest.raises(UsageError, match="the longest has 9 days"):
        backtest({"short": {date(2024, 1, 1) + timedelta(days=at): 1.0 for at in range(9)}, "none": {}})
