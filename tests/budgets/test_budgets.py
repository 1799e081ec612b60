"""Budgets on SQLite and Postgres: every threshold is notified once, at its instant, and nothing else is."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger import JULY, open_state

from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.budgets.crossings import find_crossings, record_crossings
from hanzo_reports.budgets.decision import decide
from hanzo_reports.budgets.status import evaluate_budgets
from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.parse_values import parse_money
from hanzo_reports.state.budget_tables import FORECASTS, Money
from hanzo_reports.window import midnight, zone

HOUR = timedelta(hours=1)


def check(budgets, events, now):
    """Record the crossings and return them; each is passed to the callback once."""
    notified = []
    recorded = record_crossings(budgets, events, now, lambda _, crossing: notified.append(crossing))
    assert recorded == notified
    return notified


def test_money_is_exact_in_the_database(budgets):
    cents = [Decimal("0.1"), Decimal("0.2"), Decimal("999999999.123456789")]
    stored = [budgets.set(Budget(f"p{n}", cent), JULY) for n, cent in enumerate(cents)]
    assert [budget.monthly_limit for budget in stored] == cents
    for finer in ("0.0000000001", "1e-9999999"):
        assert Money().process_bind_param(Decimal(finer), None) == 1


def test_a_budget_is_stored_changed_and_removed(budgets):
    first = budgets.set(Budget("search", Decimal(100), (Decimal("0.5"),), "hard_limit", "Asia/Kolkata"), JULY)
    assert (first.revision, first.thresholds) == (1, (Decimal("0.5"), Decimal(1)))
    same = budgets.set(Budget("search", Decimal(100)), JULY + HOUR)
    assert (same.revision, same.budget_id, same.on_exceed) == (1, first.budget_id, "notify")
    raised = budgets.set(Budget("search", Decimal(200)), JULY + 2 * HOUR)
    assert raised.revision == 2
    assert [row["monthly_limit"] for row in budgets.list_revisions(raised)] == [100, 200]
    assert budgets.all() == [raised]
    budgets.remove("search")
    assert budgets.find("search") is None
    budgets.set(Budget("chat", Decimal(1)), JULY)
    with pytest.raises(UnknownNameError, match="did you mean 'chat'"):
        budgets.remove("chatt")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"monthly_limit": Decimal(0)}, "above 0"),
        ({"monthly_limit": Decimal(-5)}, "above 0"),
        ({"monthly_limit": Decimal("NaN")}, "finite"),
        ({"thresholds": (Decimal(0),)}, "share above 0"),
        ({"thresholds": (Decimal("1.2"),)}, "at most 1"),
        ({"thresholds": (Decimal("NaN"),)}, "finite"),
        ({"on_exceed": "hardlimit"}, "did you mean 'hard_limit'"),
        ({"timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"project": " "}, "the project of a budget is empty"),
    ],
)
def test_an_invalid_budget_is_refused(fields, error):
    with pytest.raises(UsageError, match=error):
        Budget(**{"project": "search", "monthly_limit": Decimal(1), **fields})


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**8), max_value=10**8))
def test_money_survives_the_database(value):
    money = Money()
    assert money.process_result_value(money.process_bind_param(value, None), None) == value


@pytest.mark.parametrize(
    ("timezone", "months"),
    [
        ("UTC", [(2025, 7, 744), (2025, 8, 744), (2025, 9, 720)]),
        ("America/New_York", [(2025, 9, 720), (2025, 10, 744), (2025, 11, 721)]),  # clocks go back on 2 November
        ("Asia/Kolkata", [(2025, 1, 744), (2025, 2, 672), (2025, 3, 744)]),
    ],
)
def test_each_threshold_of_a_quarter_is_notified_once_in_order_at_its_instant(budgets, spend, timezone, months):
    """One dollar at the start of each hour and a limit of 672: every month reaches it in its last days."""
    starts = [midnight(date(year, number, 1), zone(timezone)) for year, number, _ in months]
    assert [(end - start) / HOUR for start, end in itertools.pairwise(starts)] == [hours for *_, hours in months[:2]]
    hours = [starts[0] + HOUR * number for number in range(sum(length for *_, length in months))]
    events = spend(*((f"e{n}", at, "search", "1") for n, at in enumerate(hours)))
    budgets.set(Budget("search", Decimal(672), (Decimal("0.5"), Decimal("0.75")), timezone=timezone), starts[0])
    tick = timedelta(microseconds=1)  # the 336th dollar is spent when hour 335 begins, and detected just after
    due_at = [start + HOUR * (reached - 1) + tick for start in starts for reached in (336, 504, 672)]
    days = [starts[0] + timedelta(days=day) for day in range(0, 95, 4)]
    crossings = []
    for at in sorted({*days, *due_at, *(instant - tick for instant in due_at)}):
        crossings += check(budgets, events, at)
    assert [(crossing.period_start, crossing.threshold, crossing.notify) for crossing in crossings] == [
        (date(year, number, 1), Decimal(share), True) for year, number, _ in months for share in ("0.5", "0.75", "1")
    ]
    assert [crossing.at for crossing in crossings] == due_at
    assert [crossing.spent for crossing in crossings] == [336, 504, 672] * 3
    assert len(budgets.list_crossings(budgets.get("search"))) == 9
    assert check(budgets, events, days[-1] + HOUR) == []


def test_of_thresholds_reached_at_once_all_are_recorded_and_the_highest_is_notified(budgets, spend):
    events = spend(("a", JULY + HOUR, "search", "95"))
    budget = budgets.set(Budget("search", Decimal(100)), JULY)
    crossings = check(budgets, events, JULY + 2 * HOUR)
    assert [(crossing.threshold, crossing.notify) for crossing in crossings] == [
        (Decimal("0.5"), False), (Decimal("0.75"), False), (Decimal("0.9"), True),
    ]  # fmt: skip
    assert [row["notify"] for row in budgets.list_crossings(budget)] == [False, False, True]
    budgets.set(Budget("search", Decimal(150)), JULY + 3 * HOUR)  # another limit resets them
    again = check(budgets, events, JULY + 4 * HOUR)
    assert [(crossing.threshold, crossing.notify) for crossing in again] == [(Decimal("0.5"), True)]


def test_a_correction_removes_no_crossing_and_a_late_event_counts_in_its_month(budgets, spend):
    budgets.set(Budget("search", Decimal(100), (Decimal("0.5"),)), JULY)
    first = [("a", JULY + HOUR, "search", "60")]
    assert len(check(budgets, spend(*first), JULY + 2 * HOUR)) == 1
    refund = [*first, ("b", JULY + 3 * HOUR, "search", "-40")]
    assert check(budgets, spend(*refund), JULY + 4 * HOUR) == []
    again = [*refund, ("c", JULY + 5 * HOUR, "search", "45")]
    assert check(budgets, spend(*again), JULY + 6 * HOUR) == []  # 65 of 100: the half is on record
    august = datetime(2025, 8, 2, tzinfo=UTC)
    late = spend(*again, ("d", august - 2 * timedelta(days=1), "search", "50"))
    crossings = check(budgets, late, august)
    assert [(crossing.period_start, crossing.threshold) for crossing in crossings] == [(date(2025, 7, 1), Decimal(1))]


def test_setting_an_equal_budget_changes_nothing(budgets, spend):
    """A script that sets its budgets every day, as floats, neither repeats messages nor loses late events."""
    limit = Budget("search", Decimal(str(1000 / 3)))
    first = budgets.set(limit, JULY)
    events = spend(("a", JULY + HOUR, "search", "200"))
    assert len(check(budgets, events, JULY + 2 * HOUR)) == 1
    again = budgets.set(limit, JULY + timedelta(days=31, minutes=5))
    assert (again.revision, again.changed_at) == (1, first.changed_at)
    late = spend(("a", JULY + HOUR, "search", "200"), ("b", JULY + 30 * 24 * HOUR, "search", "101"))
    assert [crossing.threshold for crossing in check(budgets, late, datetime(2025, 8, 2, tzinfo=UTC))] == [
        Decimal("0.75"), Decimal("0.9"),
    ]  # fmt: skip


def test_status_counts_reservations_until_they_expire_or_are_settled(budgets, lake):
    lake_store, add = lake
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    for event_id, minutes in (("r1", 600), ("r2", 1)):
        hold = timedelta(minutes=minutes)
        assert decide(budgets, lake_store, "search", 5, event_id=event_id, now=JULY + HOUR, hold=hold).allowed

    def evaluate(minute):
        (status,) = evaluate_budgets(budgets, lake_store.events(), JULY + HOUR + timedelta(minutes=minute))
        return status.forecast.spent, status.reserved, status.state

    assert [evaluate(0), evaluate(2)] == [(0, 10, "blocked"), (0, 5, "ok")]  # r2 has expired
    add(("r1", JULY + HOUR, "search", "2"))
    assert evaluate(3) == (2, 0, "ok")


def test_the_forecast_of_a_budget_is_recorded_for_the_scorecard(budgets, spend):
    events = spend(*((f"e{n}", JULY - 12 * HOUR + n * 24 * HOUR, "search", "10") for n in range(-40, 10)))
    budgets.set(Budget("search", Decimal(400), timezone="Asia/Kolkata"), JULY)
    for _ in range(2):
        evaluate_budgets(budgets, events, JULY + 10 * 24 * HOUR)
    with budgets.state.connect() as connection:
        (forecast,) = connection.execute(sqlalchemy.select(FORECASTS)).mappings()
    assert (forecast["series"], forecast["timezone"]) == ('{"project": "search"}', "Asia/Kolkata")
    assert forecast["monthly_limit"] == 400


def test_a_new_budget_does_not_check_the_previous_month(budgets, spend):
    events = spend(("a", JULY - HOUR, "search", "500"))
    budgets.set(Budget("search", Decimal(100)), JULY + HOUR)
    assert check(budgets, events, JULY + 2 * HOUR) == []


def test_months_begin_in_the_budgets_zone_also_where_clocks_skip_midnight(budgets, spend):
    """Cairo's clocks skipped the midnight of 25 April 2025; its May began at 21:00 UTC of 30 April."""
    edge = datetime(2025, 4, 30, 21, tzinfo=UTC)
    charges = [("a", edge - timedelta(seconds=1), "nile", "3"), ("b", edge, "nile", "5")]
    charges.append(("c", datetime(2025, 4, 24, 22, tzinfo=UTC), "nile", "1"))
    budgets.set(Budget("nile", Decimal(100), timezone="Africa/Cairo"), edge - 40 * HOUR)
    (april,), (may,) = (evaluate_budgets(budgets, spend(*charges), at) for at in (edge - HOUR / 60, edge + HOUR))
    assert (april.forecast.spent, may.forecast.spent) == (1, 5)
    assert (april.forecast.period_start, may.forecast.period_start) == (date(2025, 4, 1), date(2025, 5, 1))


