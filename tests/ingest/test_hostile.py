"""Hostile logs: secrets, texts without a bound, control characters, pipes, links, and files of something else."""

from __future__ import annotations

import gzip
import json
import os
import socket
from datetime import UTC, datetime

import duckdb
import pytest

from hanzo_reports import store
from hanzo_reports.errors import ReportsError, UnreadableError
from hanzo_reports.events import SCHEMA
from hanzo_reports.ingest.event_texts import MAX_TEXT_LENGTH
from hanzo_reports.ingest.files import list_files
from hanzo_reports.ingest.load import ingest, plan_load
from hanzo_reports.ingest.mapping_file import load_source

NOW = datetime(2026, 4, 1, tzinfo=UTC)
USUAL = {"timestamp": "2026-03-30T10:00:00Z", "service": "gw", "project": "p", "status": 200}
TEXTS = [name for name, dtype in SCHEMA.items() if dtype.removeprefix("!") == "string"]
KEY = "sk-proj-Zq7hunter2Zq7hunter2abcd"
SECRETS = [KEY, f"Bearer {KEY}", f"/v1?api_key={KEY}&n=1", "postgres://me:hunter2x@db", '{"password":"hunter2"}']


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)


@pytest.fixture
def write(tmp_path):
    """A function that writes rows, with what every event needs, as JSON lines or Parquet."""

    def run(rows, form="jsonl"):
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(USUAL | row) + "\n" for row in rows))
        if form == "jsonl":
            return path
        con = duckdb.connect()
        con.execute(f"COPY (FROM read_json('{path}')) TO '{tmp_path / 'log.parquet'}' (FORMAT parquet)")
        con.close()
        return tmp_path / "log.parquet"

    return run


def load(lake, path, **options):
    return ingest(lake, "events", [path], now=NOW, **options)


def contents(table):
    return table.to_pyarrow().to_pylist()


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_no_text_of_an_event_keeps_a_secret(lake, write, form):
    rows = [{"event_id": f"e{n}-{name}", name: secret} for name in TEXTS for n, secret in enumerate(SECRETS)]
    rows = [row | ({"cost": 1} if "cost_source" in row else {}) for row in rows]
    loaded = load(lake, write(rows, form), suite="")
    assert (loaded.accepted, loaded.shortened) == (len(rows), 0)
    events = contents(lake.events())
    assert [event for event in events if "hunter2" in str(event)] == []
    assert {event["user"] for event in events if event["event_id"].startswith("e2-user")} == {
        "/v1?api_key=[secret]&n=1"
    }
    assert load(lake, write(rows, form), suite="").duplicates == len(rows)


def test_two_secrets_stay_two_and_harmless_texts_stay(lake, write):
    users = [f"{KEY}{n}" for n in range(3)] + ["123e4567-e89b-12d3-a456-426614174000", "ann"]
    ids = [f"{KEY}{n}" for n in range(3)] + [f"/v1?token=t{n}" for n in range(2)]
    load(lake, write({"event_id": id_, "user": user} for id_, user in zip(ids, users, strict=True)), suite="")
    events = contents(lake.events())
    assert len({event["event_id"] for event in events}) == 5
    assert len({event["user"] for event in events}) == 5
    assert {users[3], "ann"} < {event["user"] for event in events}
    assert all(event["user"].startswith("sha256:") for event in events if event["user"] not in users)


def test_a_quarantined_row_keeps_no_secret_in_any_format(lake, tmp_path):
    bad = {"event_id": "a", **USUAL, "status": 99, "note": SECRETS[2], "password": "hunter2", "m": SECRETS[4]}
    (tmp_path / "a.jsonl").write_text(json.dumps(bad) + "\n{not JSON, password=hunter2\n")
    head = "event_id,timestamp,service,project,status,db_password,note\n"
    row = "a,2026-03-30T10:00:00Z,gw,p"
    (tmp_path / "b.csv").write_text(
        f"{head}{row},99,hunter2,{KEY}\n{row},200,hunter2,x,more\n{row},{KEY},hunter2,note\n"
    )
    con = duckdb.connect()
    rows = f"FROM read_json('{tmp_path / 'a.jsonl'}', ignore_errors = true) WHERE status = 99"
    con.execute(f"COPY ({rows}) TO '{tmp_path / 'c.parquet'}'")
    con.close()
    for name in ("a.jsonl", "b.csv", "c.parquet"):
        load(lake, tmp_path / name)
    line = '1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /?token=hunter2 HTTP/1.0" 999 2'
    (tmp_path / "access.log").write_text(f"{line}\n")
    ingest(lake, "access_log", [tmp_path / "access.log"], now=NOW)
    rows = contents(lake.quarantine())
    assert len(rows) == 7
    assert [row for row in rows if "hunter2" in row["raw"] + row["reason"]] == []
    assert all("[secret]" in row["raw"] for row in rows)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_long_text_is_cut_stays_distinct_and_is_counted(lake, write, form):
    long = "xxx " * 1_250
    rows = [{"event_id": f"{name}{n}{long}", name: f"{long}{n}", "cost": 1} for name in TEXTS[1:] for n in range(2)]
    exact = {"event_id": "exact", "user": "y" * MAX_TEXT_LENGTH}
    loaded = load(lake, write([*rows, exact], form), suite="")
    assert (loaded.accepted, loaded.shortened) == (len(rows) + 1, len(rows))
    events = contents(lake.events())
    assert max(len(event[name] or "") for event in events for name in TEXTS) == MAX_TEXT_LENGTH
    assert len({event["event_id"] for event in events}) == len(rows) + 1
    assert all(
        len({event[name] for event in events if (event[name] or "").startswith("xxx")}) == 2 for name in TEXTS[1:]
    )
    assert [event["user"] for event in events if event["event_id"] == "exact"] == [exact["user"]]
    again = load(lake, write([*rows, exact], form), suite="")
    assert (again.duplicates, again.shortened) == (len(rows) + 1, 0)


