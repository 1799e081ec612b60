"""The command as a user runs it, in this process."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import hanzo_reports as hr
from hanzo_reports.cli import main

COMMAND = Path(sys.executable).with_name("hanzo-reports")
NOW = "2026-03-31T12:00:00Z"
CHECKED = datetime.fromisoformat(NOW)


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that runs the command in this process, which is fast, and checks its exit code."""

    def run(arguments, settings, code):
        with monkeypatch.context() as patched:
            for name in [name for name in os.environ if name.startswith("HANZO_REPORTS_")]:
                patched.delenv(name)
            for name, value in settings.items():
                patched.setenv(f"HANZO_REPORTS_{name.upper()}", str(value))
            patched.setattr(sys, "argv", ["hanzo-reports", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        message = capsys.readouterr()
        result = SimpleNamespace(stdout=message.out, stderr=message.err)
        assert (ended.value.code or 0) == code, result
        return result

    return run


@pytest.fixture
def cli(command, sample_store, tmp_path, monkeypatch):
    """A function that runs the command on the sample store and checks its exit code."""

    def run(*arguments, store=sample_store, code=0, now=NOW, cwd=tmp_path):
        monkeypatch.chdir(cwd)
        return command(arguments, {"store": store} | ({"now": now} if now else {}), code)

    return run


@pytest.fixture
def store(tmp_path):
    """A store with 100 requests just before CHECKED, twenty of them bad, and none after."""
    rows = [
        {
            "event_id": f"e{n}", "timestamp": (CHECKED - timedelta(seconds=61 + n)).isoformat(), "service": "gateway",
            "project": "search", "model": "gpt-4o" if n < 25 else "small", "status": 500 if n < 20 else 200,
            "cost": "0.06",
        }
        for n in range(100)
    ]  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    workspace = hr.open(str(tmp_path / "warehouse"), now=CHECKED, create=True)
    workspace.ingest("events", [file])
    return tmp_path / "warehouse"


@pytest.fixture
def run(command, store, tmp_path):
    """A function that runs the command on that store, allowed to send to this machine."""

    def run_(*arguments, code=0, now="2026-03-31T12:00:00+00:00", **settings):
        usual = {"store": store, "now": now, "key_file": tmp_path / "secret.key", "allow_hosts": "localhost"}
        return command(arguments, usual | settings, code)

    return run_
