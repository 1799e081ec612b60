"""Files that appear whole or not at all: written beside their place under a hidden name, then renamed into it."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from hanzo_reports.errors import ReportsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTIAL = ".partial"  # suffix of a file that is still written; a killed process may leave one behind
MAX_NAME_PART = 40  # characters of the file's name in its hidden name, which must not become too long itself


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step; see `stage_file`.

    Raises:
        ReportsError: the file cannot be written.
    """
    with stage_file(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 in one step; see `stage_file`.

    Raises:
        ReportsError: the file cannot be written.
    """
    write_bytes(path, text.encode())


@contextmanager
def open_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream into a file that appears when the block ends without an error; see `stage_file`.

    Raises:
        ReportsError: the file cannot be written.
    """
    with stage_file(path) as partial, partial.open("wb") as stream:
        yield stream


@contextmanager
def stage_file(path: Path) -> Iterator[Path]:
    """A hidden path to write to, which is renamed to `path` when the block ends without an error.

    After an error nothing is left, and a file that was there before stays as it was. The new file has the mode of the
    file that it replaces. A symbolic link stays, and the file that it points to is replaced.

    Raises:
        ReportsError: the folder does not exist or cannot be written to, the disk is full, or `path` is not a file.
    """
    target = path.resolve() if path.is_symlink() else path
    partial = target.with_name(f".{target.name[:MAX_NAME_PART]}.{uuid4().hex[:8]}{PARTIAL}")
    mode = _replaceable_mode(path, target)
    try:
        yield partial
        if mode is not None:
            partial.chmod(mode)
        partial.replace(target)
    except OSError as error:
        if error.filename not in {None, partial, str(partial)}:
            raise  # of another file that the block reads
        raise _write_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _replaceable_mode(path: Path, target: Path) -> int | None:
    """The permission bits of the file to replace; None where there is no file yet."""
    try:
        folder_exists = target.parent.is_dir()
        mode = target.stat().st_mode if folder_exists else 0
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _write_error(path, error) from error
    if not folder_exists:
        msg = f"{path} cannot be written: no folder at {target.parent}; create it, or give a file in an existing folder"
        raise ReportsError(msg)
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        msg = f"{path} cannot be written: it is {kind}; give the path of a file"
        raise ReportsError(msg)
    return stat.S_IMODE(mode)


def _write_error(path: Path, error: OSError) -> ReportsError:
    reason = error.strerror or str(error)
    return ReportsError(f"{path} cannot be written: {reason}; give a file in a folder that exists and is writable")