def test_no_reason_has_a_control_character(lake, write):
    odd = ["\n", "\r\n", "\x1b[31m", "\x07", "\u202e", "\u2028", "\x9b2J", "; ", "\x00"]
    load(lake, write({"event_id": f"e{n}", "status": f"9{text}quarantined: 5 x"} for n, text in enumerate(odd)))
    reasons = [row["reason"] for row in contents(lake.quarantine())]
    assert len(reasons) == len(odd)
    assert all(reason.isprintable() for reason in reasons)
    assert all(reason.startswith("status: '9") and reason.endswith("is not a number") for reason in reasons)


@pytest.mark.parametrize(("value", "shown"), [("never", "never"), ("x" * 60, "x" * 40), ("it is: no, not one", None)])
def test_every_reason_of_a_row_is_whole_and_each_value_in_it_is_bounded(lake, write, value, shown):
    columns = ("timestamp", "status", "latency_ms", "time_to_first_token_ms", "input_tokens", "cost")
    load(lake, write([dict.fromkeys(columns, value), {"event_id": "good"}]))
    [row] = contents(lake.quarantine())
    reasons = [reason for reason in row["reason"].split("; ") if "'" in reason]
    assert {reason.split(": '")[0] for reason in reasons} == set(columns)
    assert {reason.split("'")[1] for reason in reasons} == {shown or value}


def special_files(folder):
    os.mkfifo(folder / "pipe.csv")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket.csv"))
    server.close()
    return [folder / "pipe.csv", folder / "socket.csv"]


def test_a_pipe_a_socket_and_a_device_are_refused_without_being_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    for path, kind in zip(
        [*special_files(tmp_path), "/dev/zero"], ["a named pipe", "a socket", "a device"], strict=True
    ):
        with pytest.raises(UnreadableError, match=f"{kind}, and only regular files can be loaded"):
            plan_load("events", [type(tmp_path)(path)], now=NOW)


def test_a_folder_is_read_without_what_leads_out_of_it_and_says_so(lake, tmp_path):
    folder, outside = tmp_path / "in", tmp_path / "out"
    for each in (folder, outside, folder / "deep"):
        each.mkdir()
    head, row = "event_id,timestamp,service,project,status\n", "2026-03-30T10:00:00Z,gw,p,200"
    (folder / "deep/a.csv").write_text(f"{head}a,{row}\n")
    (outside / "b.csv").write_text("hunter2,is,the,password\n")
    (folder / "link.csv").symlink_to(outside / "b.csv")
    (folder / "gone.csv").symlink_to(folder / "nothing.csv")
    (folder / "again.csv").symlink_to(folder / "deep/a.csv")
    (folder / "folder").symlink_to(outside)
    os.mkfifo(folder / "pipe.csv")
    loaded = load(lake, folder)
    assert (loaded.files, loaded.accepted) == (1, 1)
    assert sorted(note.partition(": skipped; ")[::2] for note in loaded.skipped) == sorted([
        (str(folder / "folder"), "it is a link out of the folder; give its target by name to load it"),
        (str(folder / "gone.csv"), "it is a link to nothing"),
        (str(folder / "link.csv"), "it is a link out of the folder; give its target by name to load it"),
        (str(folder / "pipe.csv"), "it is a named pipe"),
    ])  # fmt: skip
    (folder / "deep/a.csv").unlink()
    with pytest.raises(UnreadableError, match=r"no files in it .* skipped"):
        list_files(load_source("events", None, {}), [folder])


FOREIGN = [
    "hunter2", "root:x:0:0:hunter2:/root:/bin/bash", "-----BEGIN PRIVATE KEY-----\nhunter2", "Dear Bob, it is hunter2!",
    "hunter2,the password is above\nx,y", "user=me password=hunter2 host=db", '{"hunter2 is it": 1}', "a;hunter2 = 5;c",
    '["hunter2"]', "hunter2\thunter2\n", "\x1b[31mhunter2,b\n",
]  # fmt: skip


def refusal(lake, source, path):
    """Why a file is not loaded; empty: its rows are in the quarantine, for those who may see them."""
    try:
        loaded = ingest(lake, source, [path], now=NOW)
    except ReportsError as error:
        return str(error)
    assert (loaded.accepted, loaded.quarantined) == (0, loaded.read)
    return ""


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".txt", ".json", ".jsonl", ".log", ""])
def test_an_error_shows_nothing_of_a_file_that_is_something_else(lake, tmp_path, suffix, packed):
    path = tmp_path / f"notes{suffix}{'.gz' * packed}"
    for source in ("events", "access_log", "otel"):
        for text in FOREIGN:
            path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
            assert "hunter2" not in refusal(lake, source, path), (source, text)


def test_the_columns_of_a_table_are_named_where_one_is_missing(lake, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("id,when,Session ID,cost_usd\n1,2,3,4\n")
    with pytest.raises(ReportsError, match=r"no column for event_id; .* it has: id, when, Session ID, cost_usd"):
        load(lake, path)
