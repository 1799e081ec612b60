"""What every store does: the protocol, on the lake and on Postgres."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.errors import StoreError
from hanzo_reports.events import SCHEMA


def test_a_new_store_is_empty_and_has_the_schema(new_store):
    assert dict(new_store.events().schema().items()) == {name: new_store.events()[name].type() for name in SCHEMA}
    assert list(new_store.events().schema()) == list(SCHEMA)
    assert new_store.events().count().to_pyarrow().as_py() == 0
    assert (new_store.version, new_store.loads()) == ("0", [])


def test_a_store_shows_its_kind_and_its_address(new_store):
    assert repr(new_store) in {f"{kind}Store({new_store.url!r})" for kind in ("Delta", "Postgres", "ClickHouse")}


def test_creating_twice_keeps_what_is_there(new_store, events, ids):
    new_store.append(events("abc"), {})
    assert ids(store.open(new_store.url, create=True)) == ids(store.open(new_store.url)) == ["a", "b", "c"]


def test_what_goes_in_comes_out(new_store, events):
    cost = [Decimal("0.000000001"), None, Decimal("123456789.987654321")]
    rows = events("abc", cost=cost, latency_ms=[0.1, None, 3.0], user=["ü", None, "\U0001f600"])
    assert new_store.append(rows, {}).accepted == 3
    assert (
        new_store.events().order_by("event_id").to_pyarrow().to_pylist()
        == rows.order_by("event_id").to_pyarrow().to_pylist()
    )


def test_a_known_id_is_left_out_whatever_its_time(new_store, events, ids):
    new_store.append(events("abc"), {})
    appended = new_store.append(events("cde", start=datetime(2031, 1, 1, tzinfo=UTC)), {})
    assert (appended.accepted, appended.duplicates) == (2, 1)
    assert ids(new_store) == list("abcde")
    stored = new_store.events()
    assert stored.timestamp.year().nunique().to_pyarrow().as_py() == 2
    assert stored.filter(stored.event_id == "c").timestamp.year().to_pyarrow().to_pylist() == [2025]


def test_nothing_new_is_no_commit(new_store, events):
    before = new_store.append(events("abc"), {}).version
    again = new_store.append(events("abc"), {})
    assert (again.accepted, again.duplicates, again.version) == (0, 3, before)
    assert new_store.append(events(""), {}).version == before == new_store.version


def test_each_commit_has_a_version_and_says_what_it_was_told(new_store, events):
    first = new_store.append(events("ab"), {"load_id": "one"})
    second = new_store.append(events("bc"), {"load_id": "two"})
    assert first.version != second.version == new_store.version
    assert new_store.loads() == [
        {"load_id": "two", "accepted": 1, "known": 1, "version": second.version},
        {"load_id": "one", "accepted": 2, "known": 0, "version": first.version},
    ]


def test_flags_are_counted_over_accepted_rows_and_not_kept(new_store, events):
    new_store.append(events("a"), {})
    appended = new_store.append(events("abcd", flags={"odd": [True, True, None, False], "none": [False] * 4}), {})
    assert appended.flagged == {"odd": 1, "none": 0}
    assert "odd" not in new_store.events().columns


@pytest.mark.filterwarnings("ignore:fetch_record_batch:DeprecationWarning")  # called inside Ibis
def test_answers_are_of_one_moment_and_do_not_disturb_each_other(new_store, events):
    new_store.append(events("ab"), {})
    before = new_store.events()
    new_store.append(events("c"), {})
    assert before.count().to_pyarrow().as_py() == 2
    assert new_store.events().count().to_pyarrow().as_py() == 3
    stream = before.to_pyarrow_batches(chunk_size=1)
    first = next(stream).num_rows
    new_store.events().count().to_pyarrow()
    assert first + sum(batch.num_rows for batch in stream) == 2


def test_the_quarantine_keeps_each_row_once(new_store, bad_rows):
    assert new_store.quarantine().count().to_pyarrow().as_py() == 0
    new_store.add_to_quarantine(bad_rows("ab"))
    assert new_store.quarantine().count().to_pyarrow().as_py() == 2
    new_store.add_to_quarantine(bad_rows("bc"))
    assert sorted(new_store.quarantine().quarantine_id.to_pyarrow().to_pylist()) == ["a", "b", "c"]


def test_rows_leave_the_quarantine_by_name(new_store, bad_rows):
    new_store.add_to_quarantine(bad_rows("abc"))
    new_store.release(["a", "c", "never there"])
    assert new_store.quarantine().quarantine_id.to_pyarrow().to_pylist() == ["b"]
    assert new_store.version == "0"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda rows: rows.mutate(project=rows.project.nullif("search")), StoreError),
        (lambda rows: rows.mutate(status=rows.status.cast("int64") * 1000), duckdb.ConversionException),
    ],
)
def test_rows_that_are_no_events_change_nothing(new_store, events, ids, change, error):
    new_store.append(events("a"), {})
    with pytest.raises(error):
        new_store.append(change(events("bc")), {})
    assert ids(new_store) == ["a"]
    assert len(new_store.loads()) == 1


def test_numbers_of_another_width_are_stored_as_the_columns_own(new_store, events):
    rows = events("ab")
    new_store.append(rows.mutate(status=rows.status.cast("int64"), input_tokens=rows.status.cast("int32")), {})
    assert new_store.events().input_tokens.sum().to_pyarrow().as_py() == 400


def test_odd_texts_numbers_and_times_come_back_as_they_went_in(new_store, events):
    texts = ["", " ", '"', "a,b", "two\nlines", "\\N", "\\.", "'", "\t", "NULL", None]
    times = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, 999_999, UTC)]
    times += [datetime(2000, 2, 29, 12, tzinfo=UTC) + timedelta(days=30 * n, microseconds=n) for n in range(9)]
    numbers = [0.1, 1e-300, 1e300, -0.0, 123456789.123456789, None, float("inf"), 5e-324, 1 / 3, 2.0**53, 1.0]
    rows = events("abcdefghijk", user=texts, model=texts[::-1], timestamp=times, latency_ms=numbers,
                   input_tokens=[2**62, -1, None, *range(8)])  # fmt: skip
    new_store.append(rows, {})
    stored = new_store.events().order_by("event_id").to_pyarrow().to_pylist()
    assert stored == rows.order_by("event_id").to_pyarrow().to_pylist()


def test_some_known_ids_among_many_new_ones(new_store, events, ids):
    new_store.append(events([str(n) for n in range(0, 3000, 3)], step=timedelta(hours=2)), {})
    appended = new_store.append(
        events([str(n) for n in range(3000)], flags={"odd": [n % 2 == 1 for n in range(3000)]}), {}
    )
    assert (appended.accepted, appended.duplicates, appended.flagged) == (2000, 1000, {"odd": 1000})
    assert ids(new_store) == sorted(str(n) for n in range(3000))


def test_scratch_is_gone_after_success_and_failure(new_store):
    folders = []

    def fail():
        with new_store.scratch() as temporary:
            folders.append(temporary)
            (temporary / "half").touch()
            raise ZeroDivisionError

    with new_store.scratch() as temporary:
        folders.append(temporary)
        (temporary / "whole").touch()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(folders) == 2
    assert [path for path in folders if path.exists()] == []


def test_a_workspace_answers_the_same_of_every_store(new_store, events):
    cost = [Decimal("0.1"), None, Decimal("0.2"), Decimal(0)]
    new_store.append(events("abcd", input_tokens=[5, None, 7, 8], cost=cost, model=["m", "m", None, "n"]), {})
    workspace = hr.open(new_store.url, now="2025-06-02T00:00:00Z")
    rows = workspace.usage("24h", by=["model"]).to_pyarrow().to_pylist()
    columns = ("model", "requests", "input_tokens", "cost")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("m", 2, 5, Decimal("0.1")),
        ("n", 1, 8, Decimal(0)),
        (None, 1, 7, Decimal("0.2")),
    ]
    assert workspace.condition()["events"] == 4


def test_the_state_is_a_database(new_store):
    with new_store.state.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    new_store.state.dispose()


def test_rows_without_any_instant_are_an_error_and_change_nothing(new_store, events):
    with pytest.raises(StoreError, match="timestamp is required"):
        new_store.append(events("ab", timestamp=[None, None]), {})
    assert new_store.events().count().to_pyarrow().as_py() == 0


@pytest.mark.parametrize(
    ("at", "now", "periods"),
    [
        ("1970-01-01T03", "1970-01-03", ["1969-12-31T22", "1969-12-31T00", "1969-12-29T00", "1969-12-01T00"]),
        ("2199-12-31T20", "2200-01-02", ["2199-12-31T15", "2199-12-31T00", "2199-12-30T00", "2199-12-01T00"]),
    ],
)
def test_the_first_and_the_last_years_have_their_buckets(new_store, events, at, now, periods):
    new_store.append(events("a", timestamp=[datetime.fromisoformat(f"{at}:00Z")]), {})
    workspace = hr.open(new_store.url, now=f"{now}T12:00:00Z", timezone="America/New_York")
    for grain, period in zip(("hour", "day", "week", "month"), periods, strict=True):
        rows = workspace.usage("30d", ["requests"], every=grain).rows()
        assert [row["period"] for row in rows if row["requests"]] == [f"{period}:00:00-05:00"]
