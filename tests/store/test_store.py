"""What every store does: the protocol, on the lake and on Postgres."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.errors import StoreError
from hanzo_reports.events import SCHEMA


def test_a_new_store_is_empty_and_has_the_schema(held):
    assert dict(held.events().schema().items()) == {name: held.events()[name].type() for name in SCHEMA}
    assert list(held.events().schema()) == list(SCHEMA)
    assert held.events().count().to_pyarrow().as_py() == 0
    assert (held.version, held.loads()) == ("0", [])


def test_creating_twice_keeps_what_is_there(held, events, ids):
    held.append(events("abc"), {})
    assert ids(store.open(held.url, create=True)) == ids(store.open(held.url)) == ["a", "b", "c"]


def test_what_goes_in_comes_out(held, events):
    cost = [Decimal("0.000000001"), None, Decimal("123456789.987654321")]
    given = events("abc", cost=cost, latency_ms=[0.1, None, 3.0], user=["ü", None, "\U0001f600"])
    assert held.append(given, {}).accepted == 3
    assert (
        held.events().order_by("event_id").to_pyarrow().to_pylist()
        == given.order_by("event_id").to_pyarrow().to_pylist()
    )


def test_a_known_id_is_left_out_whatever_its_time(held, events, ids):
    held.append(events("abc"), {})
    appended = held.append(events("cde", start=datetime(2031, 1, 1, tzinfo=UTC)), {})
    assert (appended.accepted, appended.duplicates) == (2, 1)
    assert ids(held) == list("abcde")
    found = held.events()
    assert found.timestamp.year().nunique().to_pyarrow().as_py() == 2
    assert found.filter(found.event_id == "c").timestamp.year().to_pyarrow().to_pylist() == [2025]


def test_nothing_new_is_no_commit(held, events):
    before = held.append(events("abc"), {}).version
    again = held.append(events("abc"), {})
    assert (again.accepted, again.duplicates, again.version) == (0, 3, before)
    assert held.append(events(""), {}).version == before == held.version


def test_each_commit_has_a_version_and_says_what_it_was_told(held, events):
    first = held.append(events("ab"), {"load_id": "one"})
    second = held.append(events("bc"), {"load_id": "two"})
    assert first.version != second.version == held.version
    assert held.loads() == [
        {"load_id": "two", "accepted": 1, "known": 1, "version": second.version},
        {"load_id": "one", "accepted": 2, "known": 0, "version": first.version},
    ]


def test_flags_are_counted_over_accepted_rows_and_not_kept(held, events):
    held.append(events("a"), {})
    appended = held.append(events("abcd", flags={"odd": [True, True, None, False], "none": [False] * 4}), {})
    assert appended.flagged == {"odd": 1, "none": 0}
    assert "odd" not in held.events().columns


@pytest.mark.filterwarnings("ignore:fetch_record_batch:DeprecationWarning")  # called inside Ibis
def test_answers_are_of_one_moment_and_do_not_disturb_each_other(held, events):
    held.append(events("ab"), {})
    before = held.events()
    held.append(events("c"), {})
    assert before.count().to_pyarrow().as_py() == 2
    assert held.events().count().to_pyarrow().as_py() == 3
    stream = before.to_pyarrow_batches(chunk_size=1)
    first = next(stream).num_rows
    held.events().count().to_pyarrow()
    assert first + sum(batch.num_rows for batch in stream) == 2


def test_the_quarantine_keeps_each_row_once(held, bad_rows):
    assert held.quarantine().count().to_pyarrow().as_py() == 0
    held.add_to_quarantine(bad_rows("ab"))
    assert held.quarantine().count().to_pyarrow().as_py() == 2
    held.add_to_quarantine(bad_rows("bc"))
    assert sorted(held.quarantine().quarantine_id.to_pyarrow().to_pylist()) == ["a", "b", "c"]


def test_rows_leave_the_quarantine_by_name(held, bad_rows):
    held.add_to_quarantine(bad_rows("abc"))
    held.release(["a", "c", "never there"])
    assert held.quarantine().quarantine_id.to_pyarrow().to_pylist() == ["b"]
    assert held.version == "0"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda rows: rows.mutate(project=rows.project.nullif("search")), StoreError),
        (lambda rows: rows.mutate(status=rows.status.cast("int64") * 1000), duckdb.ConversionException),
    ],
)
def test_rows_that_are_no_events_change_nothing(held, events, ids, change, error):
    held.append(events("a"), {})
    with pytest.raises(error):
        held.append(change(events("bc")), {})
    assert ids(held) == ["a"]
    assert len(held.loads()) == 1


def test_numbers_of_another_width_are_stored_as_the_columns_own(held, events):
    rows = events("ab")
    held.append(rows.mutate(status=rows.status.cast("int64"), input_tokens=rows.status.cast("int32")), {})
    assert held.events().input_tokens.sum().to_pyarrow().as_py() == 400


def test_odd_texts_numbers_and_times_come_back_as_they_went_in(held, events):
    texts = ["", " ", '"', "a,b", "two\nlines", "\\N", "\\.", "'", "\t", "NULL", None]
    times = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, 999_999, UTC)]
    times += [datetime(2000, 2, 29, 12, tzinfo=UTC) + timedelta(days=30 * n, microseconds=n) for n in range(9)]
    numbers = [0.1, 1e-300, 1e300, -0.0, 123456789.123456789, None, float("inf"), 5e-324, 1 / 3, 2.0**53, 1.0]
    given = events("abcdefghijk", user=texts, model=texts[::-1], timestamp=times, latency_ms=numbers,
                   input_tokens=[2**62, -1, None, *range(8)])  # fmt: skip
    held.append(given, {})
    found = held.events().order_by("event_id").to_pyarrow().to_pylist()
    assert found == given.order_by("event_id").to_pyarrow().to_pylist()


def test_some_known_ids_among_many_new_ones(held, events, ids):
    held.append(events([str(n) for n in range(0, 3000, 3)], step=timedelta(hours=2)), {})
    appended = held.append(events([str(n) for n in range(3000)], flags={"odd": [n % 2 == 1 for n in range(3000)]}), {})
    assert (appended.accepted, appended.duplicates, appended.flagged) == (2000, 1000, {"odd": 1000})
    assert ids(held) == sorted(str(n) for n in range(3000))


def test_scratch_is_gone_after_success_and_failure(held):
    seen = []

    def fail():
        with held.scratch() as temporary:
            seen.append(temporary)
            (temporary / "half").touch()
            raise ZeroDivisionError

    with held.scratch() as temporary:
        seen.append(temporary)
        (temporary / "done").touch()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(seen) == 2
    assert [path for path in seen if path.exists()] == []


def test_a_workspace_answers_the_same_of_every_store(held, events):
    cost = [Decimal("0.1"), None, Decimal("0.2"), Decimal(0)]
    held.append(events("abcd", input_tokens=[5, None, 7, 8], cost=cost, model=["m", "m", None, "n"]), {})
    workspace = hr.open(held.url, now="2025-06-02T00:00:00Z")
    rows = workspace.usage("24h", by=["model"]).to_pyarrow().to_pylist()
    columns = ("model", "requests", "input_tokens", "cost")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("m", 2, 5, Decimal("0.1")),
        ("n", 1, 8, Decimal(0)),
        (None, 1, 7, Decimal("0.2")),
    ]
    assert workspace.condition()["events"] == 4


def test_the_state_is_a_database(held):
    with held.state.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    held.state.dispose()


def test_rows_without_any_instant_are_an_error_and_change_nothing(held, events):
    with pytest.raises(StoreError, match="timestamp is required"):
        held.append(events("ab", timestamp=[None, None]), {})
    assert held.events().count().to_pyarrow().as_py() == 0


@pytest.mark.parametrize(
    ("at", "now", "periods"),
    [
        ("1970-01-01T03", "1970-01-03", ["1969-12-31T22", "1969-12-31T00", "1969-12-29T00", "1969-12-01T00"]),
        ("2199-12-31T20", "2200-01-02", ["2199-12-31T15", "2199-12-31T00", "2199-12-30T00", "2199-12-01T00"]),
    ],
)
def test_the_first_and_the_last_years_have_their_buckets(held, events, at, now, periods):
    held.append(events("a", timestamp=[datetime.fromisoformat(f"{at}:00Z")]), {})
    workspace = hr.open(held.url, now=f"{now}T12:00:00Z", timezone="America/New_York")
    for grain, period in zip(("hour", "day", "week", "month"), periods, strict=True):
        rows = workspace.usage("30d", ["requests"], every=grain).rows()
        assert [row["period"] for row in rows if row["requests"]] == [f"{period}:00:00-05:00"]