def test_status_reports_spend_forecast_and_state_of_every_budget(budgets, spend):
    days = [JULY + timedelta(days=day, hours=12) for day in range(-40, 10)]
    events = spend(*((f"e{n}", at, "search", "10") for n, at in enumerate(days)), ("n", days[-1], "search", None))
    now = JULY + timedelta(days=10)
    budgets.set(Budget("search", Decimal(200), forecast_alert=True), JULY)
    budgets.set(Budget("unknown", Decimal(10), on_exceed="hard_limit"), JULY)
    search, unknown = evaluate_budgets(budgets, events, now)
    assert (search.state, search.forecast.spent, search.share) == ("warning", Decimal(100), 0.5)
    assert search.forecast.p10 < 310 < search.forecast.p90
    assert search.forecast.p_exceed > 0.95
    assert date(2025, 7, 18) <= search.forecast.exhaustion[1] <= date(2025, 7, 22)
    assert "excludes 1 request of the month with no known price" in search.forecast.basis
    assert (unknown.state, unknown.known, unknown.forecast.p50) == ("ok", False, None)
    crossings = check(budgets, events, now)
    assert [(crossing.threshold, crossing.notify) for crossing in crossings] == [(Decimal("0.5"), True), (None, True)]
    assert check(budgets, events, now + HOUR) == []


