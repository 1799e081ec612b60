"""A state that was emptied, replaced or left behind is noticed by whoever asks it for budgets or rules."""

import json
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import sqlalchemy
from ledger import JULY

from hanzo_reports import store
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.rule_store import list_rules, save_rules
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.budgets.decision import decide
from hanzo_reports.errors import StoreError
from hanzo_reports.state import inventory
from hanzo_reports.state.alert_tables import RULES
from hanzo_reports.state.budget_tables import BUDGETS

LOST = "no budgets, but this store had some.*Restore it from a backup.*To continue without budgets, "


@pytest.fixture(params=["folder", "postgres", "clickhouse", "clickhouse and postgres"])
def reopen(request, tmp_path):
    """A function that opens one store anew, as another process would; `.state` is where its state is."""
    place, state = str(tmp_path / "lake"), str(tmp_path / "state.db")
    if request.param == "postgres":
        place = request.getfixturevalue("database")
    elif request.param != "folder":
        place = request.getfixturevalue("clickhouse")
        state = request.getfixturevalue("database") if "postgres" in request.param else state
    opened = []

    def open_store():
        opened.append(store.open(place, create=True, state=state))
        return opened[-1]

    yield open_store
    for one in opened:
        one.state.dispose()


def set_budget(new_store, project="search"):
    return Budgets(new_store.state).set(Budget(project, Decimal(100), on_exceed="hard_limit"), JULY)


def request(new_store, project="search"):
    return decide(Budgets(new_store.state), new_store, project, 5, event_id="e1", now=JULY)


def empty(new_store, table):
    with new_store.state.begin() as connection:
        connection.execute(sqlalchemy.delete(table))


def test_a_store_that_never_had_budgets_allows(reopen):
    assert request(reopen()).allowed
    assert Budgets(reopen().state).all() == []


def test_an_emptied_state_is_an_error_wherever_it_is_asked(reopen):
    set_budget(reopen())
    assert not decide(Budgets(reopen().state), reopen(), "search", 101, event_id="e", now=JULY).allowed
    empty(reopen(), BUDGETS)
    new_store = reopen()
    for ask in (
        lambda: request(new_store),
        lambda: request(new_store, "another project"),
        lambda: Budgets(new_store.state).all(),
        lambda: Budgets(new_store.state).get("search"),
        lambda: Budgets(new_store.state).remove("search"),
        lambda: set_budget(new_store, "another project"),
    ):
        with pytest.raises(StoreError, match=LOST):
            ask()


def test_the_last_budget_can_be_removed_and_set_again(reopen):
    for _ in range(3):
        set_budget(reopen())
        set_budget(reopen(), "chat")
        Budgets(reopen().state).remove("search")
        assert request(reopen()).allowed
        Budgets(reopen().state).remove("chat")
        assert Budgets(reopen().state).all() == []


def test_a_transaction_that_fails_records_nothing(reopen, monkeypatch):
    new_store = reopen()
    monkeypatch.setattr("hanzo_reports.budgets.budget_store.REVISIONS", BUDGETS)  # the step before the record
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError):
        set_budget(new_store)
    monkeypatch.undo()
    assert Budgets(reopen().state).all() == []


def test_a_request_waits_for_the_commit_of_the_first_budget(reopen, monkeypatch):
    """The inventory of a file is written before the commit: between the two, the table looks emptied."""
    writer, reader, checked = reopen(), reopen(), threading.Event()
    assert request(reader).allowed  # it has opened the state
    has_rows, update = inventory._has_rows, inventory.update_inventory  # noqa: SLF001  # the moment to wait for

    def check_rows(*arguments):
        result = has_rows(*arguments)
        if threading.current_thread() is not threading.main_thread():
            checked.set()
        return result

    with ThreadPoolExecutor(1) as pool:
        requests = []

        def update_and_request(*arguments):
            update(*arguments)
            requests.append(pool.submit(request, reader, "another project"))
            requests[0].add_done_callback(lambda _: checked.set())
            assert checked.wait(60)

        monkeypatch.setattr(inventory, "_has_rows", check_rows)
        monkeypatch.setattr("hanzo_reports.budgets.budget_store.update_inventory", update_and_request)
        set_budget(writer)
        assert requests[0].result(60).allowed


