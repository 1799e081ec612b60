"""Decisions against real SQLite and real Postgres: no limit is passed together, again, or after it has expired."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy
from ledger import JULY, open_state

from hanzo_reports import store
from hanzo_reports.budgets.budget import Budget, Budgets
from hanzo_reports.budgets.decision import decision, observe
from hanzo_reports.errors import UsageError
from hanzo_reports.state.budget_tables import PERIODS, RESERVATIONS

HOUR = timedelta(hours=1)


def test_a_hard_limit_denies_a_soft_one_flags_and_no_budget_allows(budgets, lake):
    held, add = lake
    add(("a", JULY + HOUR, "search", "9"), ("b", JULY + HOUR, "soft", "9"))
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    budgets.set(Budget("soft", Decimal(10), on_exceed="soft_limit"), JULY)
    now = JULY + 2 * HOUR

    def ask(project, estimate, event_id):
        return decision(budgets, held, project, estimate, event_id=event_id, now=now)

    assert (ask("search", "1.000000001", "r1").allowed, ask("search", "1", "r2").allowed) == (False, True)
    assert (ask("search", "0.000000001", "r3").allowed, ask("search", 0, "r4").allowed) == (False, True)
    soft = ask("soft", 2, "r5")
    assert (soft.allowed, soft.flagged, soft.event_id) == (True, True, None)
    free = ask("other", 2, "r6")
    assert (free.allowed, free.limit, free.spent, free.flagged) == (True, None, None, True)
    assert ask("sotf", 2, "r7").reason == "no budget and no event names the project; did you mean 'soft'?"
    budgets.remove("soft")
    soft = ask("soft", 2, "r8")  # without a budget, but events name it
    assert (soft.allowed, soft.flagged, soft.reason) == (True, False, "the project has no budget")
    again = ask("search", "1", "r2")  # asked again, nothing more is set aside
    assert (again.allowed, again.reserved, again.spent, again.as_of) == (True, 1, 9, now)
    budgets.set(Budget("third", Decimal(10), on_exceed="hard_limit"), JULY)
    with pytest.raises(UsageError, match="another project"):
        ask("third", 1, "r2")


@pytest.mark.parametrize("estimate", ["nan", "-1", -0.01, "inf", "much", "1e12", "1e400"])
def test_an_estimate_is_a_number_from_zero(budgets, lake, estimate):
    with pytest.raises(UsageError, match="estimate"):
        decision(budgets, lake[0], "search", estimate, event_id="r", now=JULY)


def test_the_event_settles_what_was_set_aside_and_time_lets_it_go(budgets, lake):
    held, add = lake
    kept = budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)

    def ask(event_id, minute):
        return decision(budgets, held, "search", 6, event_id=event_id, now=JULY + timedelta(minutes=minute))

    assert ask("r1", 1).allowed
    assert not ask("r2", 2).allowed
    add(("r1", JULY + timedelta(minutes=2), "search", "2.5"))  # it cost less than was thought
    settled = ask("r2", 3)
    assert (settled.allowed, settled.spent, settled.reserved) == (True, Decimal("2.5"), 6)
    assert not ask("r3", 4).allowed
    assert ask("r3", 14).allowed  # the event of r2 never came
    assert observe(budgets.state, held, kept, JULY + timedelta(minutes=14))["reserved"] == 6
    august = decision(budgets, held, "search", 10, event_id="r4", now=datetime(2025, 8, 1, tzinfo=UTC))
    assert (august.allowed, august.spent) == (True, 0)


def test_an_event_without_a_price_settles_nothing(budgets, lake):
    held, add = lake
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)

    def ask(event_id, minute):
        return decision(budgets, held, "search", 9, event_id=event_id, now=JULY + timedelta(minutes=minute))

    assert ask("r1", 1).allowed
    add(("r1", JULY + timedelta(minutes=2), "search", None))
    assert not ask("r2", 3).allowed
    assert ask("r2", 12).allowed  # nobody will ever know what r1 cost


def test_a_clock_that_was_ahead_is_not_believed(budgets, lake):
    held, add = lake
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    ahead = decision(budgets, held, "search", 1, event_id="r1", now=JULY + timedelta(days=20))
    add(("e1", JULY + HOUR, "search", "9"))
    now = decision(budgets, held, "search", 5, event_id="r2", now=JULY + 2 * HOUR)
    assert (ahead.allowed, now.allowed, now.spent, now.as_of) == (True, False, 9, JULY + 2 * HOUR)


def test_in_another_zone_the_month_is_asked_anew_at_once(budgets, lake):
    held, add = lake
    add(("e1", JULY - 8 * HOUR, "search", "9"), ("e2", JULY + HOUR, "search", "1"))  # the first is of July in Tokyo
    limit = Budget("search", Decimal(10), on_exceed="hard_limit")
    now = JULY + 2 * HOUR
    budgets.set(limit, JULY)
    utc = decision(budgets, held, "search", 0, event_id="r1", now=now)
    budgets.set(replace(limit, timezone="Asia/Tokyo"), now)
    tokyo = decision(budgets, held, "search", 1, event_id="r2", now=now + timedelta(seconds=1))
    assert (utc.spent, tokyo.spent, tokyo.allowed) == (1, 10, False)


def test_a_budget_removed_while_it_is_asked_is_told(budgets, lake):
    gone = budgets.set(Budget("search", Decimal(10)), JULY)
    budgets.remove("search")
    with pytest.raises(UsageError, match="'search' was removed while it was asked"):
        observe(budgets.state, lake[0], gone, JULY + HOUR)


@pytest.fixture
def ask(budgets, lake):
    """A function that asks for a hard limit of 500, so many seconds after July began."""
    budgets.set(Budget("search", Decimal(500), on_exceed="hard_limit"), JULY)

    def ask(event_id, estimate, second, hold=600):
        now, held = JULY + timedelta(seconds=second), timedelta(seconds=hold)
        return decision(budgets, lake[0], "search", estimate, event_id=event_id, now=now, hold=held)

    return ask


def kept(budgets):
    """What is set aside in all, and for each id: amount, expiry in seconds after July began."""
    with budgets.state.connect() as connection:
        rows = connection.execute(sqlalchemy.select(RESERVATIONS)).mappings().all()
        whole = connection.execute(sqlalchemy.select(PERIODS.c.reserved)).scalar()
    each = {row["event_id"]: (row["amount"], (row["expires_at"] - JULY).total_seconds()) for row in rows}
    assert whole == sum(amount for amount, _ in each.values())
    return each


def test_asking_again_for_more_sets_the_difference_aside_if_it_fits(budgets, ask):
    assert ask("r1", "0.37", 0).allowed
    assert not ask("r1", 100_000, 1).allowed
    assert kept(budgets) == {"r1": (Decimal("0.37"), 600)}
    grown = ask("r1", 400, 2)
    assert (grown.allowed, grown.reserved) == (True, 400)
    assert kept(budgets) == {"r1": (400, 602)}
    assert (ask("r2", 101, 3).allowed, ask("r2", 100, 4).allowed) == (False, True)
    assert not ask("r1", "400.01", 5).allowed
    for estimate in (400, 0, 399):  # as before, and the limit is full
        again = ask("r1", estimate, 6)
        assert (again.allowed, again.reserved, again.expires_at) == (True, 500, JULY + timedelta(seconds=602))
    assert ask("r2", 100, 7, hold=60).expires_at == JULY + timedelta(seconds=604)  # it was promised for longer
    assert kept(budgets) == {"r1": (400, 602), "r2": (100, 604)}


def test_what_has_expired_is_set_aside_anew_with_the_expiry_that_is_told(budgets, lake, ask):
    assert ask("r1", 300, 0).allowed
    observe(budgets.state, lake[0], budgets.get("search"), JULY + timedelta(seconds=590))
    anew = ask("r1", 300, 605)
    assert (anew.allowed, anew.reserved, anew.expires_at) == (True, 300, JULY + timedelta(seconds=1205))
    assert kept(budgets) == {"r1": (300, 1205)}
    assert not ask("r2", 300, 625).allowed
    smaller = ask("r1", 200, 1206)
    assert (smaller.allowed, smaller.reserved) == (True, 200)
    assert (ask("r2", 300, 1207).allowed, kept(budgets)["r2"]) == (True, (300, 1807))


def test_an_id_of_last_month_is_set_aside_in_this_one(budgets, ask):
    july = timedelta(days=31).total_seconds()
    assert ask("r1", 300, july - 60).allowed
    moved = ask("r1", 300, july + 60)
    assert (moved.allowed, moved.reserved) == (True, 300)
    assert not ask("r2", 201, july + 61).allowed
    with budgets.state.connect() as connection:
        assert sorted(connection.execute(sqlalchemy.select(PERIODS.c.reserved)).scalars()) == [0, 300]


def test_two_who_ask_for_more_with_one_id_set_it_aside_once(address, budgets, ask, lake):
    others = [budgets, Budgets(open_state(address))]
    for number in range(20):
        event_id = f"r{number}"
        ask(event_id, 1, 0)
        with ThreadPoolExecutor(2) as pool:
            both = pool.map(
                lambda one, event_id=event_id: decision(one, lake[0], "search", 20, event_id=event_id, now=JULY), others
            )
        assert [each.allowed for each in both] == [True, True]
    others[1].state.dispose()
    assert kept(budgets) == {f"r{number}": (20, 600) for number in range(20)}


@pytest.mark.parametrize("hold", [timedelta(), timedelta(days=32), timedelta.max])
def test_a_hold_is_between_nothing_and_a_month(budgets, lake, hold):
    with pytest.raises(UsageError, match="at most 2678400 seconds"):
        decision(budgets, lake[0], "search", 1, event_id="r", now=JULY, hold=hold)


def ask_many(address, folder, worker, start, answers):
    """A process of its own: ten requests, one after the other."""
    budgets, held = Budgets(open_state(address)), store.open(folder)
    start.wait()
    for number in range(10):
        told = decision(budgets, held, "search", "0.37", event_id=f"w{worker}-{number}", now=JULY + HOUR)
        answers.put(told.allowed)
    budgets.state.dispose()


def test_eighty_requests_of_eight_processes_admit_exactly_27(address, budgets, tmp_path):
    folder = str(tmp_path / "lake")
    store.open(folder, create=True)
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(8), context.Queue()
    crowd = [context.Process(target=ask_many, args=(address, folder, n, start, answers)) for n in range(8)]
    for process in crowd:
        process.start()
    allowed = [answers.get(timeout=120) for _ in range(80)]
    for process in crowd:
        process.join(30)
    assert [process.exitcode for process in crowd] == [0] * 8
    assert sum(allowed) == 27
    with budgets.state.connect() as connection:
        assert connection.execute(sqlalchemy.select(PERIODS.c.reserved)).scalar() == Decimal("9.99")
        assert len(connection.execute(sqlalchemy.select(RESERVATIONS)).all()) == 27
