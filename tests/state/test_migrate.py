"""Steps of the state's tables: made by Alembic on SQLite and on Postgres, once, and just those that METADATA names."""

import shutil
import subprocess
import sys

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from hanzo_reports import store
from hanzo_reports.errors import StoreError, StoreVersionError
from hanzo_reports.state import database as state
from hanzo_reports.state import inventory, migrate

STEP = """
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = {before!r}

def upgrade():
    op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))
    {more}
"""


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """A function that adds a step to a copy of the migrations whose state has none."""
    folder = tmp_path / "mig 100%" / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder)
    for path in (folder / "state").glob("*.py"):
        path.unlink()
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    monkeypatch.setattr(inventory, "CONTENTS", {})  # no migration of these tests creates its tables

    def add(number, name, more="pass"):
        before = f"{int(number) - 1:04}" if number > "0001" else None
        text = STEP.format(number=number, name=name, before=before, more=more)
        (folder / "state" / f"{number}_{name}.py").write_text(text)

    return add


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request, tmp_path):
    """A function that opens the state of one store, anew each time."""
    if request.param == "sqlite":
        lake = str(tmp_path / "lake")
        store.open(lake, create=True)
        address = lake
    else:
        address = request.getfixturevalue("database")
        store.open(address, create=True)
    engines = []

    def state_of():
        engines.append(store.open(address).state)
        return engines[-1]

    yield state_of
    for engine in engines:
        engine.dispose()


def tables(engine):
    return {name for name in sqlalchemy.inspect(engine).get_table_names() if name in {"one", "two", "three"}}


@pytest.mark.parametrize("tree", ["events", "state"])
def test_steps_are_numbered_in_one_line(tree):
    script = ScriptDirectory(str(migrate.MIGRATIONS), version_locations=[str(migrate.MIGRATIONS / tree)])
    numbers = sorted(step.revision for step in script.walk_revisions())
    assert numbers == [f"{n + 1:04}" for n in range(len(numbers))]
    assert migrate.newest_revision(tree) == (script.get_current_head() or "")
    files = sorted(path.stem[:4] for path in (migrate.MIGRATIONS / tree).glob("*.py"))
    assert files == numbers


def test_the_steps_make_the_tables_of_the_metadata(opened):
    """A failure means: the tables of `store.state.METADATA` were changed; run `make migration NAME=what_it_does`."""
    with opened().connect() as connection:
        own = {"version_table": "state_version", "include_object": _is_of_the_state}
        context = MigrationContext.configure(connection, opts=own)
        assert compare_metadata(context, state.METADATA) == []


def _is_of_the_state(item, name, kind, *_):
    table = name if kind == "table" else item.table.name
    return table not in {"loads", "quarantine", "events_version"} and not table.startswith("events")


def test_pending_steps_are_taken_when_the_state_is_opened(opened, steps):
    assert tables(opened()) == set()
    steps("0001", "one")
    steps("0002", "two")
    assert tables(opened()) == {"one", "two"}
    steps("0003", "three")
    assert tables(opened()) == {"one", "two", "three"}
    assert tables(opened()) == {"one", "two", "three"}


def test_a_step_that_fails_leaves_nothing(opened, steps):
    steps("0001", "one")
    assert tables(opened()) == {"one"}
    steps("0002", "two")
    steps("0003", "three", 'op.execute("SELECT * FROM nothing")')
    with pytest.raises(StoreError, match=r"The state tables of .* cannot be opened: .*nothing"):
        opened()
    steps("0003", "three")
    assert tables(opened()) == {"one", "two", "three"}


def test_a_newer_state_asks_for_an_upgrade(opened, steps):
    steps("0001", "one")
    steps("0002", "two")
    opened()
    (migrate.MIGRATIONS / "state" / "0002_two.py").unlink()
    with pytest.raises(StoreVersionError, match="state tables of version 0002, this package supports 0001; upgrade"):
        opened()


def test_processes_that_open_a_state_at_once_take_each_step_once(tmp_path, steps):
    steps("0001", "one")
    steps("0002", "two", "__import__('time').sleep(0.5)")
    lake = store.open(str(tmp_path / "lake"), create=True)
    code = f"""
import sys
from pathlib import Path
from hanzo_reports import store
from hanzo_reports.state import inventory, migrate
inventory.CONTENTS = {{}}
migrate.MIGRATIONS = Path({str(migrate.MIGRATIONS)!r})
store.open(sys.argv[1]).state.dispose()
"""
    openers = [subprocess.Popen([sys.executable, "-c", code, lake.url], stderr=subprocess.PIPE) for _ in range(4)]
    assert [opener.communicate()[1] for opener in openers] == [b""] * 4
    assert tables(lake.state) == {"one", "two"}
    lake.state.dispose()


def test_a_draft_holds_what_the_metadata_has_and_the_steps_do_not(opened, steps):
    metadata = sqlalchemy.MetaData(naming_convention=state.METADATA.naming_convention)
    sqlalchemy.Table("one", metadata, sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True))
    sqlalchemy.Table(
        "two", metadata, sqlalchemy.Column("name", sqlalchemy.Text, unique=True),
        sqlalchemy.Column("at", sqlalchemy.DateTime(timezone=True), nullable=False),
    )  # fmt: skip
    steps("0001", "one")
    migrate.draft_migration("add two", metadata)
    [path] = (migrate.MIGRATIONS / "state").glob("0002*.py")
    assert path.name == "0002_add_two.py"
    assert "create_table('one'" not in path.read_text()
    engine = opened()
    assert tables(engine) == {"one", "two"}
    with engine.connect() as connection:
        own = {"version_table": "state_version", "include_object": _is_of_the_state}
        assert compare_metadata(MigrationContext.configure(connection, opts=own), metadata) == []
