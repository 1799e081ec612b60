"""A Delta table whose log or files are damaged is never read as one with fewer events."""

import json
import shutil

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake

from hanzo_reports import atomic_write, store
from hanzo_reports.errors import ReportsError, StoreError

COMMITS = 4  # loads of three events each; commit 0 creates the table


@pytest.fixture
def loaded(lake, events):
    """A store with four loads of three events."""
    for number in range(COMMITS):
        lake.append(events([f"{number}{letter}" for letter in "abc"]), {"load_id": str(number)})
    return lake


def commit_path(new_store, number):
    return new_store.folder / "events" / "_delta_log" / f"{number:020}.json"


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def count(new_store):
    return new_store.events().count().to_pyarrow().as_py()


def readers(new_store, events):
    """Everything that reads the events, in a store that is opened anew."""
    again = store.open(new_store.url)
    return [
        again.events,
        lambda: again.version,
        again.loads,
        again.compact,
        lambda: again.append(events("z"), {}),
        lambda: hasattr(store.open(store.address_for_engine(new_store.url, "spark")), "version"),
    ]


def assert_damaged(new_store, events, *words):
    for read in readers(new_store, events):
        with pytest.raises(StoreError, match="is damaged") as caught:
            read()
        text = str(caught.value)
        assert "\n" not in text
        assert "backup" in text
        assert [word for word in words if word not in text] == []


DAMAGE = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "blank": (lambda path: path.write_bytes(b"\n \n"), "is empty"),
    "an empty object": (lambda path: path.write_bytes(b"{}\n"), "holds no action"),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "cut off or not JSON"),
    "another file's text": (lambda path: path.write_bytes(b"hello\n"), "cut off or not JSON"),
    "cut off in a line": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "cut off or not JSON"),
    "cut off between lines": (lambda path: path.write_bytes(lines(path)[0]), "names 0 of the 1 data files"),
    "missing": (lambda path: path.unlink(), ""),
}


@pytest.mark.parametrize("number", [1, 2, COMMITS])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_commit_is_named_and_never_read_as_fewer_events(loaded, events, kind, number):
    damage, word = DAMAGE[kind]
    damage(commit_path(loaded, number))
    newest_missing = kind == "missing" and number == COMMITS
    named = f"commit {COMMITS} was made" if newest_missing else commit_path(loaded, number).name
    assert_damaged(loaded, events, named, word)


def test_a_commit_that_becomes_damaged_while_a_process_reads_is_noticed(loaded):
    assert count(loaded) == 3 * COMMITS
    commit_path(loaded, 2).write_bytes(b"")
    with pytest.raises(StoreError, match="its commit 2 is empty"):
        loaded.events()


@pytest.mark.parametrize("number", [1, COMMITS])
def test_a_commit_of_an_earlier_version_of_the_package_that_lost_its_files(loaded, number):
    info, *actions = lines(commit_path(loaded, number))
    plain = json.loads(info)
    del plain["commitInfo"]["files"]
    commit_path(loaded, number).write_text(json.dumps(plain) + "\n" + b"".join(actions).decode())
    assert count(store.open(loaded.url)) == 3 * COMMITS
    commit_path(loaded, number).write_text(json.dumps(plain) + "\n")
    with pytest.raises(StoreError, match="names no data file, although its load accepted 3 rows"):
        store.open(loaded.url).events()


def test_a_compaction_that_lost_some_of_its_actions(loaded, events):
    loaded.append(events("xyz"), {})
    assert loaded.compact() > 0
    path = commit_path(loaded, int(loaded.version))
    path.write_bytes(b"".join(lines(path)[:-1]))
    with pytest.raises(StoreError, match="data files it was written with"):
        store.open(loaded.url).events()


def test_missing_newest_commits_can_be_accepted_and_their_events_loaded_again(loaded, events, ids):
    for number in (3, 4):
        commit_path(loaded, number).unlink()
    with pytest.raises(StoreError, match=r"newest commit is 2, but commit 4 was made.*delete .*versions\.json"):
        loaded.events()
    (loaded.folder / "versions.json").unlink()
    assert count(loaded) == 6
    assert loaded.append(events(["2a", "2b", "2c", "3a", "3b", "3c", "0a"]), {}).accepted == 6
    assert len(ids(store.open(loaded.url))) == 3 * COMMITS


def test_a_commit_that_lost_its_actions_can_be_replaced_and_its_events_loaded_again(loaded, events, ids):
    """As docs/operations.md says."""
    commit_path(loaded, 2).write_bytes(b"")
    commit_path(loaded, 2).write_text('{"commitInfo":{}}\n')
    assert count(loaded) == 9
    assert loaded.append(events(["1a", "1b", "1c", "2a"]), {}).accepted == 3
    assert len(ids(loaded)) == 3 * COMMITS


def test_a_data_file_that_is_missing_or_shorter_is_named(loaded, events):
    [first, second, *_] = sorted(loaded.folder.glob("events/day=*/*"))
    content = second.read_bytes()
    for damage in (lambda: second.write_bytes(b""), lambda: second.write_bytes(content[:-9]), second.unlink):
        damage()
        again = store.open(loaded.url)
        for read in (again.events, lambda: again.append(events("z"), {})):  # noqa: B023  # called at once
            with pytest.raises(StoreError, match=rf"is damaged: .*{second.name}.* from a backup") as caught:
                read()
            assert first.name not in str(caught.value)
    second.write_bytes(content)
    assert count(loaded) == 3 * COMMITS


