"""A load resolves its plan once: nothing is listed, opened or parsed twice, and nothing is made before it is."""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hanzo_reports.errors import MappingError, ReportsError
from hanzo_reports.ingest import csv_header, files, mapping_file, plan
from hanzo_reports.ingest.plan import plan_load

HEADER = "event_id,timestamp,service,project,status\n"
MAPPING = 'about = "counted"\n' + mapping_file.SOURCES_FOLDER.joinpath("events.toml").read_text().partition("\n")[2]
NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def logs(tmp_path):
    """A folder of two CSV files, and a mapping for them."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.csv").write_text(f"{HEADER}{name},2026-03-30T10:00:00Z,gw,p,200\n")
    (tmp_path / "own.toml").write_text(MAPPING)
    return folder


def test_a_load_lists_opens_and_parses_each_thing_once(logs, tmp_path, monkeypatch, capsys):
    counts = Counter()

    def count(module, name, key=lambda *_, **__: ""):
        function = getattr(module, name)

        def counted(*args, **kwargs):
            counts[name, key(*args, **kwargs)] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    count(mapping_file.tomllib, "loads", lambda text, **_: "own" if 'about = "counted"' in text else "other")
    count(plan, "list_files")
    count(plan, "load_guard_suite")
    count(files, "_open_file", lambda _, path: path.name)
    count(csv_header.csv, "reader")
    arguments = ["--store", tmp_path / "store", "ingest", "own", logs, "--map", tmp_path / "own.toml"]
    monkeypatch.setattr(sys, "argv", ["hanzo-reports", *map(str, arguments)])
    from hanzo_reports.cli import main  # noqa: PLC0415  # after the counters are in place

    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, capsys.readouterr().err
    assert counts["loads", "own"] == 1
    assert counts["list_files", ""] == counts["load_guard_suite", ""] == 1
    assert {name: number for (function, name), number in counts.items() if function == "_open_file"} == {
        "a.csv": 1,
        "b.csv": 1,
    }
    assert counts["reader", ""] == 2  # a header of each file


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "nosuch"},
        {"mapping_file": "nosuch.toml"},
        {"constants": {"status": "x"}},
        {"paths": ["nosuch.csv"]},
        {"suite": "nosuch"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_plan_that_cannot_be_resolved_makes_no_store(logs, tmp_path, monkeypatch, capsys, wrong):
    arguments = ["ingest", wrong.get("source", "events"), *wrong.get("paths", [logs])]
    arguments += ["--map", wrong["mapping_file"]] if "mapping_file" in wrong else []
    arguments += ["--guard", wrong["suite"]] if "suite" in wrong else []
    arguments += ["--set", "status=x"] if "constants" in wrong else []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["hanzo-reports", "--store", "store", *map(str, arguments)])
    from hanzo_reports.cli import main  # noqa: PLC0415  # as above

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code
    assert capsys.readouterr().err
    assert not Path("store").exists()


def test_a_plan_says_what_a_load_will_do(logs):
    resolved = plan_load("events", [logs], now=NOW, suite="")
    assert [file.path.name for file in resolved.files] == ["a.csv", "b.csv"]
    assert (resolved.label, resolved.suite, resolved.cheap_to_reread) == (str(logs), None, False)
    assert plan_load("events", [logs], now=NOW).suite.name == "events"


_VALUES = ["{}", "[]", "[{}]", "''", "'x'", "1", "-0.5", "true", "nan", "inf", "1979-05-27", "{ a = {} }", "['']"]
_RULE_KEYS = ["from", "value", "join", "sum", "between", "hash", "map", "other", "default", "null", "scale", "time",
              "zone", "part"]  # fmt: skip
_KEYS = ["about", "formats", "pattern", "base", "columns", "only", "rules"]


def _documents():
    """Mappings in which one key has a value of a wrong kind."""
    required = dict.fromkeys(("event_id", "timestamp", "service", "project", "status"), "{ from = 'x' }")
    for value in _VALUES:
        for key in _KEYS:
            columns = "" if key == "columns" else "[columns]\n"
            rest = "" if key == "columns" else "".join(f"{name} = {rule}\n" for name, rule in required.items())
            yield f"{key}={value}", f"{key} = {value}\n{columns}{rest}"
        for column in ("event_id", "timestamp", "cost"):
            for rule in [value, *(f"{{ from = 'x', {key} = {value} }}" for key in _RULE_KEYS[6:]),
                         *(f"{{ {key} = {value} }}" for key in _RULE_KEYS[:6])]:  # fmt: skip
                lines = required | {column: rule}
                yield rule, "[columns]\n" + "".join(f"{name} = {each}\n" for name, each in lines.items())
        for key in ("from", "values", "not"):
            lines = "".join(f"{name} = {rule}\n" for name, rule in required.items())
            start = "" if key == "from" else "from = 'x'\n"
            yield f"only.{key}={value}", f"[columns]\n{lines}[[only]]\n{start}{key} = {value}\n"
        for key in ("newest", "failed_latency_zero_is_null"):
            yield f"rules.{key}={value}", f"[columns]\n{lines}[rules]\n{key} = {value}\n"


def refusal(path):
    """What is wrong with a mapping; empty: it is read."""
    try:
        mapping_file.load_source("own", path, {})
    except MappingError as error:
        return str(error)
    return ""


def test_a_mapping_is_read_or_refused_and_its_file_is_named(tmp_path):
    path, refused = tmp_path / "own.toml", 0
    for name, document in _documents():
        tomllib.loads(document)
        path.write_text(document)
        message = refusal(path)
        assert not message or (str(path) in message and "\n" not in message), (name, message)
        refused += bool(message)
    assert refused > 300


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("'id'", 'event_id: write it as a table like { from = "path" }, not as a text'),
        ("{ from = 'x', map = {} }", "event_id.map: "),
        ("{ sum = [] }", "event_id.sum: "),
        ("{ value = [] }", "event_id.value: give a text, a number, true or false, not a list"),
        ("{ from = 'x', zone = 'Mars' }", "event_id.zone: "),
        ("{ from = 'x', time = '%Q' }", "event_id.time: '%Q' is not a strptime pattern"),
        ("{ from = 'x', scale = inf }", "event_id.scale: Input should be a finite number"),
        ("{ from = 'x', scale = 0.12345678901 }", "event_id.scale: 0.12345678901 has 11 digits"),
    ],
)
def test_a_mistake_of_a_mapping_names_its_key_and_what_to_write(tmp_path, rule, message):
    path = tmp_path / "own.toml"
    path.write_text(mapping_file.SOURCES_FOLDER.joinpath("events.toml").read_text().replace(
        'event_id = { from = "event_id" }', f"event_id = {rule}"))  # fmt: skip
    with pytest.raises(ReportsError) as caught:
        mapping_file.load_source("own", path, {})
    assert f"{path}: columns.{message}" in str(caught.value)


def test_what_a_load_shortens_and_skips_is_printed(logs, tmp_path, monkeypatch, capsys):
    (logs / "c.csv").write_text(HEADER + f"c,2026-03-30T10:00:00Z,{'g' * 2_000},p,200\n")
    (logs / "link.csv").symlink_to(tmp_path / "own.toml")
    arguments = ["--store", tmp_path / "store", "ingest", "events", logs, "--format", "json"]
    monkeypatch.setattr(sys, "argv", ["hanzo-reports", *map(str, arguments)])
    from hanzo_reports.cli import main  # noqa: PLC0415  # as above

    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert not ended.value.code, printed.err
    (counts,) = json.loads(printed.out)
    assert (counts["read"], counts["accepted"], counts["shortened"]) == (3, 3, 1)
    assert f"{logs / 'link.csv'}: skipped; it is a link out of the folder" in printed.err
    assert "shortened: 1 rows had a text of more than 1,000 characters, which was cut" in printed.err
