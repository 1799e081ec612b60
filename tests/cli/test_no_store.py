"""A command that needs a store, on a folder without one, says how to get one, in a line, and creates nothing."""

from __future__ import annotations

import pytest
import typer

from hanzo_reports.cli.app import app

WITHOUT_STORE = {"metrics", "ingest", "init", "copy", "demo", "report list", "report params"}
ARGUMENTS = {
    "export": ["-o", "out.csv"],
    "quarantine export": ["-o", "out.csv"],
    "report run": ["dashboard"],
    "budgets set": ["search", "--monthly", "5"],
    "budgets show": ["search"],
    "budgets remove": ["search"],
    "budgets decide": ["search", "--estimate", "1"],
    "alerts add": ["errors", "-m", "error_rate", "--gt", "5%"],
    "alerts show": ["errors"],
    "alerts remove": ["errors"],
    "alerts enable": ["errors"],
    "alerts disable": ["errors"],
    "alerts test": ["errors"],
    "alerts import": ["rules.yaml"],
    "alerts silence": [],
    "alerts unsilence": ["x"],
    "alerts subscribe": ["budgets"],
    "alerts channels add": ["ops=webhook:https://localhost/x"],
    "alerts channels secret": ["ops"],
    "alerts channels rotate": ["ops"],
    "alerts channels enable": ["ops"],
    "outbox show": ["msg_1"],
    "outbox resend": ["--dead"],
}


def names(group, prefix=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from names(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("name", [n for n in names(typer.main.get_command(app)) if n not in WITHOUT_STORE])
def test_a_command_without_a_store_says_how_to_create_one(cli, tmp_path, name):
    (tmp_path / "rules.yaml").write_text("rules: [{name: a, metric: cost, gt: 5}]")
    result = cli(*name.split(), *ARGUMENTS.get(name, ()), store=tmp_path / "nothing", code=1)
    assert "hanzo-reports init" in result.stderr
    assert str(tmp_path / "nothing") in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rules.yaml"]


def test_the_default_store_is_named_when_none_is_given(cli, tmp_path):
    result = cli("usage", store="", code=1, cwd=tmp_path)
    assert "No store at warehouse" in result.stderr
    assert "hanzo-reports init" in result.stderr
