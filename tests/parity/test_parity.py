"""Every metric gives the same number on every engine, to the last digit; floats to a billionth."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime

import ibis
import pytest

from hanzo_reports import store
from hanzo_reports.dashboards.tables import fetch_table
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.compare import comparison, movers
from hanzo_reports.metrics.cost import SPLIT, costs
from hanzo_reports.metrics.dialect import earliest, fingerprint, latest, quotient
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.pricing.cost_split import split_costs
from hanzo_reports.quality.daily import daily
from hanzo_reports.window import Window

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ENGINES = ["postgres", "clickhouse", "spark"]
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
METRICS = [name for name in CATALOG if name not in SPLIT]
pytestmark = pytest.mark.filterwarnings(  # py4j leaves its sockets to the garbage collector
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
SHAPES = {
    "no group": ("whole", {}),
    "model": ("whole", {"by": ["model"]}),
    "project and day": ("days", {"by": ["project"], "every": "day"}),
    "top 2": ("whole", {"by": ["model", "user"], "top": 2}),
}
MOVED = ["requests", "cost", "cost_per_request", "cost_per_million_tokens", "error_rate", "tokens_per_second"]


@pytest.fixture(scope="module")
def answers():
    """The lake's answer to each question, computed once for all engines."""
    return {}


@pytest.fixture
def same(request, log, copies, counted, answers):
    """A function that asks an engine and the lake the same, compares the answers cell by cell, and counts the cells."""
    lake, place = store.open(str(log.folder)).events(), itertools.count()
    shape = {name: value for name, value in request.node.callspec.params.items() if name != "engine"}

    def compare(engine, question, read=ibis.Table.to_pyarrow):
        key = f"{request.node.originalname} {shape} {next(place)}"
        if key not in answers:
            answers[key] = read(question(lake)).to_pylist()
        expected = answers[key]
        rows = read(question(copies(engine, log))).to_pylist()
        assert len(rows) == len(expected) > 0
        for number, (row, wanted) in enumerate(zip(rows, expected, strict=True)):
            assert list(row) == list(wanted)
            assert {name: row[name] for name in row if not equal(row[name], wanted[name])} == {}, (number, wanted)
        counted(engine, len(rows) * len(rows[0]))
        return len(rows) * len(rows[0])

    return compare


def equal(value, expected):
    """Whether two cells are of one kind and one value; floats to a billionth."""
    if isinstance(value, float) and isinstance(expected, float):
        return math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9)
    return type(value) is type(expected) and value == expected


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_metric(same, log, engine, zone, shape):
    length, options = SHAPES[shape]
    window = Window.parse(getattr(log, length), now=NOW, timezone=zone)
    assert same(engine, lambda events: aggregate(events, window, METRICS, **options))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("engine", ENGINES)
def test_costs_taken_apart_by_the_price_list(same, log, engine, shape):
    length, options = SHAPES[shape]
    window = Window.parse(getattr(log, length), now=NOW, timezone=ZONES[3])
    assert same(engine, lambda events: costs(split_costs(events), window, ["cost", *sorted(SPLIT)], **options))


@pytest.mark.parametrize(
    ("grain", "zone"), [("hour", ZONES[1]), ("15m", ZONES[3]), ("week", ZONES[3]), ("month", ZONES[2])]
)
@pytest.mark.parametrize("engine", ENGINES)
def test_buckets_of_every_length(same, log, engine, zone, grain):
    window = Window.parse("2026-03-25..2026-04-10" if grain in {"hour", "15m"} else log.whole, now=NOW, timezone=zone)
    assert same(
        engine, lambda events: aggregate(events, window, ["requests", "active_projects", "latency_p50"], every=grain)
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_window_without_events(same, engine):
    window = Window.parse("2001-01-01..2001-01-03", now=NOW)
    assert same(engine, lambda events: aggregate(events, window, METRICS))
    assert same(engine, lambda events: aggregate(events, window, METRICS, every="day"))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_that_comes_in_parts_as_reports_and_exports_read_it(same, log, engine):
    window = Window.parse(log.days, now=NOW, timezone=ZONES[3])
    assert same(engine, lambda events: aggregate(events, window, METRICS, by=["model"], every="day"), fetch_table)
    assert same(engine, lambda events: events.order_by("event_id").limit(500), fetch_table)

    def divide(events):
        return events.select("event_id", twice=events.status / 0.5).order_by("event_id").limit(50)

    assert same(engine, divide, fetch_table)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_days_that_the_guard_judges(same, log, engine):
    window = Window.parse(log.days, now=NOW, timezone=ZONES[3])
    assert same(engine, lambda events: daily(events, window), fetch_table)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_window_of_no_length_has_no_buckets(log, copies, engine):
    window = Window(NOW, NOW)
    assert aggregate(copies(engine, log), window, METRICS, every="day").to_pyarrow().num_rows == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_and_the_last_of_nothing_are_not_known(same, engine):
    def ends(events):
        nothing = events.filter(events.service == "that nobody has").timestamp
        every = events.timestamp
        return events.aggregate(first=earliest(every), last=latest(every)).cross_join(
            nothing.as_table().aggregate(none=earliest(nothing), neither=latest(nothing))
        )

    assert same(engine, ends) == 4


@pytest.mark.parametrize("engine", ENGINES)
def test_an_id_has_one_fingerprint(same, engine):
    assert same(engine, lambda events: events.select(n=fingerprint(events.event_id)).order_by("n").limit(50))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_quotient_of_costs_in_the_wrong_unit_spoils_no_answer(same, engine):
    def quotients(events):
        cost = (events.status.cast("int64") * 10**12 + 1).cast("decimal(37, 9)")
        shares = {f"by_{by}": quotient(cost, (events.status % 7).cast("int64") * by) for by in (1, 3, 10**9)}
        return events.select("event_id", **shares).order_by("event_id").limit(200)

    assert same(engine, quotients)
    assert same(engine, quotients, fetch_table)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_filter_with_the_unknown(same, log, engine):
    window = Window.parse(log.whole, now=NOW, timezone=ZONES[3])
    where = {"model": [None, "a", "claude-sonnet-4-5"], "status": [200, 499]}
    assert same(engine, lambda events: aggregate(events, window, METRICS, by=["user"], top=3, where=where))


@pytest.mark.parametrize("engine", ENGINES)
def test_comparison(same, engine, log):
    window = Window.parse(log.days, now=NOW, timezone=ZONES[1])
    assert same(engine, lambda events: comparison(events, window, METRICS, by=["model"], top=2))


@pytest.mark.parametrize("metric", MOVED)
@pytest.mark.parametrize("engine", ENGINES)
def test_movers(same, engine, log, metric):
    window = Window.parse(log.days, now=NOW, timezone=ZONES[1])
    assert same(engine, lambda events: movers(events, window, metric, ["model"], top=2))
