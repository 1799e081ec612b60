"""Decisions on SQLite and Postgres: hard limits hold under concurrent, repeated and expired requests."""

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
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.budgets.decision import decide
from hanzo_reports.budgets.periods import refresh_period
from hanzo_reports.errors import UsageError
from hanzo_reports.state.budget_tables import PERIODS, RESERVATIONS

HOUR = timedelta(hours=1)
WAIT_LIMIT = 300  # seconds, for processes on a busy machine


def test_a_hard_limit_denies_a_soft_one_flags_and_no_budget_allows(budgets, lake):
    lake_store, add = lake
    add(("a", JULY + HOUR, "search", "9"), ("b", JULY + HOUR, "soft", "9"))
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    budgets.set(Budget("soft", Decimal(10), on_exceed="soft_limit"), JULY)
    now = JULY + 2 * HOUR

    def ask(project, estimate, event_id):
        return decide(budgets, lake_store, project, estimate, event_id=event_id, now=now)

    assert (ask("search", "1.000000001", "r1").allowed, ask("search", "1", "r2").allowed) == (False, True)
    assert (ask("search", "0.000000001", "r3").allowed, ask("search", 0, "r4").allowed) == (False, True)
    soft = ask("soft", 2, "r5")
    assert (soft.allowed, soft.flagged, soft.event_id) == (True, True, None)
    free = ask("other", 2, "r6")
    assert (free.allowed, free.limit, free.spent, free.flagged) == (True, None, None, True)
    assert ask("sotf", 2, "r7").reason == "neither a budget nor an event names the project; did you mean 'soft'?"
    budgets.remove("soft")
    soft = ask("soft", 2, "r8")  # without a budget, but events name it
    assert (soft.allowed, soft.flagged, soft.reason) == (True, False, "the project has no budget")
    again = ask("search", "1", "r2")  # repeated: nothing more is reserved
    assert (again.allowed, again.reserved, again.spent, again.as_of) == (True, 1, 9, now)
    budgets.set(Budget("third", Decimal(10), on_exceed="hard_limit"), JULY)
    with pytest.raises(UsageError, match="another project"):
        ask("third", 1, "r2")


@pytest.mark.parametrize("estimate", ["nan", "-1", -0.01, "inf", "much", "1e12", "1e400"])
def test_an_invalid_estimate_is_refused(budgets, lake, estimate):
    with pytest.raises(UsageError, match="estimate"):
        decide(budgets, lake[0], "search", estimate, event_id="r", now=JULY)


def test_a_reservation_ends_with_its_event_or_its_expiry(budgets, lake):
    lake_store, add = lake
    budget = budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)

    def ask(event_id, minute):
        return decide(budgets, lake_store, "search", 6, event_id=event_id, now=JULY + timedelta(minutes=minute))

    assert ask("r1", 1).allowed
    assert not ask("r2", 2).allowed
    add(("r1", JULY + timedelta(minutes=2), "search", "2.5"))  # it cost less than its estimate
    settled = ask("r2", 3)
    assert (settled.allowed, settled.spent, settled.reserved) == (True, Decimal("2.5"), 6)
    assert not ask("r3", 4).allowed
    assert ask("r3", 14).allowed  # the event of r2 never came
    assert refresh_period(budgets.state, lake_store, budget, JULY + timedelta(minutes=14))["reserved"] == 6
    august = decide(budgets, lake_store, "search", 10, event_id="r4", now=datetime(2025, 8, 1, tzinfo=UTC))
    assert (august.allowed, august.spent) == (True, 0)


def test_an_event_without_a_price_does_not_settle_its_reservation(budgets, lake):
    lake_store, add = lake
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)

    def ask(event_id, minute):
        return decide(budgets, lake_store, "search", 9, event_id=event_id, now=JULY + timedelta(minutes=minute))

    assert ask("r1", 1).allowed
    add(("r1", JULY + timedelta(minutes=2), "search", None))
    assert not ask("r2", 3).allowed
    assert ask("r2", 12).allowed  # the reservation of r1 has expired


def test_spend_read_by_a_clock_that_was_ahead_is_read_again(budgets, lake):
    lake_store, add = lake
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    ahead = decide(budgets, lake_store, "search", 1, event_id="r1", now=JULY + timedelta(days=20))
    add(("e1", JULY + HOUR, "search", "9"))
    now = decide(budgets, lake_store, "search", 5, event_id="r2", now=JULY + 2 * HOUR)
    assert (ahead.allowed, now.allowed, now.spent, now.as_of) == (True, False, 9, JULY + 2 * HOUR)


def test_a_new_time_zone_reads_the_month_again_at_once(budgets, lake):
    lake_store, add = lake
    add(("e1", JULY - 8 * HOUR, "search", "9"), ("e2", JULY + HOUR, "search", "1"))  # in Tokyo the first is in July
    limit = Budget("search", Decimal(10), on_exceed="hard_limit")
    now = JULY + 2 * HOUR
    budgets.set(limit, JULY)
    utc = decide(budgets, lake_store, "search", 0, event_id="r1", now=now)
    budgets.set(replace(limit, timezone="Asia/Tokyo"), now)
    tokyo = decide(budgets, lake_store, "search", 1, event_id="r2", now=now + timedelta(seconds=1))
    assert (utc.spent, tokyo.spent, tokyo.allowed) == (1, 10, False)


def test_a_budget_removed_during_the_decision_is_an_error(budgets, lake):
    removed = budgets.set(Budget("search", Decimal(10)), JULY)
    budgets.remove("search")
    with pytest.raises(UsageError, match="'search' was removed during the decision"):
        refresh_period(budgets.state, lake[0], removed, JULY + HOUR)