def test_finding_crossings_records_nothing(budgets, spend):
    events = spend(("a", JULY + HOUR, "search", "95"))
    budget = budgets.set(Budget("search", Decimal(100)), JULY)
    crossings = [find_crossings(budgets, events, JULY + 2 * HOUR) for _ in range(2)]
    assert budgets.list_crossings(budget) == []
    assert crossings == [check(budgets, events, JULY + 2 * HOUR)] * 2
    assert find_crossings(budgets, events, JULY + 2 * HOUR) == []


def test_two_clients_that_set_a_new_budget_at_once_store_one(address, budgets):
    clients = [budgets, Budgets(open_state(address))]
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            limits = [Budget(f"p{number}", Decimal(limit)) for limit in (1, 2)]
            both = list(pool.map(lambda client, budget: client.set(budget, JULY), clients, limits))
            assert both[0].budget_id == both[1].budget_id
            stored = budgets.get(f"p{number}")
            assert [row["monthly_limit"] for row in budgets.list_revisions(stored)] in ([1, 2], [2, 1])
    clients[1].state.dispose()


def test_two_checks_at_once_notify_each_crossing_once(address, budgets, spend):
    """With forty budgets, since the moment of conflict is short."""
    clients = [budgets, Budgets(open_state(address))]
    tables = [spend(*((f"e{n}", JULY + HOUR, f"p{n}", "95") for n in range(40))) for _ in clients]
    for number in range(40):
        budgets.set(Budget(f"p{number}", Decimal(100)), JULY)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda client, table: check(client, table, JULY + 2 * HOUR), clients, tables))
    clients[1].state.dispose()
    notified = [(crossing.budget.project, str(crossing.threshold)) for crossings in both for crossing in crossings]
    assert sorted(notified) == sorted(itertools.product((f"p{n}" for n in range(40)), ("0.5", "0.75", "0.9")))


@pytest.mark.parametrize(
    ("text", "error"),
    [("1e12", "at most 1,000,000,000"), ("-1e99999999", "at most"), (-1e10, "at most"), ("x", "number")],
)
def test_an_invalid_amount_is_refused_by_its_name(text, error):
    with pytest.raises(UsageError, match=f"the limit .*{error}"):
        parse_money(text, "the limit")


def test_a_float_is_parsed_as_it_is_printed():
    assert parse_money(0.1, "x") == Decimal("0.1")
