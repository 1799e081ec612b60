"""Stores made and copied from the command line, and a whole life in Postgres."""

import csv
import io
import json

import pytest
from postgres_server import PASSWORD


@pytest.fixture
def owner(postgres, database):
    """The address of a database of a role that must give its password; and the same address without it."""
    role, name = postgres.role(), database.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} OWNER TO {role}")
    return postgres.address(name, role, PASSWORD), postgres.address(name, role)


def cells(result):
    """The cells of a CSV answer: numbers as such, floats to 1e-9."""
    texts = [cell for row in csv.reader(io.StringIO(result.stdout)) for cell in row]
    return [pytest.approx(float(text), rel=1e-9) if text[:1].isdigit() else text for text in texts]


def test_init_creates_a_store_and_does_not_change_an_existing_one(cli, database, tmp_path):
    for place in (database, tmp_path / "lake"):
        for outcome in ("ready", "a store exists here already; nothing was changed"):
            result = cli("init", "--store", place)
            assert (result.stdout, result.stderr) == ("", f"{place}: {outcome}\n")
    assert cli("--store", tmp_path / "other", "init").stderr == f"{tmp_path / 'other'}: ready\n"


def test_every_command_works_in_postgres(cli, owner, sample_store, tmp_path):
    """Init, load, ask, export, quarantine, doctor and report, by a role with a password, which is shown nowhere."""
    address, shown = owner
    outputs = []

    def run(*arguments, code=0):
        result = cli(*arguments, store=address, code=code)
        outputs.append(result.stdout + result.stderr)
        return result

    run("init")
    events = tmp_path / "events.csv"
    cli("export", "--range", "all", "-o", events, store=sample_store)
    events.write_text(events.read_text() + "odd,never,gateway\n")
    rows = json.loads(run("ingest", "events", events, "--format", "json").stdout)[0]
    assert (rows["read"], rows["quarantined"], rows["accepted"]) == (rows["accepted"] + 1, 1, rows["read"] - 1)
    for question in ("usage", "costs", "health"):
        query = (question, "--range", "all", "--by", "project", "--format", "csv")
        ours, lakes = cells(run(*query)), cells(cli(*query))
        assert ours == lakes
        assert len(ours) > 10
    run("export", "--range", "all", "-o", tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_text().count("\n") == rows["accepted"] + 1
    assert "1 rows in quarantine" in run("quarantine", "list").stderr
    doctor = json.loads(run("doctor", "--format", "json").stdout)[0]
    assert (doctor["store"], doctor["events"], doctor["quarantined"]) == (shown, rows["accepted"], 1)
    page = run("report", "run", "dashboard", "--out", tmp_path / "reports").stdout.strip()
    outputs.append(run("copy", "--from", address, "--to", tmp_path / "copy").stdout)
    files = [path for path in (tmp_path / "reports").rglob("*") if path.is_file()]
    manifest = json.loads(next(path for path in files if path.name == "manifest.json").read_text())
    assert manifest["store"]["url"] == manifest["parameters"]["store"] == shown
    assert page.endswith("report.html")
    written = "".join(path.read_text(errors="replace") for path in files if path.suffix in {".json", ".ipynb", ".html"})
    for secret in (PASSWORD, address.partition(":")[2].partition("@")[0].rpartition(":")[2]):
        assert secret not in written
        assert secret not in "".join(outputs)


def test_an_error_is_one_line_without_a_secret(cli, owner):
    address, shown = owner
    wrong = address.replace("s3cret", "s3cret-wrong")
    for place, code, message in (
        (wrong, 1, "password authentication failed"),
        (address, 1, f"No store at {shown}; run `hanzo-reports init"),
        ("postgresql://ann:s3cret@127.0.0.1:1/x", 1, "refused"),
        ("postgresql://ann:s3/cret@127.0.0.1/x", 1, "cannot be parsed"),
    ):
        for command in (("usage",), ("doctor",), ("report", "run", "dashboard")):
            result = cli(*command, store=place, code=code)
            assert message in result.stderr
            assert "s3" not in result.stdout + result.stderr.replace(message, "")
            assert result.stderr.count("\n") == 1


def test_copy_compares_both_sides(cli, database, sample_store, tmp_path):
    result = cli("copy", "--from", sample_store, "--to", database, "--format", "json")
    rows = {row["what"]: row for row in json.loads(result.stdout)}
    assert rows["events"]["from"] == rows["events"]["to"] > 10_000
    assert all(row["equal"] for row in rows.values())
    assert {"input_tokens", "cost", "quarantined"} <= rows.keys()
    again = cli("copy", "--from", database, "--to", tmp_path / "lake")
    assert f"{rows['events']['to']:,} events copied" in again.stderr
    assert "made-up" in cli("doctor", store=database).stdout or "synthetic" in cli("doctor", store=database).stdout


def test_a_difference_after_a_copy_has_exit_code_1(cli, sample_store, tmp_path):
    (tmp_path / "one.csv").write_text(
        "event_id,timestamp,service,project,status\nx,2026-03-30T00:00:00Z,gateway,search,200\n"
    )
    cli("ingest", "events", "one.csv", store=tmp_path / "other")
    result = cli("copy", "--from", sample_store, "--to", tmp_path / "other", code=1)
    assert "differ on 1 days (2026-03-30); copy again" in result.stderr
    assert cli("copy", "--from", tmp_path / "other", "--to", tmp_path / "other", code=2).stdout == ""
    assert "No store at" in cli("copy", "--from", tmp_path / "none", "--to", tmp_path / "x", code=1).stderr
    assert not (tmp_path / "x").exists()
