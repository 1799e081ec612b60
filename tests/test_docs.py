"""The docs describe every command, option, setting, source and report, and their tables are generated."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from hanzo_reports.cli.app import app
from hanzo_reports.cli.lazy import COMMANDS as LISTED
from hanzo_reports.events import DIMENSIONS
from hanzo_reports.ingest.mapping_file import source_names
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.settings import PREFIX, Settings
from hanzo_reports.units import Grain
from hanzo_reports.window import CALENDAR

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCS = README + "".join(page.read_text(encoding="utf-8") for page in PAGES)


def commands(group, before=""):
    """Every command's full name, with its parsed form."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_its_options_are_described(name):
    assert re.search(rf"`(hanzo-reports )?{name}\b", DOCS), name
    command = COMMANDS[name]
    assert command.help
    assert [p.name for p in command.params if p.param_type_name == "option" and not p.help] == []
    assert [p.opts[0] for p in command.params if p.param_type_name == "option" and not message(p.opts)] == []


def test_the_summary_in_the_list_of_commands_is_that_of_the_command():
    loaded = typer.main.get_command(app).commands
    message = {name: loaded[name].help.partition("\n")[0] for name in loaded}
    assert message == {name: about for name, (_, about) in LISTED.items()}


def message(options):
    return any(option in DOCS for option in options)


def test_every_setting_is_described():
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"`{PREFIX}{name.upper()}`" not in page] == []
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_calendar_range_is_described():
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert [word for word in CALENDAR if f"`{word}`" not in page] == []


def test_every_source_is_described():
    page = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    assert [name for name in source_names() if f"`{name}`" not in page] == []


def test_the_docs_list_every_metric():
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    rows = [f"| `{m.name}` | {m.unit.value} | {m.meaning} | {m.default_threshold or ''} |" for m in CATALOG.values()]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows
    assert [name for name in (*DIMENSIONS, *(grain.value for grain in Grain)) if f"`{name}`" not in page] == []


def check_generated_tables(*pages):
    """Runs cog as `make docs` does, without writing: whether the generated tables are current, and what it prints."""
    command = [sys.executable, "-m", "cogapp", "-I", ROOT / "docs", "--check", *pages]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": ROOT})
    return result.returncode == 0, result.stdout + result.stderr


def test_the_generated_tables_are_current():
    current, output = check_generated_tables(*PAGES)
    assert current, f"run `make docs`: {output}"


@pytest.mark.parametrize("page", ["metrics", "commands", "settings"])
def test_a_generated_table_that_differs_is_noticed(page, tmp_path):
    """A row that is removed or changed by hand, as one that is missing for a new metric, command or setting."""
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    (tmp_path / "page.md").write_text(text.replace(rows[-1] + "\n", ""), encoding="utf-8")
    assert check_generated_tables(tmp_path / "page.md")[0] is False


def test_every_report_is_described():
    page = (ROOT / "docs/reports.md").read_text(encoding="utf-8")
    assert [path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if f"| `{path.stem}` |" not in page] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_reached_from_the_readme():
    assert [page.name for page in PAGES if f"docs/{page.name}" not in README] == []


EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "hanzo_reports").rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings_are_correct(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0
    assert failed == 0