def test_the_removal_of_the_last_budget_during_a_request_is_not_a_loss(reopen, monkeypatch):
    writer, reader = reopen(), reopen()
    set_budget(writer)
    assert request(reader).allowed  # it has opened the state
    has_rows = inventory._has_rows  # noqa: SLF001  # the moment of the removal

    def remove_and_check(*arguments):
        monkeypatch.undo()
        Budgets(writer.state).remove("search")
        return has_rows(*arguments)

    monkeypatch.setattr(inventory, "_has_rows", remove_and_check)
    assert request(reader, "another project").allowed


def test_a_role_that_may_only_read_notices_a_loss(reopen):
    set_budget(reopen())
    empty(reopen(), BUDGETS)
    with reopen().state.connect() as connection:
        statements = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET TRANSACTION READ ONLY"}
        connection.exec_driver_sql(statements[connection.dialect.name])
        with pytest.raises(StoreError, match=LOST):
            inventory.require_rows(connection, BUDGETS)


@pytest.mark.parametrize("reopen", ["folder", "clickhouse"], indirect=True)  # elsewhere the migration records them
def test_budgets_of_an_earlier_version_are_recorded_when_the_state_is_opened(reopen, monkeypatch):
    monkeypatch.setattr("hanzo_reports.budgets.budget_store.update_inventory", lambda *_: None)
    set_budget(reopen())
    monkeypatch.undo()
    empty(reopen(), BUDGETS)
    with pytest.raises(StoreError, match=LOST):
        request(reopen())


def test_rules_are_noticed_as_well(reopen):
    rule = parse_rule({"name": "errors", "metric": "error_rate", "gt": 0.05})
    with reopen().state.begin() as connection:
        assert list_rules(connection) == []
        save_rules(connection, [(rule, [])], JULY, replace_existing=False)
    empty(reopen(), RULES)
    with reopen().state.connect() as connection, pytest.raises(StoreError, match="no alert rules, but"):
        list_rules(connection)
    assert Budgets(reopen().state).all() == []


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)


def test_a_state_file_that_is_gone_or_replaced_is_noticed(lake, tmp_path):
    set_budget(lake)
    lake.state.dispose()
    other = store.open(str(tmp_path / "other"), create=True)
    other.state.dispose()
    path = lake.folder / "state.db"
    backup = path.read_bytes()
    for replace in (path.unlink, lambda: path.write_bytes(b""), lambda: shutil.copy(tmp_path / "other/state.db", path)):
        replace()
        with pytest.raises(StoreError, match=rf"{LOST}delete .*state\.json"):
            request(store.open(lake.url))
    path.write_bytes(backup)
    assert not decide(Budgets(lake.state), lake, "search", 101, event_id="e", now=JULY).allowed


def test_losing_the_budgets_can_be_accepted(lake):
    set_budget(lake)
    lake.state.dispose()
    (lake.folder / "state.db").unlink()
    (lake.folder / "state.json").unlink()
    assert request(store.open(lake.url)).allowed
    set_budget(store.open(lake.url))
    assert json.loads((lake.folder / "state.json").read_text()) == ["budget"]


def test_a_copy_of_the_folder_without_its_state_is_noticed(lake, tmp_path):
    set_budget(lake)
    shutil.copytree(lake.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("state.db*"))
    with pytest.raises(StoreError, match=LOST):
        request(store.open(str(tmp_path / "copy")))


def test_another_setting_of_the_state_is_noticed(clickhouse, tmp_path):
    set_budget(store.open(clickhouse, create=True, state=str(tmp_path / "state.db")))
    with pytest.raises(StoreError, match=r"state in .*elsewhere\.db has no budgets.*ALTER TABLE loads DELETE"):
        request(store.open(clickhouse, state=str(tmp_path / "elsewhere.db")))
    new_store = store.open(clickhouse, state=str(tmp_path / "state.db"))
    assert (new_store.version, new_store.loads()) == ("0", [])


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", "null", "\0"])
def test_a_damaged_record_says_what_it_should_hold(lake, text):
    (lake.folder / "state.json").write_text(text)
    with pytest.raises(StoreError, match=r'state\.json is damaged: .*as \["budget"\]\. Restore or delete it'):
        _ = lake.state


def test_the_migration_records_what_exists(lake):
    set_budget(lake)
    lake.state.dispose()
    path = lake.folder / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE state_inventory")
        connection.execute("UPDATE state_version SET version_num = '0005'")
    connection.close()
    with store.open(lake.url).state.connect() as connection:
        assert connection.exec_driver_sql("SELECT table_name FROM state_inventory").scalars().all() == ["budget"]