def test_a_missing_data_file_can_be_given_up_and_its_events_loaded_again(loaded, events, ids):
    """As docs/operations.md says."""
    next(loaded.folder.glob("events/day=*/*")).unlink()
    DeltaTable(loaded.folder / "events").repair()
    assert count(loaded) == 9
    everything = [f"{number}{letter}" for number in range(COMMITS) for letter in "abc"]
    assert loaded.append(events(everything), {}).accepted == 3
    assert ids(loaded) == everything


def checkpointed(new_store, events):
    """The same store with a checkpoint at its newest commit, and another load."""
    DeltaTable(new_store.folder / "events").create_checkpoint()
    new_store.append(events("xyz"), {})
    return new_store.folder / "events" / "_delta_log"


def test_commits_before_a_checkpoint_are_not_needed(loaded, events):
    checkpointed(loaded, events)
    for number in range(COMMITS + 1):
        commit_path(loaded, number).unlink()
    assert count(store.open(loaded.url)) == 3 * COMMITS + 3
    commit_path(loaded, COMMITS + 1).write_bytes(b"")
    assert_damaged(loaded, events, "is empty", f"commit {COMMITS + 1} ")


@pytest.mark.parametrize("hint", [None, b"", b"\0\0", b'{"version": "x"}', b"[]"])
def test_the_hint_at_the_checkpoint_is_optional(loaded, events, hint):
    log = checkpointed(loaded, events)
    commit_path(loaded, 1).unlink()
    (log / "_last_checkpoint").unlink() if hint is None else (log / "_last_checkpoint").write_bytes(hint)
    assert count(store.open(loaded.url)) == 3 * COMMITS + 3
    commit_path(loaded, COMMITS + 1).write_bytes(b"")
    with pytest.raises(StoreError, match="is empty"):
        store.open(loaded.url).events()


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(bytes(100))])
def test_a_damaged_checkpoint(loaded, events, damage):
    log = checkpointed(loaded, events)
    damage(next(log.glob("*.checkpoint.parquet")))
    assert_damaged(loaded, events, "_delta_log")


def test_the_record_is_read_before_the_table_so_that_a_load_in_between_is_not_damage(loaded, events, monkeypatch):
    read = type(loaded._events.log).recorded_version  # noqa: SLF001  # the moment in between
    other = store.open(loaded.url)

    def overtaken(log):
        version = read(log)
        monkeypatch.undo()
        other.append(events("xyz"), {})
        return version

    monkeypatch.setattr(type(loaded._events.log), "recorded_version", overtaken)  # noqa: SLF001
    assert count(loaded) == 3 * COMMITS + 3


@pytest.fixture
def versions(lake):
    return lambda: json.loads((lake.folder / "versions.json").read_text())


def test_every_kind_of_commit_is_recorded(loaded, events, bad_rows, versions):
    assert versions()["events"] == COMMITS
    loaded.append(events(["0a", "new"]), {})
    loaded.add_to_quarantine(bad_rows("ab"))
    loaded.release(["a"])
    loaded.compact()
    tables = {name: DeltaTable(loaded.folder / name).version() for name in ("events", "quarantine")}
    assert versions() == tables
    assert tables["events"] > COMMITS + 1


@pytest.mark.parametrize("recorded", [None, 1])
def test_a_commit_whose_writer_died_before_it_was_recorded_is_recorded_by_the_next(loaded, events, versions, recorded):
    path = loaded.folder / "versions.json"
    path.unlink() if recorded is None else path.write_text(json.dumps({"events": recorded}))
    assert count(store.open(loaded.url)) == 3 * COMMITS
    store.open(loaded.url).append(events("x"), {})
    assert versions()["events"] == COMMITS + 1


def test_a_load_that_cannot_be_recorded_is_a_load_all_the_same(loaded, events, monkeypatch):
    def full(*_):
        raise ReportsError

    monkeypatch.setattr(atomic_write, "open_file", full)
    assert loaded.append(events("x"), {}).accepted == 1
    assert count(store.open(loaded.url)) == 3 * COMMITS + 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"events": "5"}', '{"events": true}', "\0\0\0"])
def test_a_damaged_record_says_what_it_should_hold(loaded, text):
    (loaded.folder / "versions.json").write_text(text)
    with pytest.raises(StoreError, match=r'should hold the newest versions, as \{"events": 12\}. Restore or delete it'):
        store.open(loaded.url).events()


def test_a_copied_folder_is_a_store_with_or_without_the_record(loaded, events, tmp_path):
    for name in ("whole", "partial"):
        shutil.copytree(loaded.folder, tmp_path / name)
    (tmp_path / "partial" / "versions.json").unlink()
    shutil.rmtree(loaded.folder)
    for name in ("whole", "partial"):
        copy = store.open(str(tmp_path / name))
        assert count(copy) == 3 * COMMITS
        assert copy.append(events("x"), {}).accepted == 1


def test_commits_of_other_tools_are_read(loaded, events):
    table = DeltaTable(loaded.folder / "events")
    table.optimize.compact()
    table.vacuum(dry_run=False)
    commit_path(loaded, table.version() + 1).write_text('{"commitInfo":{"operation":"VACUUM END"}}\n')
    assert count(store.open(loaded.url)) == 3 * COMMITS
    assert loaded.append(events("x"), {}).accepted == 1


def test_a_table_of_something_else_is_named(loaded):
    shutil.rmtree(loaded.folder / "events")
    (loaded.folder / "versions.json").unlink()
    write_deltalake(loaded.folder / "events", duckdb.sql("SELECT 1 AS x").to_arrow_table())
    with pytest.raises(StoreError, match="events is not a table of this store: it lacks the column event_id"):
        store.open(loaded.url).events()
