"""Text from logs meets a terminal only in escaped form: in tables, notes, errors, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hanzo_reports as hr
from hanzo_reports.cli import output, run
from hanzo_reports.errors import ReportsError

COMMAND = Path(sys.executable).with_name("hanzo-reports")
NOW = "2026-03-31T12:00:00Z"
CLIPBOARD = "\x1b]52;c;aGFjaw==\x07"  # OSC 52 writes the clipboard
HOSTILE = [
    "gpt[/b]", "[red]x[/red]", "x", ":smile:", f"gpt{CLIPBOARD}", "a\x9b31mb", "abc\u202edef", "two\nlines", "a\rb",
    "\u200bzero", "[link=https://example.com]y[/link]", "tab\there",
]  # fmt: skip


def unsafe(text):
    """The characters of a text that a terminal obeys, and those that nobody sees."""
    return [c for c in text if c != "\n" and (unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"})]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


def show(function, *arguments):
    """What a function prints on stdout and stderr at a terminal that has no styles of ours."""
    screen = Terminal()
    with redirect_stdout(screen), redirect_stderr(screen), patch.dict(os.environ, TERM="dumb"):
        function(*arguments)
    return screen.getvalue()


@pytest.fixture(scope="module")
def hostile_store(tmp_path_factory):
    """A store with an event for each of the hostile names, as model, as project and as user, and a row that is none."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {
            "event_id": f"e{n}", "timestamp": "2026-03-31T10:00:00Z", "service": "gateway", "project": name,
            "model": name, "user": name, "status": 200, "cost": "0.06", "input_tokens": 5,
        }
        for n, name in enumerate(HOSTILE)
    ]  # fmt: skip
    rows.append({"event_id": f"bad{CLIPBOARD}", "timestamp": f"never{CLIPBOARD}", "project": "[/b]"})
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, rows)))
    hr.open(folder / "w", now=NOW, create=True).ingest("events", [folder / "events.jsonl"])
    return folder / "w"


COMMANDS = [
    ("usage", "-r", "all", "--by", "model"),
    ("costs", "-r", "all", "--by", "project"),
    ("health", "-r", "all", "--by", "user"),
    ("quarantine", "list"),
    ("quarantine", "show"),
    ("anomalies",),
    ("guard", "events"),
    ("guard", "events", "-f", "json"),
    ("budgets", "set", f"evil{CLIPBOARD}", "--monthly", "5"),
    ("budgets", "list"),
    ("budgets", "status"),
    ("budgets", "decide", f"evil{CLIPBOARD}", "--estimate", "1"),
    ("alerts", "add", "a", "-m", "cost", "--gt", "1", "-w", f"model=gpt{CLIPBOARD}"),
    ("alerts", "show", "a"),
    ("alerts", "export"),
    ("doctor",),
]


def at_a_terminal(arguments, store):
    """What a command shows at a real terminal."""
    main, worker = pty.openpty()
    environment = os.environ | {"HANZO_REPORTS_STORE": str(store), "HANZO_REPORTS_NOW": NOW, "NO_COLOR": "1",
                                "TERM": "dumb", "COLUMNS": "200"}  # fmt: skip
    with subprocess.Popen([COMMAND, *arguments], stdout=worker, stderr=worker, env=environment) as process:
        os.close(worker)
        shown = b""
        while True:
            try:
                part = os.read(main, 65_536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
        code = process.wait()
    os.close(main)
    return shown.decode().replace("\r\n", "\n"), code


def test_no_command_passes_control_characters_to_the_terminal(hostile_store, monkeypatch):
    from hanzo_reports.cli.app import app  # noqa: PLC0415  # as the command loads it

    monkeypatch.setenv("HANZO_REPORTS_STORE", str(hostile_store))
    monkeypatch.setenv("HANZO_REPORTS_NOW", NOW)
    monkeypatch.setenv("COLUMNS", "300")
    for arguments in COMMANDS:
        forms = [[], ["-f", "csv"], ["-f", "json"]] if arguments[0] in {"usage", "costs", "health"} else [[]]
        for form in forms:
            monkeypatch.setattr(sys, "argv", ["hanzo-reports", *arguments, *form])
            shown = show(run, app)
            assert unsafe(shown) == [], (arguments, form)
            assert "Traceback" not in shown


def test_a_real_terminal_shows_names_as_they_are_spelled(hostile_store):
    shown, code = at_a_terminal(["usage", "-r", "all", "--by", "model", "-m", "requests"], hostile_store)
    assert (code, unsafe(shown)) == (0, [])
    cells = [line.split()[0] for line in shown.splitlines() if line.strip().endswith(" 1")]
    assert {"gpt[/b]", "[red]x[/red]", "x", ":smile:", "[link=https://example.com]y[/link]"} <= set(cells)
    assert r"gpt\x1b]52;c;aGFjaw==\x07" in shown
    assert r"abc\u202edef" in shown
    assert len(cells) == len(set(cells)) == len(HOSTILE)  # no two groups look alike


def test_a_file_or_a_pipe_gets_exact_csv_and_json(hostile_store, command):
    settings = {"store": hostile_store, "now": NOW}
    query = ["usage", "-r", "all", "--by", "model", "-m", "requests", "-f"]
    rows = list(csv.DictReader(io.StringIO(command([*query, "csv"], settings, 0).stdout, newline="")))
    assert {row["model"] for row in rows} == set(HOSTILE)
    document = json.loads(command([*query, "json"], settings, 0).stdout)
    assert {row["model"] for row in document["data"]} == set(HOSTILE)


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_every_way_to_print_is_safe_for_any_text(text):
    rows = [{"name": text, "lines": [text, text], "amount": 1}]

    assert unsafe(show(output.print_note, text)) == []
    assert show(output.print_note, text).count("\n") == 1  # a name cannot forge a line
    assert show(output.print_error, ReportsError(text)).count("\n") == 1
    assert unsafe(show(output.print_error, ReportsError(text))) == []
    assert unsafe(show(output.print_traceback, ValueError(text))) == []
    assert unsafe(show(output.print_text, text)) == []
    for form in ("table", "csv", "json"):
        assert unsafe(show(output.print_rows, rows, form, ("name", "lines", "amount"))) == []
        assert unsafe(show(output.print_money_rows, [{"name": text, "amount": 1}], form)) == []
    shown = show(output.print_json, json.dumps({"name": text}, ensure_ascii=False))
    assert (unsafe(shown), json.loads(shown)) == ([], {"name": text})


@pytest.mark.parametrize("text", HOSTILE)
def test_any_error_is_one_line_of_its_own(text):
    def fail(**_):
        msg = f"unknown model {text}"
        raise ReportsError(msg)

    shown = show(run, fail)
    assert shown.startswith("hanzo-reports: unknown model ")
    assert (shown.count("\n"), unsafe(shown)) == (1, [])


def test_an_error_of_the_command_line_itself_is_escaped(hostile_store):
    for arguments in (
        ["usage", CLIPBOARD],
        [f"us{CLIPBOARD}"],
        ["usage", f"--ra{CLIPBOARD}"],
    ):
        shown, code = at_a_terminal(arguments, hostile_store)
        assert (code, unsafe(shown)) == (2, [])
        assert r"\x1b]52" in shown
