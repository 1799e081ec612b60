"""Events to daily spend, issued forecasts to a scorecard, days out of line to a reason: on hand-made tables."""

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
from hanzo_reports.forecast import daily_spend, forecasts
from hanzo_reports.forecast.anomalies import anomalies, explained
from hanzo_reports.forecast.scorecard import FEW, OWN, SHIPPED, issued, scorecard
from hanzo_reports.state.budget_tables import FORECASTS
from hanzo_reports.state.database import open_sqlite_state
from hanzo_reports.store.duckdb_session import connect_ibis

JUNE = datetime(2025, 6, 1, tzinfo=UTC)
NOON, DAY = timedelta(hours=12), timedelta(days=1)
_SCHEMA = ibis.schema({name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()}).to_pyarrow()


def events(*made):
    """Events from (instant, project, model, cost)."""
    columns = {name: [None] * len(made) for name in SCHEMA}
    columns["timestamp"], columns["project"], columns["model"], costs = map(list, zip(*made, strict=True))
    columns |= {
        "cost": [None if cost is None else Decimal(str(cost)) for cost in costs],
        "input_tokens": [1] * len(made),
    }
    columns |= {"event_id": [f"e{n}" for n in range(len(made))], "status": [200] * len(made)}
    table = pa.table({field.name: pa.array(columns[field.name], field.type) for field in _SCHEMA})
    return connect_ibis(duckdb.connect()).create_table("events", table)


@pytest.fixture
def state(tmp_path):
    engine = open_sqlite_state(tmp_path / "state.db")
    yield engine
    engine.dispose()


