"""Ingest, export and doctor on the command line."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil

import pyarrow.parquet as pq
import pytest

HEADER = "event_id,timestamp,service,project,model,status,input_tokens,output_tokens\n"
GOOD = "a1,2026-03-30T10:00:00Z,gateway,search,gpt-4o,200,1000,100\n"
BAD = "a2,never,gateway,search,gpt-4o,200,1000,100\n"


@pytest.fixture
def log(tmp_path):
    """A file with one good and one bad row."""
    path = tmp_path / "log.csv"
    path.write_text(HEADER + GOOD + BAD)
    return path


def test_a_load_counts_and_keeps_every_row(cli, log, tmp_path):
    store = tmp_path / "w"
    result = cli("ingest", "events", log, "-f", "json", store=store)
    (counts,) = json.loads(result.stdout)
    assert (counts["read"], counts["accepted"], counts["duplicates"], counts["quarantined"]) == (2, 1, 0, 1)
    assert "quarantined: 1 x" in result.stderr
    stored = json.loads(cli("quarantine", "show", "-f", "json", store=store).stdout)
    assert [(row["file"], row["row"], row["raw"]) for row in stored] == [(str(log), 2, BAD.strip())]
    again = json.loads(cli("ingest", "events", log, "-f", "json", store=store).stdout)[0]
    assert (again["accepted"], again["duplicates"], again["quarantined"]) == (0, 1, 1)
    answer = json.loads(cli("usage", "-r", "all", "-f", "json", store=store).stdout)
    assert answer["summary"]["total_requests"] == 1
    assert answer["summary"]["total_cost"] == pytest.approx(0.0035)


def test_constants_and_gzip(cli, tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress((HEADER + GOOD).encode()))
    cli("ingest", "events", path, "--set", "project=mine", "--set", "region=eu", store=tmp_path / "w")
    answer = json.loads(cli("usage", "-r", "all", "--by", "project,region", "-f", "json", store=tmp_path / "w").stdout)
    assert [(row["project"], row["region"]) for row in answer["data"]] == [("mine", "eu")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["evnets", "{log}"], 2, "unknown source 'evnets'; did you mean 'events'?"),
        (["events", "{log}", "--set", "projct=x"], 2, "did you mean 'project'?"),
        (["events", "{log}", "--set", "status=fine"], 2, "'fine' is not a number"),
        (["events", "{log}", "--set", "project"], 2, "give name=value"),
        (["events", "{log}.nope"], 1, "no such file"),
        (["mine", "{log}", "--map", "nowhere.toml"], 2, "nowhere.toml"),
        (["aider", "{log}"], 1, "column"),
        (["events", "{empty}"], 1, "empty"),
    ],
)
def test_an_impossible_load_changes_nothing(cli, log, tmp_path, arguments, code, message):
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    store = tmp_path / "w"
    result = cli("ingest", *(a.format(log=log, empty=empty) for a in arguments), store=store, code=code)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not store.exists() or "events  0" in " ".join(cli("doctor", store=store).stdout.split()).replace(" ", "  ")


def test_a_file_without_a_valid_row_fails_and_quarantines_its_rows(cli, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEADER + BAD)
    result = cli("ingest", "events", path, store=tmp_path / "w", code=1)
    assert "none of the 1 rows" in result.stderr
    assert len(json.loads(cli("quarantine", "show", "-f", "json", store=tmp_path / "w").stdout)) == 1


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet"])
def test_an_export_has_every_row(cli, workspace, tmp_path, form):
    file = tmp_path / f"out.{form}"
    result = cli("export", "--range", "24h", "--format", form, "-o", file)
    rows = workspace.usage("24h", ["requests"]).rows()[0]["requests"]
    assert f"{rows:,} rows" in result.stderr
    facts = {
        "csv": lambda: len(file.read_text().splitlines()) - 1,
        "json": lambda: len(json.loads(file.read_text())["data"]),
        "jsonl": lambda: len([json.loads(line) for line in file.read_text().splitlines()]),
        "parquet": lambda: pq.read_table(file).num_rows,
    }[form]()
    assert facts == rows > 100


def test_an_export_by_group_is_the_answer_to_that_question(cli, workspace, tmp_path):
    cli("export", "-r", "7d", "-f", "json", "--by", "model", "-m", "cost", "-o", tmp_path / "o.json")
    assert (tmp_path / "o.json").read_text().strip() == workspace.usage("7d", ["cost"], by=["model"]).to_json().strip()


def test_an_export_that_fails_leaves_nothing(cli, tmp_path):
    assert "unknown format 'exel'" in cli("export", "-f", "exel", "-o", tmp_path / "o", code=2).stderr
    message = cli("export", "-r", "24h", "-o", tmp_path / "no" / "folder.csv", code=1).stderr
    assert "folder.csv" in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


FORMULAS = ['=HYPERLINK("https://example.com")', "+cmd|' /C calc'!A0", "-1+cmd|' /C calc'!A0", "@SUM(A1)"]


@pytest.mark.parametrize("arguments", [["--by", "model", "-m", "requests"], []], ids=["metrics", "events"])
def test_an_export_is_exact_unless_it_is_for_a_spreadsheet(cli, tmp_path, arguments):
    plain = ["@cf/meta/llama-3", "gpt-4o", "-2.5"]
    rows = [
        {"event_id": f"e{n}", "timestamp": "2026-03-30T10:00:00Z", "service": "gateway", "project": "search",
         "model": model, "status": 200}
        for n, model in enumerate([*FORMULAS, *plain])
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    cli("ingest", "events", tmp_path / "rows.jsonl", store=tmp_path / "w")

    def models(*options):
        cli("export", "-r", "all", "-o", tmp_path / "out.csv", *arguments, *options, store=tmp_path / "w")
        with (tmp_path / "out.csv").open(newline="") as file:
            return {row["model"] for row in csv.DictReader(file)}

    assert models() == {*FORMULAS, *plain}
    safe = models("--spreadsheet")
    assert set(plain) <= safe
    assert not safe & set(FORMULAS)
    assert {model.replace("'", "", 1) for model in safe - set(plain)} == set(FORMULAS)
    result = cli("export", "-f", "json", "--spreadsheet", "-o", tmp_path / "o", store=tmp_path / "w", code=2)
    assert "spreadsheet" in result.stderr


def test_doctor_reports_rows_age_and_versions(cli, workspace):
    (facts,) = json.loads(cli("doctor", "-f", "json").stdout)
    assert facts["events"] == workspace.condition()["events"]
    assert facts["duckdb"].startswith("1.")
    assert "seconds_since_last_event" in cli("doctor").stdout


def test_doctor_without_a_store_still_reports_versions(cli, tmp_path):
    result = cli("doctor", store=tmp_path / "none", code=1)
    assert "duckdb" in result.stdout
    assert "none" in result.stderr


def test_a_store_of_a_newer_version_is_refused(cli, tmp_path, log):
    store = tmp_path / "w"
    cli("ingest", "events", log, store=store)
    described = json.loads((store / "store.json").read_text())
    newer = {key: value + 1 if isinstance(value, int) else value for key, value in described.items()}
    (store / "store.json").write_text(json.dumps(newer))
    assert "newer" in cli("usage", store=store, code=1).stderr


@pytest.mark.parametrize("damage", ["shorter", "other bytes"])
def test_a_damaged_file_of_the_store_is_a_one_line_error(cli, sample_store, tmp_path, damage):
    shutil.copytree(sample_store, tmp_path / "w")
    for path in (tmp_path / "w/events").glob("day=*/*"):
        octets = path.read_bytes()
        path.write_bytes(octets[:-100] if damage == "shorter" else b"x" * len(octets))
    for command in (("usage", "-r", "7d"), ("budgets", "set", "platform", "--monthly", "5"), ("doctor",)):
        answer = cli(*command, store=tmp_path / "w", code=1).stderr
        assert "is damaged" in answer if damage == "shorter" else "A file cannot be read: " in answer
        assert re.search(r"[Rr]estore (it|the file).* from a backup", answer)
        assert answer.count("\n") == 1
        assert "Traceback" not in answer


def test_a_numeric_overflow_is_a_one_line_error(cli, tmp_path):
    row = {"request_id": "a", "startTime": "2026-03-30T10:00:00Z", "model": "m", "prompt_tokens": 9 * 10**18}
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({**row, "request_id": name}) for name in "ab"))
    cli("ingest", "litellm", tmp_path / "rows.jsonl", "--no-guard", store=tmp_path / "w")
    answer = cli("usage", "-r", "all", store=tmp_path / "w", code=1).stderr
    assert answer.startswith("hanzo-reports: Numeric overflow; narrow the query with --where or --range (")
    assert answer.endswith(")\n")


@pytest.mark.parametrize("time", ["infinity", "-infinity", "12000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_an_invalid_time_is_quarantined_and_other_rows_are_loaded(cli, tmp_path, time):
    rows = [{"request_id": name, "startTime": at} for name, at in (("a", time), ("b", "2026-03-30T10:00:00Z"))]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (result,) = json.loads(cli("ingest", "litellm", tmp_path / "rows.jsonl", "-f", "json", store=tmp_path / "w").stdout)
    assert (result["accepted"], result["quarantined"]) == (1, 1)
