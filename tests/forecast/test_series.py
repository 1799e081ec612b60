"""Daily spend, the scorecard, and anomalies with their causes, on small tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select

from hanzo_reports.errors import UsageError
from hanzo_reports.events import SCHEMA
from hanzo_reports.forecast import daily_spend, forecast_panel
from hanzo_reports.forecast.anomalies import explain_anomalies, find_anomalies
from hanzo_reports.forecast.scorecard import FEW, OWN, SHIPPED, build_scorecard, record_forecasts
from hanzo_reports.state.budget_tables import FORECASTS
from hanzo_reports.state.database import open_sqlite_state
from hanzo_reports.store.duckdb_session import connect_ibis

JUNE = datetime(2025, 6, 1, tzinfo=UTC)
NOON, DAY = timedelta(hours=12), timedelta(days=1)
_SCHEMA = ibis.schema({name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()}).to_pyarrow()


def build_events(*charges):
    """Build events from (instant, project, model, cost)."""
    columns = {name: [None] * len(charges) for name in SCHEMA}
    columns["timestamp"], columns["project"], columns["model"], costs = map(list, zip(*charges, strict=True))
    columns |= {
        "cost": [None if cost is None else Decimal(str(cost)) for cost in costs],
        "input_tokens": [1] * len(charges),
    }
    columns |= {"event_id": [f"e{n}" for n in range(len(charges))], "status": [200] * len(charges)}
    table = pa.table({field.name: pa.array(columns[field.name], field.type) for field in _SCHEMA})
    return connect_ibis(duckdb.connect()).create_table("events", table)


@pytest.fixture
def state(tmp_path):
    engine = open_sqlite_state(tmp_path / "state.db")
    yield engine
    engine.dispose()


def test_a_day_without_events_is_zero_and_a_day_without_prices_is_unknown():
    now = JUNE + 5 * DAY + NOON
    table = build_events(
        (JUNE + NOON, "a", "m", 3),
        (JUNE + NOON, "a", "m", -1),  # a credit reduces the spend but not the level
        (JUNE + DAY, "b", "m", 7),
        (JUNE + 2 * DAY, "a", "m", None),
        (JUNE + 4 * DAY, "a", "m", "0.000000001"),
        (JUNE + 5 * DAY, "a", "m", 5),
        (JUNE - DAY, "a", "m", 11),
    )
    panel = daily_spend(table, now, by=["project"], days=10)
    assert panel.keys == [("a",), ("b",)]
    assert panel.spent == [Decimal("7.000000001"), Decimal(7)]
    assert panel.unpriced == [1, 0]
    first = (JUNE.date() - panel.first).days
    assert panel.amounts[0, first - 1 :] == pytest.approx([11, 3, 0, np.nan, 0, 1e-9, 5], nan_ok=True)
    assert panel.history[1, first:] == pytest.approx([np.nan, 7, 0, 0, 0], nan_ok=True)


def test_days_begin_in_the_time_zone_and_end_with_the_newest_event():
    table = build_events((JUNE - timedelta(hours=1), "a", "m", 3), (JUNE + DAY, "a", "m", 4))
    kolkata = daily_spend(table, JUNE + 9 * DAY, by=["project"], timezone="Asia/Kolkata", days=20)
    assert (kolkata.spent, kolkata.as_of) == ([7], JUNE + DAY)
    assert kolkata.today == date(2025, 6, 2)
    utc = daily_spend(table, JUNE + 9 * DAY, by=["project"], days=20)
    assert utc.spent == [4]


def test_without_events_the_panel_is_empty_and_a_selected_group_has_no_spend():
    table = build_events((JUNE, "a", "m", 3)).filter(ibis._.project == "b")
    panel = daily_spend(table, JUNE + DAY, by=["project"], days=5)
    assert len(panel) == 0
    assert forecast_panel(panel.select([("x",)]))[0].basis == "no forecast: no spend in the history"


def test_a_recorded_forecast_is_scored_when_its_month_is_over(state):
    charges = [(JUNE + DAY * at + NOON, "a", "m", 10) for at in range(-40, 30)]
    table = build_events(*charges, (JUNE + 29 * DAY, "a", "m", 100))
    for day in (9, 9.4, 14):
        now = JUNE + DAY * day
        panel = daily_spend(table, now, by=["project"])
        count = record_forecasts(state, forecast_panel(panel, [Decimal(350)]), ["project"], "UTC", now)
        assert count == (0 if day == 9.4 else 1)  # one a day
    early = build_scorecard(state, table, JUNE + 30 * DAY)
    assert [(row["class"], row["forecasts"], row["wape"]) for row in early] == [("all", 0, None)]
    every, steady = build_scorecard(state, table, JUNE + 33 * DAY)
    assert (every["forecasts"], every["months"], steady["class"], every["basis"]) == (2, 1, "steady", FEW)
    assert every["wape"] == pytest.approx(0.25, abs=0.02)  # 400 was spent, 300 was forecast
    assert every["bias"] == pytest.approx(-0.25, abs=0.02)
    assert (every["coverage_80"], every["brier"]) == (0, pytest.approx(1, abs=0.15))
    assert every["wape_run_rate"] == pytest.approx(0.25, abs=0.02)
    assert early[0]["basis"] == SHIPPED


def test_the_basis_of_twenty_scored_forecasts_is_your_data(state):
    table = build_events(*((JUNE + DAY * at + NOON, "a", "m", 10) for at in range(-40, 30)))
    for day in range(5, 25):
        now = JUNE + DAY * day
        record_forecasts(state, forecast_panel(daily_spend(table, now, by=["project"])), ["project"], "UTC", now)
    assert [row["basis"] for row in build_scorecard(state, table, JUNE + 33 * DAY)] == [OWN, OWN]


@pytest.mark.parametrize(("zone", "off"), [("UTC", 0), ("Asia/Kolkata", 5.5)])
def test_the_run_rate_divides_by_the_elapsed_time_of_the_month(state, zone, off):
    """Ten dollars an hour: after 42 hours of June the run rate of its 720 hours is exact."""
    start = JUNE - timedelta(hours=off)
    table = build_events(*((start + timedelta(hours=at + 0.5), "a", "m", 10) for at in range(-480, 720)))
    for hours in (0, 42):
        now = start + timedelta(hours=hours)
        record_forecasts(
            state, forecast_panel(daily_spend(table, now, by=["project"], timezone=zone)), ["project"], zone, now
        )
    with state.connect() as connection:
        rates = [row.run_rate for row in connection.execute(select(FORECASTS).order_by(FORECASTS.c.issued_at))]
    assert rates == [None, pytest.approx(Decimal(7200))]
    every, *_ = build_scorecard(state, table, JUNE + 33 * DAY)
    assert (every["forecasts"], every["wape_run_rate"]) == (2, pytest.approx(0))


def test_a_refund_moves_the_day_on_which_a_limit_was_exceeded():
    table = build_events(
        *((JUNE + DAY * at + NOON, "a", "m", 100) for at in range(-30, 10)), (JUNE + 2 * DAY, "a", "m", -350)
    )
    panel = daily_spend(table, JUNE + 10 * DAY, by=["project"])
    assert panel.net_amounts[0, -10:-7] == pytest.approx([100, -250, 100])
    assert panel.amounts[0, -10:-7] == pytest.approx([100, 100, 100])
    assert forecast_panel(panel.select([("a",)]), [Decimal(600)])[0].exhaustion == (date(2025, 6, 10),) * 3


def test_an_anomaly_has_its_stake_and_its_cause():
    rows = [
        (JUNE + DAY * at + NOON, project, model, cost)
        for at in range(60)
        for project, model, cost in (("a", "big", 40 + at % 5), ("a", "small", 4), ("b", "big", 7 + at % 2))
    ]
    table = build_events(*rows, (JUNE + 50 * DAY, "a", "small", 90), (JUNE + 50 * DAY, "b", "big", "0.2"))
    panel = daily_spend(table, JUNE + 60 * DAY, by=["project"])
    (anomaly,) = explain_anomalies(find_anomalies(panel), table, ["project"], "UTC")
    assert (anomaly.key, anomaly.day) == (("a",), date(2025, 7, 21))
    assert float(anomaly.stake) == pytest.approx(90, abs=6)
    assert anomaly.why == "model small: +$90.00 on the same weekday before"
    assert find_anomalies(panel, stake=Decimal(200)) == []
    assert find_anomalies(panel, days=5) == []


def test_requests_without_a_name_are_a_cause():
    rows = [(JUNE + DAY * at + NOON, "a", "m", 40 + at % 5) for at in range(60)]
    table = build_events(*rows, (JUNE + 50 * DAY, "a", None, 90))
    (anomaly,) = explain_anomalies(
        find_anomalies(daily_spend(table, JUNE + 60 * DAY, by=["project"])), table, ["project"], "UTC"
    )
    assert anomaly.why == "requests without a model: +$90.00 on the same weekday before"


def test_steady_spend_has_no_anomaly_and_a_fall_is_one():
    steady = [(JUNE + DAY * at, "a", "m", 50 + (at * 7) % 9) for at in range(60)]
    assert find_anomalies(daily_spend(build_events(*steady), JUNE + 60 * DAY)) == []
    fallen = [row for row in steady if row[0] != JUNE + 55 * DAY] + [(JUNE + 55 * DAY, "a", "m", 2)]
    (anomaly,) = find_anomalies(daily_spend(build_events(*fallen), JUNE + 60 * DAY))
    assert anomaly.stake < -40
    assert anomaly.score < -3.5


def test_one_higher_day_after_constant_spend_has_a_finite_score():
    flat = [(JUNE + DAY * at, "a", "m", 40 if at == 55 else 4) for at in range(60)]
    (anomaly,) = find_anomalies(daily_spend(build_events(*flat), JUNE + 60 * DAY))
    assert (anomaly.spent, anomaly.day) == (40, date(2025, 7, 26))
    assert 3.5 < anomaly.score < 1000
    assert find_anomalies(daily_spend(build_events(*((at, "a", "m", 0) for at, *_ in flat)), JUNE + 60 * DAY)) == []


@pytest.mark.parametrize(("hours", "complete"), [(0.5, True), (1.5, False), (12, False), (23, False)])
def test_a_day_with_late_logs_is_not_complete(hours, complete):
    """One request an hour, and the last ones have not arrived: that is not a fall in spend."""
    now = JUNE + 20 * DAY + DAY / 48
    arrivals = [at for n in range(20 * 24 + 1) if (at := JUNE + n * DAY / 24) <= now - hours * DAY / 24]
    panel = daily_spend(build_events(*((at, "a", "m", 1) for at in arrivals)), now)
    assert (panel.as_of, panel.today) == ((now, date(2025, 6, 21)) if complete else (arrivals[-1], date(2025, 6, 20)))
    assert find_anomalies(panel) == []


def test_a_pause_as_long_as_earlier_ones_is_not_a_late_log():
    """Requests from nine to five, and a question at midnight."""
    instants = [JUNE + day * DAY + hour * DAY / 24 for day in range(20) for hour in range(9, 17)]
    panel = daily_spend(build_events(*((at, "a", "m", 1) for at in instants)), JUNE + 20 * DAY)
    assert panel.as_of == JUNE + 20 * DAY


@pytest.mark.parametrize("arguments", [{"days": 0}, {"score": 0}, {"stake": Decimal(-1)}, {"score": float("nan")}])
def test_invalid_arguments_of_a_search_are_refused(arguments):
    panel = daily_spend(build_events((JUNE, "a", "m", 1)), JUNE + DAY)
    with pytest.raises(UsageError, match="must be"):
        find_anomalies(panel, **arguments)
