import json

import pytest

from hanzo_reports import store
from hanzo_reports.errors import StoreError, StoreVersionError
from hanzo_reports.events import SCHEMA


def test_a_new_store_is_empty_and_has_the_schema(tmp_path):
    new_store = store.open(str(tmp_path / "deep" / "lake"), create=True)
    assert dict(new_store.events().schema().items()) == {name: new_store.events()[name].type() for name in SCHEMA}
    assert list(new_store.events().schema()) == list(SCHEMA)
    assert new_store.events().count().to_pyarrow().as_py() == 0
    assert new_store.version == "0"
    assert new_store.loads() == []


def test_creating_twice_keeps_what_is_there(tmp_path, events, ids):
    store.open(str(tmp_path / "lake"), create=True).append(events("abc"), {})
    assert ids(store.open(str(tmp_path / "lake"), create=True)) == ["a", "b", "c"]


def test_a_creation_that_was_cut_off_is_finished(tmp_path):
    new_store = store.open(str(tmp_path), create=True)
    (tmp_path / "store.json").unlink()
    with pytest.raises(StoreError, match="No store at"):
        store.open(new_store.url)
    assert store.open(new_store.url, create=True).events().count().to_pyarrow().as_py() == 0


def test_a_file_address(tmp_path):
    store.open(f"file://{tmp_path}", create=True)
    assert store.open(str(tmp_path)).version == "0"


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_what_is_no_store(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=f"No store at .*{name}. Create one with `hanzo-reports init`"):
        store.open(str(tmp_path / name))
    assert not (tmp_path / "missing").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(StoreError, match=r"thesis\.txt.*empty folder"):
        store.open(str(tmp_path), create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_place_where_nothing_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="No store can be created in"):
        store.open(str(tmp_path / "file" / "lake"), create=True)


def test_a_newer_store_asks_for_an_upgrade(lake, tmp_path):
    (tmp_path / "lake" / "store.json").write_text(json.dumps({"format": 2}))
    for create in (False, True):
        with pytest.raises(StoreVersionError, match="format 2, this package supports 1; upgrade"):
            store.open(lake.url, create=create)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_damaged_store_file_says_what_it_should_hold(lake, tmp_path, text):
    (tmp_path / "lake" / "store.json").write_text(text)
    with pytest.raises(StoreError, match=r'should hold \{"format": 1\}'):
        store.open(lake.url)


def test_a_lost_log_is_a_damaged_store(lake, tmp_path):
    for path in (tmp_path / "lake" / "events" / "_delta_log").iterdir():
        path.unlink()
    with pytest.raises(StoreError, match="events is damaged"):
        store.open(lake.url).events()


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ({"minReaderVersion": 2, "minWriterVersion": 5}, "columnMapping"),
        (
            {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["v2Checkpoint", "deletionVectors"],
                "writerFeatures": ["v2Checkpoint", "deletionVectors"],
            },
            "deletionVectors",
        ),
    ],
)
def test_a_table_that_another_tool_gave_features_is_not_read_as_if_it_had_none(lake, tmp_path, events, protocol, says):
    lake.append(events("ab"), {})
    log = tmp_path / "lake" / "events" / "_delta_log"
    (log / f"{len(list(log.iterdir())):020}.json").write_text(json.dumps({"protocol": protocol}) + "\n")
    for read in (lake.events, lambda: lake.append(events("c"), {}), lake.compact):
        with pytest.raises(StoreError, match=rf"not supported here \({says}\). Drop them there"):
            read()


def test_other_addresses_are_named():
    with pytest.raises(StoreError, match="mysql:// stores are not supported"):
        store.open("mysql://localhost/events")