@pytest.fixture
def ask(budgets, lake):
    """A function that makes a request under a hard limit of 500, some seconds after the start of July."""
    budgets.set(Budget("search", Decimal(500), on_exceed="hard_limit"), JULY)

    def ask(event_id, estimate, second, hold=600):
        now, length = JULY + timedelta(seconds=second), timedelta(seconds=hold)
        return decide(budgets, lake[0], "search", estimate, event_id=event_id, now=now, hold=length)

    return ask


def read_reservations(budgets):
    """The amount and the expiry, in seconds after the start of July, by event id; the month's sum agrees."""
    with budgets.state.connect() as connection:
        rows = connection.execute(sqlalchemy.select(RESERVATIONS)).mappings().all()
        total = connection.execute(sqlalchemy.select(PERIODS.c.reserved)).scalar()
    reservations = {row["event_id"]: (row["amount"], (row["expires_at"] - JULY).total_seconds()) for row in rows}
    assert total == sum(amount for amount, _ in reservations.values())
    return reservations


def test_a_larger_estimate_for_an_id_reserves_the_difference_if_it_fits(budgets, ask):
    assert ask("r1", "0.37", 0).allowed
    assert not ask("r1", 100_000, 1).allowed
    assert read_reservations(budgets) == {"r1": (Decimal("0.37"), 600)}
    grown = ask("r1", 400, 2)
    assert (grown.allowed, grown.reserved) == (True, 400)
    assert read_reservations(budgets) == {"r1": (400, 602)}
    assert (ask("r2", 101, 3).allowed, ask("r2", 100, 4).allowed) == (False, True)
    assert not ask("r1", "400.01", 5).allowed
    for estimate in (400, 0, 399):  # none is larger, and the limit is reached
        again = ask("r1", estimate, 6)
        assert (again.allowed, again.reserved, again.expires_at) == (True, 500, JULY + timedelta(seconds=602))
    assert ask("r2", 100, 7, hold=60).expires_at == JULY + timedelta(seconds=604)  # the earlier expiry is later
    assert read_reservations(budgets) == {"r1": (400, 602), "r2": (100, 604)}


def test_an_expired_reservation_is_renewed_with_the_expiry_that_is_returned(budgets, lake, ask):
    assert ask("r1", 300, 0).allowed
    refresh_period(budgets.state, lake[0], budgets.get("search"), JULY + timedelta(seconds=590))
    renewed = ask("r1", 300, 605)
    assert (renewed.allowed, renewed.reserved, renewed.expires_at) == (True, 300, JULY + timedelta(seconds=1205))
    assert read_reservations(budgets) == {"r1": (300, 1205)}
    assert not ask("r2", 300, 625).allowed
    smaller = ask("r1", 200, 1206)
    assert (smaller.allowed, smaller.reserved) == (True, 200)
    assert (ask("r2", 300, 1207).allowed, read_reservations(budgets)["r2"]) == (True, (300, 1807))


def test_an_id_of_the_previous_month_is_reserved_in_this_one(budgets, ask):
    july = timedelta(days=31).total_seconds()
    assert ask("r1", 300, july - 60).allowed
    moved = ask("r1", 300, july + 60)
    assert (moved.allowed, moved.reserved) == (True, 300)
    assert not ask("r2", 201, july + 61).allowed
    with budgets.state.connect() as connection:
        assert sorted(connection.execute(sqlalchemy.select(PERIODS.c.reserved)).scalars()) == [0, 300]


def test_two_clients_that_raise_one_estimate_at_once_reserve_it_once(address, budgets, ask, lake):
    clients = [budgets, Budgets(open_state(address))]
    for number in range(20):
        event_id = f"r{number}"
        ask(event_id, 1, 0)
        with ThreadPoolExecutor(2) as pool:
            both = pool.map(
                lambda client, event_id=event_id: decide(client, lake[0], "search", 20, event_id=event_id, now=JULY),
                clients,
            )
        assert [decision.allowed for decision in both] == [True, True]
    clients[1].state.dispose()
    assert read_reservations(budgets) == {f"r{number}": (20, 600) for number in range(20)}


@pytest.mark.parametrize("hold", [timedelta(), timedelta(days=32), timedelta.max])
def test_an_invalid_hold_is_refused(budgets, lake, hold):
    with pytest.raises(UsageError, match="at most 2678400 seconds"):
        decide(budgets, lake[0], "search", 1, event_id="r", now=JULY, hold=hold)


def make_requests(address, folder, worker, start, answers):
    """Make ten requests, one after another, in a process of its own."""
    budgets, lake_store = Budgets(open_state(address)), store.open(folder)
    start.wait(WAIT_LIMIT)
    for number in range(10):
        decision = decide(budgets, lake_store, "search", "0.37", event_id=f"w{worker}-{number}", now=JULY + HOUR)
        answers.put(decision.allowed)
    budgets.state.dispose()


def test_of_80_requests_by_eight_processes_exactly_27_are_allowed(address, budgets, tmp_path):
    folder = str(tmp_path / "lake")
    store.open(folder, create=True)
    budgets.set(Budget("search", Decimal(10), on_exceed="hard_limit"), JULY)
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(8), context.Queue()
    workers = [context.Process(target=make_requests, args=(address, folder, n, start, answers)) for n in range(8)]
    for process in workers:
        process.start()
    allowed = [answers.get(timeout=WAIT_LIMIT) for _ in range(80)]
    for process in workers:
        process.join(WAIT_LIMIT)
    assert [process.exitcode for process in workers] == [0] * 8
    assert sum(allowed) == 27
    with budgets.state.connect() as connection:
        assert connection.execute(sqlalchemy.select(PERIODS.c.reserved)).scalar() == Decimal("9.99")
        assert len(connection.execute(sqlalchemy.select(RESERVATIONS)).all()) == 27
