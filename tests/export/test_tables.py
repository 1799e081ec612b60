"""Files for other tools: exact money, every row, complete files."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanzo_reports.errors import ReportsError, UnknownNameError, UsageError
from hanzo_reports.escapes import neutralise_formula
from hanzo_reports.export.tables import format_table, write_table
from hanzo_reports.formats import format_decimal
from hanzo_reports.window import Window

SCHEMA = pa.schema(
    [
        ("model", pa.string()), ("cost", pa.decimal128(18, 9)), ("requests", pa.int64()), ("rate", pa.float64()),
        ("at", pa.timestamp("us", "UTC")), ("late", pa.bool_()),
    ]
)  # fmt: skip
FIRST = datetime(2025, 6, 1, tzinfo=UTC)
ROWS = [
    {"model": 'a, "b"', "cost": Decimal("854.25"), "requests": 2, "rate": 0.1, "at": FIRST, "late": True},
    {"model": "two\nlines", "cost": Decimal("0.00000012"), "requests": 0, "rate": 1e-7,
     "at": FIRST.replace(microsecond=5), "late": False},
    dict.fromkeys(SCHEMA.names),
]  # fmt: skip
TABLE = pa.Table.from_pylist(ROWS, SCHEMA)
WINDOW = Window(FIRST, FIRST.replace(day=8))


def test_csv_by_hand():
    assert format_table(TABLE, "csv") == (
        "model,cost,requests,rate,at,late\n"
        '"a, ""b""",854.25,2,0.1,2025-06-01T00:00:00Z,true\n'
        '"two\nlines",0.00000012,0,1e-7,2025-06-01T00:00:00.000005Z,false\n'
        ",,,,,\n"
    )


def test_json_by_hand():
    text = format_table(TABLE, "json", window=WINDOW, summary={"total_cost": Decimal("2341.500000000")})
    assert '"cost": 854.25,' in text
    assert '"cost": 0.00000012,' in text
    document = json.loads(text)
    assert document["data"][0] == ROWS[0] | {"cost": 854.25, "at": "2025-06-01T00:00:00Z"}
    assert document["data"][2] == ROWS[2]
    assert document["summary"] == {"total_cost": 2341.5}
    assert document["window"] == {"start": "2025-06-01T00:00:00Z", "end": "2025-06-08T00:00:00Z", "timezone": "UTC"}


HOSTILE = pa.table({"model": ['=HYPERLINK("https://x")', "@cf/meta/llama-3", "+cmd|' /C calc'!A0", "-5", None]})


def test_a_file_is_byte_exact_unless_a_spreadsheet_opens_it(tmp_path):
    exact = 'model\n"=HYPERLINK(""https://x"")"\n@cf/meta/llama-3\n+cmd|\' /C calc\'!A0\n-5\n\n'
    neutral = exact.replace('"=', "\"'=").replace("+cmd", "'+cmd")
    assert format_table(HOSTILE, "csv") == exact
    assert format_table(HOSTILE, "csv", spreadsheet=True) == neutral
    table, path = ibis.memtable(HOSTILE), tmp_path / "out.csv"
    for spreadsheet, expected in ((False, exact), (True, neutral)):
        write_table(table, path, "csv", spreadsheet=spreadsheet)
        assert path.read_bytes().decode() == expected


@pytest.mark.parametrize("fmt", ["json", "jsonl", "parquet"])
def test_only_csv_is_for_spreadsheets(tmp_path, fmt):
    with pytest.raises(UsageError, match=f"applies to csv, not to {fmt}; leave it out"):
        write_table(ibis.memtable(HOSTILE), tmp_path / "out", fmt, spreadsheet=True)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=6))
def test_no_cell_for_a_spreadsheet_begins_a_formula(words):
    read = list(csv.reader(io.StringIO(format_table(pa.table({"m": words}), "csv", spreadsheet=True), newline="")))[1:]
    cells = [row[0] if row else "" for row in read]
    assert [cell for cell in cells if neutralise_formula(cell) != cell] == []
    assert [cell.replace("'", "") for cell in cells] == [word.replace("'", "") for word in words]


