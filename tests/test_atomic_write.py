"""Files that appear whole or not at all, whatever stops their writer."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hanzo_reports.atomic_write import open_file, stage_file, write_bytes, write_text
from hanzo_reports.errors import ReportsError


def test_a_file_appears_whole(tmp_path):
    write_text(tmp_path / "a.txt", "häus\n")
    write_bytes(tmp_path / "b.bin", b"\x00\x01")
    with open_file(tmp_path / "c.txt") as stream:
        stream.write(b"first ")
        assert not (tmp_path / "c.txt").exists()
        stream.write(b"second")
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert contents == {"a.txt": "häus\n".encode(), "b.bin": b"\x00\x01", "c.txt": b"first second"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_writer_that_fails_leaves_the_previous_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("previous")
    with pytest.raises((error, ReportsError)), open_file(path) as stream:  # noqa: PT012  # the block is the test
        stream.write(b"half")
        raise error
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "previous")]


def test_a_killed_writer_leaves_the_previous_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("previous")
    script = (
        "import os, signal, sys; from pathlib import Path; from hanzo_reports.atomic_write import open_file\n"
        "with open_file(Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert path.read_text() == "previous"
    write_text(path, "next")
    assert path.read_text() == "next"


def test_two_writers_at_once_do_not_mix(tmp_path):
    path = tmp_path / "a.txt"
    with open_file(path) as first, open_file(path) as second:
        first.write(b"1" * 100_000)
        second.write(b"2" * 10)
    assert path.read_bytes() in {b"1" * 100_000, b"2" * 10}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_replaced_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("previous")
    path.chmod(mode)
    write_text(path, "next")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_mode_of_the_process(tmp_path):
    (tmp_path / "plain.txt").write_text("x")
    write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_a_symbolic_link_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "a.txt", tmp_path / "latest.txt"
    target.write_text("previous")
    link.symlink_to(target)
    write_text(link, "next")
    assert link.is_symlink()
    assert target.read_text() == "next"


def test_a_long_name_fits(tmp_path):
    path = tmp_path / ("ü" * 120 + ".txt")
    write_text(path, "x")
    assert [written.name for written in tmp_path.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_says_why_and_what_to_do(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path / "no" / "a.txt", f"a.txt cannot be written: no folder at {tmp_path / 'no'}; create it"),
        (tmp_path, "cannot be written: it is a folder; give the path of a file"),
        (tmp_path / "pipe", "pipe cannot be written: it is not a regular file"),
        (tmp_path / "file" / "a.txt", "a.txt cannot be written: no folder at"),
    ):
        with pytest.raises(ReportsError) as caught:
            write_text(path, "x")
        assert message in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "Permission denied")]
)
def test_an_error_of_the_system_is_reported_with_what_to_do(tmp_path, monkeypatch, code, reason):
    def fail(path, _):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ReportsError) as caught:
        write_text(tmp_path / "a.txt", "x")
    assert f"a.txt cannot be written: {reason}; give a file in a folder that exists" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_is_not_blamed_on_this_one(tmp_path):
    with pytest.raises(FileNotFoundError), stage_file(tmp_path / "a.txt"):
        (tmp_path / "input.csv").read_text()
    assert list(tmp_path.iterdir()) == []
