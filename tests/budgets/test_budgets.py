"""Budgets against real SQLite and real Postgres: each threshold once, at its instant, and nothing invented."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from ledger import JULY, open_state

from hanzo_reports.budgets.budget import Budget, Budgets
from hanzo_reports.budgets.decision import decision
from hanzo_reports.budgets.status import crossings, due, statuses
from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.parse_values import parse_money
from hanzo_reports.state.budget_tables import FORECASTS, Money
from hanzo_reports.window import midnight, zone

HOUR = timedelta(hours=1)


def look(budgets, events, now):
    """The crossings that were told."""
    told = []
    found = crossings(budgets, events, now, lambda _, each: told.append(each))
    assert found == told
    return told


def test_money_is_exact_in_the_database(budgets):
    cents = [Decimal("0.1"), Decimal("0.2"), Decimal("999999999.123456789")]
    kept = [budgets.set(Budget(f"p{n}", cent), JULY) for n, cent in enumerate(cents)]
    assert [budget.monthly_limit for budget in kept] == cents
    for finer in ("0.0000000001", "1e-9999999"):
        assert Money().process_bind_param(Decimal(finer), None) == 1


def test_a_budget_is_kept_changed_and_removed(budgets):
    first = budgets.set(Budget("search", Decimal(100), (Decimal("0.5"),), "hard_limit", "Asia/Kolkata"), JULY)
    assert (first.revision, first.thresholds) == (1, (Decimal("0.5"), Decimal(1)))
    same = budgets.set(Budget("search", Decimal(100)), JULY + HOUR)
    assert (same.revision, same.budget_id, same.on_exceed) == (1, first.budget_id, "notify")
    raised = budgets.set(Budget("search", Decimal(200)), JULY + 2 * HOUR)
    assert raised.revision == 2
    assert [row["monthly_limit"] for row in budgets.revisions(raised)] == [100, 200]
    assert budgets.all() == [raised]
    budgets.remove("search")
    assert budgets.find("search") is None
    budgets.set(Budget("chat", Decimal(1)), JULY)
    with pytest.raises(UnknownNameError, match="did you mean 'chat'"):
        budgets.remove("chatt")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"monthly_limit": Decimal(0)}, "above 0"),
        ({"monthly_limit": Decimal(-5)}, "above 0"),
        ({"monthly_limit": Decimal("NaN")}, "finite"),
        ({"thresholds": (Decimal(0),)}, "share above 0"),
        ({"thresholds": (Decimal("1.2"),)}, "at most 1"),
        ({"thresholds": (Decimal("NaN"),)}, "finite"),
        ({"on_exceed": "hardlimit"}, "did you mean 'hard_limit'"),
        ({"timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"project": " "}, "needs a project"),
    ],
)
def test_what_cannot_be_a_budget(wrong, said):
    with pytest.raises(UsageError, match=said):
        Budget(**{"project": "search", "monthly_limit": Decimal(1), **wrong})


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
def test_thresholds_of_a_quarter_are_told_once_each_in_order_at_their_instant(budgets, spend, timezone, months):
    """One dollar at the start of each hour and a budget of 672: every month, in its last days, passes all of it."""
    begins = [midnight(date(year, number, 1), zone(timezone)) for year, number, _ in months]
    assert [(after - begin) / HOUR for begin, after in itertools.pairwise(begins)] == [
        hours for *_, hours in months[:2]
    ]
    hours = [begins[0] + HOUR * number for number in range(sum(length for *_, length in months))]
    events = spend(*((f"e{n}", at, "search", "1") for n, at in enumerate(hours)))
    budgets.set(Budget("search", Decimal(672), (Decimal("0.5"), Decimal("0.75")), timezone=timezone), begins[0])
    tick = timedelta(microseconds=1)  # the 336th dollar is spent when hour 335 begins; just after it is seen
    due_at = [begin + HOUR * (reached - 1) + tick for begin in begins for reached in (336, 504, 672)]
    days = [begins[0] + timedelta(days=day) for day in range(0, 95, 4)]
    told = []
    for at in sorted({*days, *due_at, *(each - tick for each in due_at)}):
        told += look(budgets, events, at)
    assert [(each.period_start, each.threshold, each.notify) for each in told] == [
        (date(year, number, 1), Decimal(share), True) for year, number, _ in months for share in ("0.5", "0.75", "1")
    ]
    assert [each.at for each in told] == due_at
    assert [each.spent for each in told] == [336, 504, 672] * 3
    assert len(budgets.told(budgets.get("search"))) == 9
    assert look(budgets, events, days[-1] + HOUR) == []


def test_several_at_once_are_recorded_and_only_the_highest_is_told(budgets, spend):
    events = spend(("a", JULY + HOUR, "search", "95"))
    kept = budgets.set(Budget("search", Decimal(100)), JULY)
    found = look(budgets, events, JULY + 2 * HOUR)
    assert [(each.threshold, each.notify) for each in found] == [
        (Decimal("0.5"), False), (Decimal("0.75"), False), (Decimal("0.9"), True),
    ]  # fmt: skip
    assert [row["notify"] for row in budgets.told(kept)] == [False, False, True]
    budgets.set(Budget("search", Decimal(150)), JULY + 3 * HOUR)  # another limit arms them anew
    again = look(budgets, events, JULY + 4 * HOUR)
    assert [(each.threshold, each.notify) for each in again] == [(Decimal("0.5"), True)]


def test_a_correction_takes_nothing_back_and_a_late_event_counts_for_its_month(budgets, spend):
    budgets.set(Budget("search", Decimal(100), (Decimal("0.5"),)), JULY)
    first = [("a", JULY + HOUR, "search", "60")]
    assert len(look(budgets, spend(*first), JULY + 2 * HOUR)) == 1
    refund = [*first, ("b", JULY + 3 * HOUR, "search", "-40")]
    assert look(budgets, spend(*refund), JULY + 4 * HOUR) == []
    again = [*refund, ("c", JULY + 5 * HOUR, "search", "45")]
    assert look(budgets, spend(*again), JULY + 6 * HOUR) == []  # 65 of 100: half was told already
    august = datetime(2025, 8, 2, tzinfo=UTC)
    late = spend(*again, ("d", august - 2 * timedelta(days=1), "search", "50"))
    found = look(budgets, late, august)
    assert [(each.period_start, each.threshold) for each in found] == [(date(2025, 7, 1), Decimal(1))]


def test_setting_what_is_set_changes_nothing(budgets, spend):
    """A script that sets its budgets every day, in floats, neither repeats messages nor silences late events."""
    limit = Budget("search", Decimal(str(1000 / 3)))
    first = budgets.set(limit, JULY)
    events = spend(("a", JULY + HOUR, "search", "200"))
    assert len(look(budgets, events, JULY + 2 * HOUR)) == 1
    again = budgets.set(limit, JULY + timedelta(days=31, minutes=5))
    assert (again.revision, again.changed_at) == (1, first.changed_at)
    late = spend(("a", JULY + HOUR, "search", "200"), ("b", JULY + 30 * 24 * HOUR, "search", "101"))
    assert [each.threshold for each in look(budgets, late, datetime(2025, 8, 2, tzinfo=UTC))] == [
        Decimal("0.75"), Decimal("0.9"),
    ]  # fmt: skip


def test_status_counts_what_is_still_awaited(budgets, lake):
    held, add = lake
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    for event_id, minutes in (("r1", 600), ("r2", 1)):
        hold = timedelta(minutes=minutes)
        assert decision(budgets, held, "search", 5, event_id=event_id, now=JULY + HOUR, hold=hold).allowed

    def standing(minute):
        (found,) = statuses(budgets, held.events(), JULY + HOUR + timedelta(minutes=minute))
        return found.forecast.spent, found.reserved, found.state

    assert [standing(0), standing(2)] == [(0, 10, "blocked"), (0, 5, "ok")]  # r2 has expired
    add(("r1", JULY + HOUR, "search", "2"))
    assert standing(3) == (2, 0, "ok")


def test_a_budgets_forecast_is_kept_for_the_scorecard(budgets, spend):
    events = spend(*((f"e{n}", JULY - 12 * HOUR + n * 24 * HOUR, "search", "10") for n in range(-40, 10)))
    budgets.set(Budget("search", Decimal(400), timezone="Asia/Kolkata"), JULY)
    for _ in range(2):
        statuses(budgets, events, JULY + 10 * 24 * HOUR)
    with budgets.state.connect() as connection:
        (kept,) = connection.execute(sqlalchemy.select(FORECASTS)).mappings()
    assert (kept["series"], kept["timezone"], kept["monthly_limit"]) == ('{"project": "search"}', "Asia/Kolkata", 400)


def test_a_budget_made_today_looks_at_no_month_before(budgets, spend):
    events = spend(("a", JULY - HOUR, "search", "500"))
    budgets.set(Budget("search", Decimal(100)), JULY + HOUR)
    assert look(budgets, events, JULY + 2 * HOUR) == []


def test_months_are_cut_in_the_budgets_zone_also_where_clocks_skip_midnight(budgets, spend):
    """Cairo's clocks skipped the midnight of 25 April 2025; its May began at 21:00 UTC of 30 April."""
    edge = datetime(2025, 4, 30, 21, tzinfo=UTC)
    made = [("a", edge - timedelta(seconds=1), "nile", "3"), ("b", edge, "nile", "5")]
    made.append(("c", datetime(2025, 4, 24, 22, tzinfo=UTC), "nile", "1"))
    budgets.set(Budget("nile", Decimal(100), timezone="Africa/Cairo"), edge - 40 * HOUR)
    (april,), (may,) = (statuses(budgets, spend(*made), at) for at in (edge - HOUR / 60, edge + HOUR))
    assert (april.forecast.spent, may.forecast.spent) == (1, 5)
    assert (april.forecast.period_start, may.forecast.period_start) == (date(2025, 4, 1), date(2025, 5, 1))


