"""Files as they come: several forms of JSON, broken lines, surplus fields, texts that are not UTF-8."""

import gzip
import json
from datetime import UTC, datetime

import duckdb
import pytest

from hanzo_reports import store
from hanzo_reports.errors import MappingError, UnreadableError
from hanzo_reports.ingest.load import ingest
from hanzo_reports.ingest.mapping_file import load_source

NOW = datetime(2026, 4, 1, tzinfo=UTC)
HEADER = "event_id,timestamp,service,project,status,model,user\n"
USUAL = {"timestamp": "2026-03-30T10:00:00Z", "service": "gw", "project": "p", "status": 200, "model": "gpt-4o"}
PLACE = "2026-03-30T10:00:00Z,gw,p,200"


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)


def load(lake, *paths, **options):
    return ingest(lake, "events", paths, now=NOW, **options)


def quarantined(lake):
    rows = lake.quarantine().order_by("file", "row").select("row", "reason", "raw").to_pyarrow().to_pylist()
    return [tuple(row.values()) for row in rows]


def users(lake):
    return sorted(lake.events().user.to_pyarrow().to_pylist())


def objects(count):
    return [{"event_id": f"r{number}", **USUAL} for number in range(count)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["array", "over several lines", "a line each"])
def test_forms_of_json(lake, tmp_path, form, packed):
    text = {
        "array": json.dumps(objects(3)),
        "over several lines": "\n".join(json.dumps(row, indent=2) for row in objects(3)),
        "a line each": "\n".join(map(json.dumps, objects(3))),
    }[form]
    path = tmp_path / ("log.json" + ".gz" * packed)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert load(lake, path).accepted == 3


def test_rows_that_are_not_csv_are_quarantined_and_no_row_is_shifted(lake, tmp_path):
    (tmp_path / "log.csv").write_text(
        f'{HEADER}a,{PLACE},gpt-4o,ann\nb,{PLACE},gpt,4o,ann\nc,{PLACE}\nd,{PLACE},gpt-4o,"s"x\n'
        f'e,{PLACE},gpt-4o,"two\nlines"\nf,{PLACE},gpt-4o,5" disk\ng,{PLACE},"{{""k"":""v,w""}}",eve\n'
    )
    loaded = load(lake, tmp_path / "log.csv")
    assert (loaded.read, loaded.accepted, loaded.quarantined) == (7, 5, 2)
    assert users(lake) == ['5" disk', "ann", "eve", "s", "two\nlines"]
    assert quarantined(lake) == [
        (2, "too many columns", f"b,{PLACE},gpt,4o,ann"),
        (3, "too few columns", f"c,{PLACE}"),
    ]


def test_a_row_that_is_not_utf_8_is_kept_and_the_others_are_loaded(lake, tmp_path):
    text = f"{HEADER}a,{PLACE},gpt-4o,ann\nb,{PLACE},gpt-4o,J\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen\n"
    (tmp_path / "log.csv").write_bytes((text + f"c,{PLACE},gpt-4o,eve\n").encode("latin-1"))
    assert load(lake, tmp_path / "log.csv").reasons == {"not UTF-8": 1}
    assert users(lake) == ["ann", "eve"]
    assert quarantined(lake) == [(2, "not UTF-8", f"b,{PLACE},gpt-4o,J?rgen")]


def test_blank_lines_above_the_header_and_two_kinds_of_line_ends(lake, tmp_path):
    (tmp_path / "a.csv").write_text(f"\n\n{HEADER}a,{PLACE},gpt-4o,ann\nb,{PLACE}\n")
    (tmp_path / "b.csv").write_bytes(f"{HEADER}c,{PLACE},gpt-4o,cat\r\nd,{PLACE},gpt-4o,dan\n".encode())
    loaded = load(lake, tmp_path / "a.csv", tmp_path / "b.csv")
    assert (loaded.read, loaded.accepted) == (4, 3)
    assert users(lake) == ["ann", "cat", "dan"]
    assert quarantined(lake) == [(2, "too few columns", f"b,{PLACE}")]


def test_a_folder_of_several_layouts_with_a_fault_in_one(lake, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text(f"{HEADER}a,{PLACE},gpt-4o,ann\nb,{PLACE}\n")
    (tmp_path / "in/b.jsonl").write_text("\n".join(map(json.dumps, objects(2))))
    loaded = load(lake, tmp_path / "in")
    assert (loaded.files, loaded.read, loaded.accepted, loaded.quarantined) == (2, 4, 3, 1)


@pytest.mark.parametrize("suite", ["events", ""])
def test_a_damaged_page_of_a_parquet_file_is_named_and_changes_nothing(lake, tmp_path, suite):
    path, con = tmp_path / "log.parquet", duckdb.connect()
    rows = "SELECT 'r' || i AS event_id, now() - INTERVAL 1 YEAR AS timestamp, 'gw' AS service, 'p' AS project, "
    con.execute(
        f"COPY ({rows} 200 AS status, md5(i::VARCHAR) AS user FROM range(20000) t(i)) TO '{path}' (COMPRESSION gzip)"
    )
    con.close()
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[: middle - 500] + bytes(1000) + whole[middle + 500 :])
    with pytest.raises(UnreadableError, match=r"log\.parquet: cannot be loaded; "):
        load(lake, path, suite=suite)
    assert lake.events().count().to_pyarrow().as_py() == 0


def test_a_first_line_that_is_not_a_header(lake, tmp_path):
    (tmp_path / "log.csv").write_text("a" * 140_000 + ",b\n1,2\n")
    with pytest.raises(UnreadableError, match="first line is not a CSV header"):
        load(lake, tmp_path / "log.csv")


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("status", "1000000", "not a whole number below 32,768"),
        ("input_tokens", "1.5", "not a whole number"),
        ("cost", "nan", "not a finite number"),
        ("cost", "1e30", "not an amount below 1,000,000,000"),
        ("cost", "0.0000000001", "at most 9 decimal places"),
        ("latency_ms", "inf", "not a finite number"),
        ("latency_ms", "1e999", "not a finite number"),
        ("timestamp", "yesterday", "not an instant like 2025-06-01T12:00:00Z"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(tmp_path, column, text, message):
    with pytest.raises(MappingError, match=f"--set {column}={text}: .*{message}"):
        load_source("events", None, {column: text})
    described = "".join(
        f'{name} = {{ value = "{text}" }}\n' if name == column else f'{name} = {{ from = "x" }}\n'
        for name in dict.fromkeys(("event_id", "timestamp", "service", "project", "status", column))
    )
    (tmp_path / "own.toml").write_text(f"[columns]\n{described}")
    with pytest.raises(MappingError, match=rf"own\.toml: .*{column}: .*{message}"):
        load_source("own", tmp_path / "own.toml", {})


@pytest.mark.parametrize(("pattern", "message"), [("(?P<a", "not a regular expression"), ("a+", "no named groups")])
def test_an_unusable_pattern_is_refused(tmp_path, pattern, message):
    (tmp_path / "own.toml").write_text(f"formats = ['log']\npattern = '{pattern}'\n[columns]\n")
    with pytest.raises(MappingError, match=message):
        load_source("own", tmp_path / "own.toml", {})


def test_a_base_without_an_offset_is_utc():
    assert load_source("burstgpt", None, {"base": "2023-03-01"}).base == datetime(2023, 3, 1, tzinfo=UTC)
