"""The command itself: its version, and that it starts in every way a person may start it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

WAYS = {
    "the command": [Path(sys.executable).with_name("hanzo-reports")],
    "python -m": [sys.executable, "-m", "hanzo_reports"],
}


@pytest.mark.parametrize("start", WAYS.values(), ids=WAYS)
def test_the_version_is_printed(start):
    result = subprocess.run([*start, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"hanzo-reports {version('hanzo-reports')}\n"


def test_python_m_answers_as_the_command_does():
    answers = [
        subprocess.run([*start, "metrics", "-f", "json"], capture_output=True, text=True, check=True).stdout
        for start in WAYS.values()
    ]
    assert answers[0] == answers[1]
    assert "requests_per_second" in answers[0]