def test_days_without_events_are_zero_and_days_without_a_price_unknown():
    now = JUNE + 5 * DAY + NOON
    table = events(
        (JUNE + NOON, "a", "m", 3),
        (JUNE + NOON, "a", "m", -1),  # a credit: off the spend, not in the level
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


def test_days_are_cut_in_the_zone_and_end_with_the_newest_event():
    table = events((JUNE - timedelta(hours=1), "a", "m", 3), (JUNE + DAY, "a", "m", 4))
    kolkata = daily_spend(table, JUNE + 9 * DAY, by=["project"], timezone="Asia/Kolkata", days=20)
    assert (kolkata.spent, kolkata.as_of) == ([7], JUNE + DAY)
    assert kolkata.today == date(2025, 6, 2)
    utc = daily_spend(table, JUNE + 9 * DAY, by=["project"], days=20)
    assert utc.spent == [4]


def test_no_events_no_panel_and_a_group_without_spend_is_zero():
    table = events((JUNE, "a", "m", 3)).filter(ibis._.project == "b")
    panel = daily_spend(table, JUNE + DAY, by=["project"], days=5)
    assert len(panel) == 0
    assert forecasts(panel.chosen([("x",)]))[0].basis == "no forecast: no spend in the history"


def test_an_issued_forecast_is_judged_when_its_month_is_over(state):
    made = [(JUNE + DAY * at + NOON, "a", "m", 10) for at in range(-40, 30)]
    table = events(*made, (JUNE + 29 * DAY, "a", "m", 100))
    for day in (9, 9.4, 14):
        now = JUNE + DAY * day
        panel = daily_spend(table, now, by=["project"])
        kept = issued(state, forecasts(panel, [Decimal(350)]), ["project"], "UTC", now)
        assert kept == (0 if day == 9.4 else 1)  # one a day
    early = scorecard(state, table, JUNE + 30 * DAY)
    assert [(row["class"], row["forecasts"], row["wape"]) for row in early] == [("all", 0, None)]
    every, steady = scorecard(state, table, JUNE + 33 * DAY)
    assert (every["forecasts"], every["months"], steady["class"], every["basis"]) == (2, 1, "steady", FEW)
    assert every["wape"] == pytest.approx(0.25, abs=0.02)  # 400 came, 300 was foreseen
    assert every["bias"] == pytest.approx(-0.25, abs=0.02)
    assert (every["coverage_80"], every["brier"]) == (0, pytest.approx(1, abs=0.15))
    assert every["wape_run_rate"] == pytest.approx(0.25, abs=0.02)
    assert early[0]["basis"] == SHIPPED


def test_from_twenty_judged_forecasts_on_a_scorecard_speaks_for_the_data(state):
    table = events(*((JUNE + DAY * at + NOON, "a", "m", 10) for at in range(-40, 30)))
    for day in range(5, 25):
        now = JUNE + DAY * day
        issued(state, forecasts(daily_spend(table, now, by=["project"])), ["project"], "UTC", now)
    assert [row["basis"] for row in scorecard(state, table, JUNE + 33 * DAY)] == [OWN, OWN]


@pytest.mark.parametrize(("zone", "off"), [("UTC", 0), ("Asia/Kolkata", 5.5)])
def test_the_run_rate_beside_it_divides_by_the_time_that_has_passed(state, zone, off):
    """Ten dollars an hour: 42 hours into June the run rate of its 720 hours is right."""
    start = JUNE - timedelta(hours=off)
    table = events(*((start + timedelta(hours=at + 0.5), "a", "m", 10) for at in range(-480, 720)))
    for hours in (0, 42):
        now = start + timedelta(hours=hours)
        issued(state, forecasts(daily_spend(table, now, by=["project"], timezone=zone)), ["project"], zone, now)
    with state.connect() as connection:
        rates = [row.run_rate for row in connection.execute(select(FORECASTS).order_by(FORECASTS.c.issued_at))]
    assert rates == [None, pytest.approx(Decimal(7200))]
    every, *_ = scorecard(state, table, JUNE + 33 * DAY)
    assert (every["forecasts"], every["wape_run_rate"]) == (2, pytest.approx(0))


def test_a_refund_moves_the_day_on_which_a_limit_was_passed():
    table = events(
        *((JUNE + DAY * at + NOON, "a", "m", 100) for at in range(-30, 10)), (JUNE + 2 * DAY, "a", "m", -350)
    )
    panel = daily_spend(table, JUNE + 10 * DAY, by=["project"])
    assert panel.paid[0, -10:-7] == pytest.approx([100, -250, 100])
    assert panel.amounts[0, -10:-7] == pytest.approx([100, 100, 100])
    assert forecasts(panel.chosen([("a",)]), [Decimal(600)])[0].exhaustion == (date(2025, 6, 10),) * 3


def test_a_day_out_of_line_is_found_with_its_stake_and_its_cause():
    rows = [
        (JUNE + DAY * at + NOON, project, model, cost)
        for at in range(60)
        for project, model, cost in (("a", "big", 40 + at % 5), ("a", "small", 4), ("b", "big", 7 + at % 2))
    ]
    table = events(*rows, (JUNE + 50 * DAY, "a", "small", 90), (JUNE + 50 * DAY, "b", "big", "0.2"))
    panel = daily_spend(table, JUNE + 60 * DAY, by=["project"])
    (found,) = explained(anomalies(panel), table, ["project"], "UTC")
    assert (found.key, found.day) == (("a",), date(2025, 7, 21))
    assert float(found.stake) == pytest.approx(90, abs=6)
    assert found.why == "model small: +$90.00 on the same weekday before"
    assert anomalies(panel, stake=Decimal(200)) == []
    assert anomalies(panel, days=5) == []


def test_a_cause_without_a_name_is_told_as_one():
    rows = [(JUNE + DAY * at + NOON, "a", "m", 40 + at % 5) for at in range(60)]
    table = events(*rows, (JUNE + 50 * DAY, "a", None, 90))
    (found,) = explained(anomalies(daily_spend(table, JUNE + 60 * DAY, by=["project"])), table, ["project"], "UTC")
    assert found.why == "requests without a model: +$90.00 on the same weekday before"


def test_even_spend_has_no_anomaly_and_a_fall_is_one():
    steady = [(JUNE + DAY * at, "a", "m", 50 + (at * 7) % 9) for at in range(60)]
    assert anomalies(daily_spend(events(*steady), JUNE + 60 * DAY)) == []
    fallen = [row for row in steady if row[0] != JUNE + 55 * DAY] + [(JUNE + 55 * DAY, "a", "m", 2)]
    (found,) = anomalies(daily_spend(events(*fallen), JUNE + 60 * DAY))
    assert found.stake < -40
    assert found.score < -3.5


def test_always_the_same_and_one_day_more_has_a_score_that_can_be_written():
    flat = [(JUNE + DAY * at, "a", "m", 40 if at == 55 else 4) for at in range(60)]
    (found,) = anomalies(daily_spend(events(*flat), JUNE + 60 * DAY))
    assert (found.spent, found.day) == (40, date(2025, 7, 26))
    assert 3.5 < found.score < 1000
    assert anomalies(daily_spend(events(*((at, "a", "m", 0) for at, *_ in flat)), JUNE + 60 * DAY)) == []


@pytest.mark.parametrize(("hours", "complete"), [(0.5, True), (1.5, False), (12, False), (23, False)])
def test_a_day_whose_log_is_late_is_not_complete(hours, complete):
    """One request an hour, and the last ones not here yet: the day is no fall in spend."""
    now = JUNE + 20 * DAY + DAY / 48
    every = [at for n in range(20 * 24 + 1) if (at := JUNE + n * DAY / 24) <= now - hours * DAY / 24]
    panel = daily_spend(events(*((at, "a", "m", 1) for at in every)), now)
    assert (panel.as_of, panel.today) == ((now, date(2025, 6, 21)) if complete else (every[-1], date(2025, 6, 20)))
    assert anomalies(panel) == []


def test_a_pause_as_long_as_others_is_no_late_log():
    """Work from nine to five, asked about at midnight."""
    made = [JUNE + day * DAY + hour * DAY / 24 for day in range(20) for hour in range(9, 17)]
    panel = daily_spend(events(*((at, "a", "m", 1) for at in made)), JUNE + 20 * DAY)
    assert panel.as_of == JUNE + 20 * DAY


@pytest.mark.parametrize("wrong", [{"days": 0}, {"score": 0}, {"stake": Decimal(-1)}, {"score": float("nan")}])
def test_what_no_search_can_be_asked(wrong):
    panel = daily_spend(events((JUNE, "a", "m", 1)), JUNE + DAY)
    with pytest.raises(UsageError, match="must be"):
        anomalies(panel, **wrong)
