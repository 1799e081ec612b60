"""Several processes on one lake, some of them killed."""

import json
import signal
import time

import pytest
from writers import ROWS, count_events, release_writers, start_writer

from hanzo_reports import store
from hanzo_reports.errors import StoreBusyError
from hanzo_reports.store.delta_files import DeltaFiles


@pytest.fixture
def writer(lake):
    """A function that starts a process which appends the same rows as all others once a line comes in."""
    processes = []

    def start(behaviour="lives"):
        processes.append(start_writer(lake.url, behaviour))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def files(new_store):
    return set(new_store.folder.glob("*/day=*/*"))


def test_writers_of_the_same_rows_keep_each_once_while_others_read(lake, writer):
    writers = [writer(), writer(), writer()]
    release_writers(*writers)
    counts = set()
    while any(process.poll() is None for process in writers):
        counts.add(count_events(lake))
        time.sleep(0.01)
    assert counts <= {0, ROWS}
    assert sorted(int(process.stdout.readline()) for process in writers) == [0, 0, ROWS]
    assert count_events(lake) == lake.events().event_id.nunique().to_pyarrow().as_py() == ROWS
    assert list((lake.folder / "scratch").iterdir()) == []


@pytest.mark.parametrize("behaviour", ["dies before the commit", "dies after the commit"])
def test_what_a_dead_writer_leaves_is_nothing_or_everything(lake, writer, behaviour, events):
    dead = writer(behaviour)
    release_writers(dead)
    assert dead.wait() == -signal.SIGKILL
    left = files(lake)
    assert left
    assert count_events(lake) == (0 if "before" in behaviour else ROWS)
    assert lake.append(events(["0", "new"]), {}).accepted == (2 if "before" in behaviour else 1)
    assert list((lake.folder / "scratch").iterdir()) == []
    assert files(lake) & left == (set() if "before" in behaviour else left)
    again = writer()
    release_writers(again)
    again.wait()
    assert count_events(lake) == lake.events().event_id.nunique().to_pyarrow().as_py() == ROWS + 1


def test_compaction_buries_the_dead(lake, writer):
    dead = writer("dies before the commit")
    release_writers(dead)
    dead.wait()
    assert lake.compact() == 0
    assert files(lake) == set()


def test_the_folder_of_a_living_load_is_not_swept(lake, events):
    with lake.scratch() as temporary:
        (temporary / "stage").touch()
        lake.append(events("a"), {})
        assert (temporary / "stage").exists()


def test_a_commit_from_another_machine_in_between_doubles_nothing(lake, events, ids, monkeypatch):
    """A file lock may not reach across machines: the other one writes while this one holds it."""
    write, others = DeltaFiles._write, iter(["ab", "bc"])  # noqa: SLF001  # the moment in between

    def interrupted(self, con, rows, writer):
        if other := next(others, None):
            events_of_other = store.open(lake.url)._events  # noqa: SLF001  # past the lock, as from another machine
            events_of_other.append(events(other), {}, f"other{other}")
        return write(self, con, rows, writer)

    monkeypatch.setattr(DeltaFiles, "_write", interrupted)
    appended = lake.append(events("abcd", flags={"flag": [True] * 4}), {"load_id": "this"})
    assert (appended.accepted, appended.duplicates, appended.version, appended.flagged) == (1, 3, "3", {"flag": 1})
    assert ids(lake) == ["a", "b", "c", "d"]
    assert sum(load["accepted"] for load in lake.loads()) == 4


def test_giving_up_on_other_machines_leaves_nothing(lake, events, monkeypatch):
    monkeypatch.setattr(DeltaFiles, "_commit", lambda *_: False)
    with pytest.raises(StoreBusyError, match="other machines keep writing"):
        lake.append(events("ab"), {})
    assert files(lake) == set()
    assert list((lake.folder / "scratch").iterdir()) == []


def test_a_writer_that_died_between_its_commit_and_the_record_lost_nothing(lake, writer, events):
    dead = writer("dies after the commit")
    release_writers(dead)
    assert dead.wait() == -signal.SIGKILL
    assert json.loads((lake.folder / "versions.json").read_text())["events"] == 0
    assert count_events(lake) == ROWS
    lake.append(events(["new"]), {})
    assert json.loads((lake.folder / "versions.json").read_text())["events"] == 2