def test_status_says_where_every_budget_stands(budgets, spend):
    days = [JULY + timedelta(days=day, hours=12) for day in range(-40, 10)]
    events = spend(*((f"e{n}", at, "search", "10") for n, at in enumerate(days)), ("n", days[-1], "search", None))
    now = JULY + timedelta(days=10)
    budgets.set(Budget("search", Decimal(200), forecast_alert=True), JULY)
    budgets.set(Budget("unheard", Decimal(10), on_exceed="hard_limit"), JULY)
    search, unheard = statuses(budgets, events, now)
    assert (search.state, search.forecast.spent, search.share) == ("warning", Decimal(100), 0.5)
    assert search.forecast.p10 < 310 < search.forecast.p90
    assert search.forecast.p_exceed > 0.95
    assert date(2025, 7, 18) <= search.forecast.exhaustion[1] <= date(2025, 7, 22)
    assert "1 requests of the month have no known price" in search.forecast.basis
    assert (unheard.state, unheard.known, unheard.forecast.p50) == ("ok", False, None)
    found = look(budgets, events, now)
    assert [(each.threshold, each.notify) for each in found] == [(Decimal("0.5"), True), (None, True)]
    assert look(budgets, events, now + HOUR) == []


def test_looking_records_nothing(budgets, spend):
    events = spend(("a", JULY + HOUR, "search", "95"))
    kept = budgets.set(Budget("search", Decimal(100)), JULY)
    seen = [due(budgets, events, JULY + 2 * HOUR) for _ in range(2)]
    assert budgets.told(kept) == []
    assert seen == [look(budgets, events, JULY + 2 * HOUR)] * 2
    assert due(budgets, events, JULY + 2 * HOUR) == []