def test_no_rows_still_make_a_file():
    assert format_table(TABLE[:0], "csv") == "model,cost,requests,rate,at,late\n"
    assert json.loads(format_table(TABLE[:0], "json")) == {"data": []}
    assert format_table(TABLE[:0], "jsonl") == ""


def test_nan_and_infinity_are_null():
    odd = pa.table({"rate": [float("nan"), float("inf"), 1.0]})
    assert [json.loads(line)["rate"] for line in format_table(odd, "jsonl").splitlines()] == [None, None, 1.0]


WORDS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MONEY = st.none() | st.decimals(-(10**8), 10**8, places=9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WORDS, MONEY, st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=6))
def test_json_reads_back_as_it_was(rows):
    table = pa.Table.from_pylist(
        [{"model": model, "cost": cost, "requests": requests} for model, cost, requests in rows], SCHEMA
    ).select(["model", "cost", "requests"])
    data = json.loads(format_table(table, "json"), parse_float=Decimal)["data"]
    values = [(row["model"], None if row["cost"] is None else Decimal(row["cost"]), row["requests"]) for row in data]
    assert values == rows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), MONEY), max_size=6))
def test_csv_reads_back_as_it_was(rows):
    table = pa.Table.from_pylist([{"model": model, "cost": cost} for model, cost in rows], SCHEMA)
    read = list(csv.DictReader(io.StringIO(format_table(table.select(["model", "cost"]), "csv"))))
    assert [(row["model"], Decimal(row["cost"]) if row["cost"] else None) for row in read] == rows


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_value_and_has_no_exponent(value):
    digits = format_decimal(value)
    assert Decimal(digits) == value
    assert "E" not in digits
    assert not ("." in digits and digits.endswith("0"))


@pytest.mark.parametrize("fmt", ["csv", "json", "jsonl", "parquet"])
def test_many_batches_make_one_file(tmp_path, fmt):
    table = ibis.memtable(pa.table({"n": range(120_000)})).order_by("n")
    path = tmp_path / f"out.{fmt}"
    assert write_table(table, path, fmt) == 120_000
    numbers = {
        "csv": lambda: [int(line) for line in path.read_text().splitlines()[1:]],
        "json": lambda: [row["n"] for row in json.loads(path.read_text())["data"]],
        "jsonl": lambda: [json.loads(line)["n"] for line in path.read_text().splitlines()],
        "parquet": lambda: list(pq.read_table(path)["n"].to_pylist()),
    }[fmt]()
    assert numbers == list(range(120_000))
    assert [written.name for written in tmp_path.iterdir()] == [path.name]


def test_parquet_keeps_the_types(tmp_path):
    table = ibis.memtable(TABLE)
    totals = table.aggregate(requests=table.requests.sum(), cost=table.cost.sum())
    write_table(totals, tmp_path / "out.parquet", "parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert [str(field.type) for field in read.schema] == ["int64", "decimal128(38, 9)"]
    assert read.to_pylist() == [{"requests": 2, "cost": Decimal("854.25000012")}]


def test_a_failed_write_leaves_the_previous_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("previous")
    broken = ibis.memtable(pa.table({"n": ["1", "x"]})).mutate(n=ibis._.n.cast("int64"))
    with pytest.raises(Exception, match="Could not convert"):
        write_table(broken, path, "csv")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("out.csv", "previous")]


def test_an_unknown_format_and_a_missing_folder_are_named(tmp_path):
    table = ibis.memtable(pa.table({"n": [1]}))
    with pytest.raises(UnknownNameError, match="'parquet'"):
        write_table(table, tmp_path / "x", "parket")
    with pytest.raises(ReportsError, match=r"no/x\.csv cannot be written"):
        write_table(table, tmp_path / "no" / "x.csv", "csv")
    with pytest.raises(UnknownNameError, match="format"):
        format_table(TABLE, "parquet")
