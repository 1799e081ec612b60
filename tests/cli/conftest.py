"""The command as a person runs it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("hanzo-reports")
NOW = "2026-03-31T12:00:00Z"


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
