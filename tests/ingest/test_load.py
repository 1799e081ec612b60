import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pytest

from hanzo_reports import store
from hanzo_reports.errors import ColumnError, StoreError, UnknownNameError, UnreadableError
from hanzo_reports.ingest.load import ingest

NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)


@pytest.fixture
def log(tmp_path):
    """A function that writes rows, with what every event needs, into a file of JSON lines or Parquet."""

    def write(name, *rows):
        usual = {"timestamp": "2025-06-01T10:00:00Z", "service": "gateway", "project": "search", "status": 200}
        path = tmp_path / name
        lines = path.with_suffix(".jsonl")
        lines.write_text("".join(json.dumps(usual | row) + "\n" for row in rows))
        if path.suffix == ".parquet":
            con = duckdb.connect()
            con.execute(f"COPY (FROM read_json('{lines}')) TO '{path}' (FORMAT parquet)")
            con.close()
        return path

    return write


def load(lake, *paths, source="events", **options):
    return ingest(lake, source, paths, now=NOW, **options)


def rows(table, *columns):
    return sorted(tuple(row.values()) for row in table.select(*columns).to_pyarrow().to_pylist())


FORMS = pytest.mark.parametrize("form", ["jsonl", "parquet"])


@FORMS
def test_a_clean_file(lake, log, form):
    loaded = load(lake, log(f"log.{form}", {"event_id": "a", "cost": 0.5}, {"event_id": "b", "user": "ü"}))
    assert (loaded.files, loaded.read, loaded.accepted, loaded.duplicates, loaded.quarantined) == (1, 2, 2, 0, 0)
    assert (loaded.reasons, loaded.version, loaded.source) == ({}, lake.version, "events")
    columns = ("event_id", "user", "cost", "cost_source", "ingested_at", "latency_ms")
    assert rows(lake.events(), *columns) == [
        ("a", None, Decimal("0.5"), "reported", NOW, None),
        ("b", "ü", None, None, NOW, None),
    ]
    assert lake.quarantine().count().to_pyarrow().as_py() == 0
    (record,) = lake.loads()
    assert (record["load_id"], record["source"], record["read"], record["accepted"]) == (loaded.load_id, "events", 2, 2)
    assert record["at"] == "2025-07-01T12:00:00Z"


@FORMS
def test_loading_again_changes_nothing(lake, log, form):
    path = log(f"log.{form}", {"event_id": "a"}, {"event_id": "b"}, {"event_id": "c", "status": 99})
    first, again = load(lake, path), load(lake, path)
    assert (first.read, first.accepted, first.duplicates, first.quarantined) == (3, 2, 0, 1)
    assert (again.read, again.accepted, again.duplicates, again.quarantined) == (3, 0, 2, 1)
    assert again.version == first.version == lake.version
    assert lake.events().count().to_pyarrow().as_py() == 2
    assert lake.quarantine().count().to_pyarrow().as_py() == 1


@FORMS
def test_a_known_id_is_skipped_whatever_its_time(lake, log, form):
    load(lake, log("first.jsonl", {"event_id": "a"}))
    later = log(f"later.{form}", {"event_id": "a", "timestamp": "2021-01-01T00:00:00Z"}, {"event_id": "b"})
    loaded = load(lake, later)
    assert (loaded.read, loaded.accepted, loaded.duplicates) == (2, 1, 1)
    assert [instant.year for _, instant in rows(lake.events(), "event_id", "timestamp")] == [2025, 2025]


@FORMS
def test_of_rows_with_one_id_the_first_stays(lake, log, form):
    path = log(f"log.{form}", *({"event_id": id_, "user": user} for id_, user in ["a1", "b2", "a3", "c4", "a5"]))
    other = log(f"other.{form}", {"event_id": "c", "user": "6"}, {"event_id": "d", "user": "7"})
    loaded = load(lake, path, other)
    assert (loaded.files, loaded.read, loaded.accepted, loaded.duplicates) == (2, 7, 4, 3)
    assert rows(lake.events(), "event_id", "user") == [("a", "1"), ("b", "2"), ("c", "4"), ("d", "7")]


@FORMS
def test_bad_rows_are_kept_with_reason_and_text(lake, log, form):
    path = log(
        f"log.{form}",
        {"event_id": "a"},
        {"event_id": None, "user": "nobody"},
        {"event_id": "c", "status": 99, "latency_ms": -1},
    )
    loaded = load(lake, path)
    assert (loaded.read, loaded.accepted, loaded.quarantined) == (3, 1, 2)
    assert sum(loaded.reasons.values()) == 3
    rejected = lake.quarantine().order_by("row").to_pyarrow().to_pylist()
    assert [(row["source"], row["load_id"], row["quarantined_at"]) for row in rejected] == [
        ("events", loaded.load_id, NOW)
    ] * 2
    assert "nobody" in rejected[0]["raw"]
    assert "event_id" in rejected[0]["reason"]
    assert all(row["file"].endswith(f"log.{form}") for row in rejected)
    assert rejected[0]["row"] + 1 == rejected[1]["row"]


def test_one_line_that_cannot_be_read_does_not_keep_the_others_out(lake, log, tmp_path):
    path = log("log.jsonl", {"event_id": "a"}, {"event_id": "b"})
    path.write_text(path.read_text() + '{"event_id": "c", \n')
    loaded = load(lake, path)
    assert (loaded.read, loaded.accepted, loaded.quarantined) == (3, 2, 1)
    web = tmp_path / "access.log"
    web.write_text('1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 23\nnonsense\n')
    assert load(lake, web, source="access_log").quarantined == 1
    assert rows(lake.quarantine(), "row", "reason", "raw") == [
        (2, "not a line of the log's format", "nonsense"),
        (3, "not a JSON object", '{"event_id": "c", '),
    ]


