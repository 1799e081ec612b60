"""The command as a person runs it: in a process of its own, or in this one where it is run often."""

from __future__ import annotations

import json
import os
import subprocess
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
def cli(sample_store, tmp_path):
    """A function that runs the command on the sample store and checks its exit code."""

    def run(*arguments, store=sample_store, code=0, now=NOW, cwd=tmp_path):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HANZO_REPORTS_")}
        settings = {"HANZO_REPORTS_STORE": str(store)} | ({"HANZO_REPORTS_NOW": now} if now else {})
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            check=False, capture_output=True, text=True, env=clean | settings, cwd=cwd, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

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
def run(store, tmp_path, monkeypatch, capsys):
    """A function that runs the command, in this process since it is run so often, allowed to send to this machine."""

    def command(*arguments, code=0, now="2026-03-31T12:00:00+00:00", **settings):
        given = {"store": store, "now": now, "key_file": tmp_path / "secret.key", "allow_hosts": "localhost"} | settings
        with monkeypatch.context() as patched:
            for name, value in given.items():
                patched.setenv(f"HANZO_REPORTS_{name.upper()}", str(value))
            patched.setattr(sys, "argv", ["hanzo-reports", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        done = SimpleNamespace(stdout=said.out, stderr=said.err)
        assert (ended.value.code or 0) == code, done
        return done

    return command
