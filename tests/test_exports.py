"""The public names: few, listed, and there."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import hanzo_reports


def test_the_public_names_are_few_and_sorted():
    assert 1 <= len(hanzo_reports.__all__) <= 15
    assert len(set(hanzo_reports.__all__)) == len(hanzo_reports.__all__)


def test_every_public_name_resolves():
    assert {name for name in hanzo_reports.__all__ if getattr(hanzo_reports, name, None) is None} == set()


def test_what_is_exported_is_what_dir_shows():
    shown = {name for name in dir(hanzo_reports) if not name.startswith("_")}
    assert shown == {name for name in hanzo_reports.__all__ if not name.startswith("_")}


def test_a_star_import_gives_the_public_names():
    names: dict[str, object] = {}
    exec("from hanzo_reports import *", names)  # noqa: S102  # a star import is only allowed at module level
    assert set(names) - {"__builtins__"} == set(hanzo_reports.__all__)


def test_every_public_name_is_documented():
    assert [name for name in hanzo_reports.__all__ if not inspect.getdoc(getattr(hanzo_reports, name))] == []


def test_type_checkers_see_the_same_names():
    stub = ast.parse(Path(hanzo_reports.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported = {alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    listed = next(ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    typed = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert imported == set(listed) == set(hanzo_reports.__all__)
    assert typed == {"__version__"}


def test_the_version_is_that_of_the_distribution():
    assert hanzo_reports.__version__ == version("hanzo-reports")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hanzo_reports' has no attribute 'usages'"):
        hanzo_reports.usages  # noqa: B018  # the access is the test


def test_a_bare_import_loads_no_engine_and_no_parser():
    code = "import sys; before = set(sys.modules); import hanzo_reports; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"ast", "ibis", "pandas", "pyarrow", "typer"} & set(loaded)


def test_python_m_is_the_command_line():
    arguments = ["usage", "--format", "yaml"]
    process = subprocess.run(
        [sys.executable, "-m", "hanzo_reports", *arguments], check=False, capture_output=True, text=True
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("hanzo-reports: unknown format 'yaml'")