@FORMS
def test_equal_bad_rows_are_as_many_as_there_are(lake, log, form):
    bad = {"event_id": None}
    loaded = load(lake, log(f"two.{form}", bad, bad, {"event_id": "a"}))
    assert (loaded.quarantined, lake.quarantine().count().to_pyarrow().as_py()) == (2, 2)
    load(lake, log(f"three.{form}", bad, bad, bad, {"event_id": "b"}))
    assert lake.quarantine().count().to_pyarrow().as_py() == 3


@FORMS
def test_a_file_without_one_good_row_changes_nothing_but_the_quarantine(lake, log, form):
    loaded = load(lake, log(f"log.{form}", {"event_id": "a", "status": 99}, {"event_id": "b", "status": 99}))
    assert (loaded.read, loaded.accepted, loaded.duplicates, loaded.quarantined) == (2, 0, 0, 2)
    assert loaded.version == lake.version == "0"
    assert lake.loads() == []


@FORMS
def test_counts_of_money_are_over_accepted_rows(lake, log, form):
    tokens = {"model": "gpt-4o", "provider": "openai", "input_tokens": 1_000_000, "output_tokens": 0}  # USD 2.50
    unknown = tokens | {"model": "nobody-knows-this", "provider": None}
    load(lake, log("known.jsonl", unknown | {"event_id": "known1"}, tokens | {"event_id": "known2", "cost": 9}))
    loaded = load(
        lake,
        log(
            f"log.{form}",
            unknown | {"event_id": "known1"},
            tokens | {"event_id": "known2", "cost": 9},
            unknown | {"event_id": "unpriced"},
            unknown | {"event_id": "unpriced"},
            unknown | {"event_id": "no tokens", "input_tokens": 0},
            tokens | {"event_id": "priced"},
            tokens | {"event_id": "agrees", "cost": 2.525},
            tokens | {"event_id": "differs", "cost": 2.5251},
            unknown | {"event_id": "nothing to compare with", "cost": 1.0},
        ),
    )
    assert (loaded.accepted, loaded.duplicates) == (6, 3)
    assert (loaded.unpriced, loaded.price_differences) == (1, 1)


@FORMS
def test_progress_rises_from_nothing_to_all(lake, log, form):
    shares = []
    load(lake, log(f"log.{form}", {"event_id": "a"}, {"event_id": "b", "status": 99}), progress=shares.append)
    assert shares == sorted(set(shares))
    assert 0 < shares[0] <= shares[-1] == 1


def test_constants_and_a_mapping_of_ones_own(lake, tmp_path):
    mapping = tmp_path / "mine.toml"
    mapping.write_text(
        "[columns]\n"
        'event_id = {from = "id"}\ntimestamp = {from = "when"}\nstatus = {value = 200}\n'
        'service = {value = "x"}\nproject = {value = "y"}\n'
    )
    path = tmp_path / "mine.csv"
    path.write_text("id,when\n7,2025-06-01T10:00:00+02:00\n")
    assert load(lake, path, source="mine", mapping_file=mapping, constants={"project": "z"}).accepted == 1
    assert rows(lake.events(), "event_id", "project", "timestamp") == [("7", "z", datetime(2025, 6, 1, 8, tzinfo=UTC))]


def broken(tmp_path, log, kind):
    path = tmp_path / f"{kind}.parquet"
    if kind == "empty":
        path.touch()
    elif kind == "no parquet":
        path.write_text("PAR1 and then nothing")
    elif kind == "cut":
        whole = log("whole.parquet", {"event_id": "a"}).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "empty lines":
        path = tmp_path / "empty.jsonl"
        path.touch()
    elif kind == "cut gzip":
        path = tmp_path / "log.jsonl.gz"
        rows = "".join(json.dumps({"event_id": str(number)}) + "\n" for number in range(20_000))
        path.write_bytes(gzip.compress(rows.encode())[:-2_000])
    elif kind == "header only":
        path = tmp_path / "log.csv"
        path.write_text("event_id,timestamp,service,project,status\n")
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "no parquet", "cut", "empty lines", "cut gzip", "header only"])
def test_a_file_that_cannot_be_read_changes_nothing(lake, log, tmp_path, kind):
    good, path = log("good.parquet", {"event_id": "x"}, {"event_id": "y", "status": 99}), broken(tmp_path, log, kind)
    with pytest.raises(UnreadableError, match=path.name.replace(".", r"\.")):
        load(lake, path)
    if kind != "header only":
        with pytest.raises(UnreadableError, match=path.name.replace(".", r"\.")):
            load(lake, good, path)
    assert (lake.version, lake.quarantine().count().to_pyarrow().as_py()) == ("0", 0)
    assert list(lake.folder.glob("scratch/*")) == []


def test_a_file_without_a_needed_column_changes_nothing(lake, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("event_id,service,project,status\na,b,c,200\n")
    with pytest.raises(ColumnError, match="timestamp"):
        load(lake, path)
    assert lake.version == "0"


def test_an_unknown_source_is_named_before_any_work(lake, tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown source 'event'; did you mean 'events'\?"):
        load(lake, tmp_path / "missing", source="event")
    assert not (lake.folder / "scratch").exists() or not list((lake.folder / "scratch").iterdir())


def test_too_little_memory_is_no_fault_of_the_file(lake, log, monkeypatch):
    def fail(*_):
        raise duckdb.OutOfMemoryException

    monkeypatch.setattr("hanzo_reports.ingest.validate.count_rows", fail)
    with pytest.raises(StoreError, match="too little memory or disk"):
        load(lake, log("log.jsonl", {"event_id": "a"}))
