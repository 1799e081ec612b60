"""The floors of the house: who may import whom, and what a plain import may cost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"altair", "deltalake", "duckdb", "genai_prices", "great_expectations", "ibis", "numpy", "pandas", "papermill",
         "pyarrow", "sqlalchemy"}  # fmt: skip


def modules_after(statement):
    """The modules that a new interpreter holds after one statement."""
    code = f"import sys, json\n{statement}\njson.dump(sorted(sys.modules), sys.__stdout__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(json.loads(done.stdout))


def test_the_contracts_are_kept():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module",
    ["hanzo_reports", "hanzo_reports.settings", "hanzo_reports.window", "hanzo_reports.store"],
)
def test_a_plain_import_is_light(module):
    assert not modules_after(f"import {module}") & HEAVY


def test_heaviness_is_noticed():
    assert modules_after("import hanzo_reports.metrics.catalog") & HEAVY


def test_an_import_has_no_effects(tmp_path):
    """Every module imported in an empty folder, with network and environment out of reach, leaves nothing behind."""
    code = """
import os, pkgutil, socket, importlib, hanzo_reports
def refused(*_, **__): raise AssertionError("an import opened a socket")
socket.socket.connect = refused
before = dict(os.environ)
for found in pkgutil.walk_packages(hanzo_reports.__path__, "hanzo_reports."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
        print(found.name)
assert dict(os.environ) == before
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "hanzo_reports.window" in done.stdout.split()
    assert not list(tmp_path.iterdir())


def test_a_dashboard_needs_no_pandas_and_a_plan_no_engine(sample_store):
    board = f"""import sys, hanzo_reports as hr
from hanzo_reports.dashboards.overview import OverviewDashboard
board = OverviewDashboard(hr.open({str(sample_store)!r}, now="2026-03-31T12:00:00Z"))
for part in (board.tiles(), board.volume(), board.ranking("model", "cost"), board.changes(), board.latency(),
             board.health(), board.downloads(), board.takeaway()):
    part._repr_mimebundle_()
print(*sorted({{"altair", "pandas", "sqlalchemy", "pyarrow.parquet"}} & set(sys.modules)))"""
    plan = f"""import sys
from hanzo_reports import store
found = store.open({str(sample_store)!r})
found.version, found.loads()
print(*sorted({{"duckdb", "ibis", "pandas"}} & set(sys.modules)))"""
    for code in (board, plan):
        assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"
