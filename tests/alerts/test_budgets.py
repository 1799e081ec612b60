"""Budgets against real SQLite and real Postgres: each threshold once, no limit passed together, nothing invented."""

from __future__ import annotations

import itertools
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports import store
from hanzo_reports.alerts.budgets import Budget, Budgets
from hanzo_reports.alerts.decision import decision, observe
from hanzo_reports.alerts.spending import crossings, due, statuses
from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.events import SCHEMA
from hanzo_reports.forecast.amounts import amount
from hanzo_reports.store.budget_tables import PERIODS, RESERVATIONS, Money
from hanzo_reports.store.duck import backend
from hanzo_reports.store.migrate import migrate
from hanzo_reports.store.state import sqlite
from hanzo_reports.window import midnight, zone

JULY = datetime(2025, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
_SCHEMA = ibis.schema({name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()}).to_pyarrow()


def rows(made, con):
    """Events from (id, instant, project, cost)."""
    made = list(made)
    columns = {name: [None] * len(made) for name in SCHEMA}
    columns["event_id"], columns["timestamp"], columns["project"], costs = map(list, zip(*made, strict=True))
    columns |= {
        "cost": [None if cost is None else Decimal(cost) for cost in costs],
        "ingested_at": columns["timestamp"],
    }
    columns |= {"service": ["gateway"] * len(made), "status": [200] * len(made), "input_tokens": [1] * len(made)}
    arrays = {field.name: pa.array(columns[field.name], field.type) for field in _SCHEMA}
    return con.create_table(ibis.util.gen_name("rows"), pa.table(arrays))


@pytest.fixture
def spend():
    """A function that makes a table of events from (id, instant, project, cost)."""
    return lambda *made: rows(made, backend(duckdb.connect()))


@pytest.fixture
def lake(tmp_path, spend):
    """A store with a function `add` for more events."""
    made = store.open(str(tmp_path / "lake"), create=True)

    def add(*events):
        made.append(spend(*events), {})

    return made, add


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    """Where an empty state database is, on each engine."""
    if request.param == "sqlite":
        return str(tmp_path / "state.db")
    return request.getfixturevalue("database").replace("postgresql://", "postgresql+psycopg://")


def opened(address):
    if "://" not in address:
        return sqlite(Path(address))
    engine = sqlalchemy.create_engine(address)
    migrate(engine, "state", address)
    return engine


@pytest.fixture
def budgets(address):
    engine = opened(address)
    yield Budgets(engine)
    engine.dispose()


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
    others = [budgets, Budgets(opened(address))]
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
    budgets, held = Budgets(opened(address)), store.open(folder)
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


def test_looking_records_nothing(budgets, spend):
    events = spend(("a", JULY + HOUR, "search", "95"))
    kept = budgets.set(Budget("search", Decimal(100)), JULY)
    seen = [due(budgets, events, JULY + 2 * HOUR) for _ in range(2)]
    assert budgets.told(kept) == []
    assert seen == [look(budgets, events, JULY + 2 * HOUR)] * 2
    assert due(budgets, events, JULY + 2 * HOUR) == []


def test_two_who_set_one_new_budget_at_once_keep_one(address, budgets):
    others = [budgets, Budgets(opened(address))]
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
    others = [budgets, Budgets(opened(address))]
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
        amount(given, "the limit")


def test_amounts_are_read_as_they_are_printed():
    assert amount(0.1, "x") == Decimal("0.1")