def test_two_who_set_one_new_budget_at_once_keep_one(address, budgets):
    others = [budgets, Budgets(open_state(address))]
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            wanted = [Budget(f"p{number}", Decimal(limit)) for limit in (1, 2)]
            both = list(pool.map(lambda one, given: one.set(given, JULY), others, wanted))
            assert both[0].budget_id == both[1].budget_id
            kept = budgets.get(f"p{number}")
            assert [row["monthly_limit"] for row in budgets.revisions(kept)] in ([1, 2], [2, 1])
    others[1].state.dispose()


def test_two_who_look_at_once_tell_each_crossing_once(address, budgets, spend):
    """Forty times, as the moment in which they meet is short."""
    others = [budgets, Budgets(open_state(address))]
    tables = [spend(*((f"e{n}", JULY + HOUR, f"p{n}", "95") for n in range(40))) for _ in others]
    for number in range(40):
        budgets.set(Budget(f"p{number}", Decimal(100)), JULY)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda each: look(*each, JULY + 2 * HOUR), zip(others, tables, strict=True)))
    others[1].state.dispose()
    told = [(each.budget.project, str(each.threshold)) for found in both for each in found]
    assert sorted(told) == sorted(itertools.product((f"p{n}" for n in range(40)), ("0.5", "0.75", "0.9")))


@pytest.mark.parametrize(
    ("given", "said"),
    [("1e12", "at most 1,000,000,000"), ("-1e99999999", "at most"), (-1e10, "at most"), ("x", "number")],
)
def test_an_amount_that_nothing_can_be_done_with_is_named(given, said):
    with pytest.raises(UsageError, match=f"the limit .*{said}"):
        parse_money(given, "the limit")


def test_amounts_are_read_as_they_are_printed():
    assert parse_money(0.1, "x") == Decimal("0.1")
