"""The commit log of a Delta table, checked for damage that Delta itself reads without an error.

Delta takes a commit file without actions for a commit that changed nothing, and a log that lacks its newest commits for
an older version of the table: events would be missing from every answer. So each commit since the last checkpoint must
name the data files it was written with, and the newest version is recorded outside the table, in ``versions.json``.
That is a file and not a row of the state, because each question reads it: it takes microseconds, also in a folder that
may only be read.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hanzo_reports import atomic_write
from hanzo_reports.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_COUNT = "files"  # in the description of a commit: how many data files it adds and removes
REPAIR = "docs/operations.md says what can be done without a backup"
_FILE_ACTIONS = (b'{"add"', b'{"remove"')
_DIGITS = 20


class VersionRecord:
    """The newest version of each table that a writer of this store has committed.

    Args:
        path: a JSON file with an object of table names and versions; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, table: str) -> int:
        """Return the recorded version of a table; -1 if there is none.

        Raises:
            StoreError: the file holds something else.
        """
        return self._read_all().get(table, -1)

    def write(self, table: str, version: int) -> None:
        """Record a version; the caller holds the store's write lock."""
        text = json.dumps({**self._read_all(), table: version}) + "\n"
        with atomic_write.open_file(self.path) as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())  # a power failure must not leave an empty record

    def _read_all(self) -> dict[str, int]:
        try:
            versions = json.loads(self.path.read_text(encoding="utf-8"))
            if all(type(version) is int for version in versions.values()):
                return dict(versions)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError):
            pass
        msg = f'{self.path} is damaged: it should hold the newest versions, as {{"events": 12}}. Restore or delete it'
        raise StoreError(msg)


class DeltaLog:
    """The log of one Delta table.

    Args:
        table: the folder of the table.
        record: where its newest version is recorded.
    """

    def __init__(self, table: Path, record: VersionRecord) -> None:
        self._table = table
        self._folder = table / "_delta_log"
        self._record = record
        self._checked: dict[int, tuple[int, int]] = {}  # commit -> its file's time and size when it was checked

    def recorded_version(self) -> int:
        """Return the newest version on record; read it before the table, which may move on meanwhile."""
        return self._record.read(self._table.name)

    def record_newest_version(self) -> None:
        """Bring the record up to date, at the end of a writer's turn; this also covers a writer that was killed."""
        recorded = self.recorded_version()
        newest = recorded if recorded >= 0 else max(self._list_commits(), default=-1)
        while self._path(newest + 1).exists():
            newest += 1
        if newest > recorded:
            self._record.write(self._table.name, newest)

    def check(self, version: int, recorded: int) -> None:
        """Check the commits that a version of the table was read from.

        Args:
            version: the version.
            recorded: what `recorded_version` returned before the table was read.

        Raises:
            StoreError: commits are missing or incomplete.
        """
        if version < recorded:
            msg = (
                f"{self._table} is damaged: its newest commit is {version}, but commit {recorded} was made. Restore "
                f"{self._folder} from a backup. To continue without the missing commits, delete {self._record.path} "
                "and load their files again"
            )
            raise StoreError(msg)
        checkpoint = self._last_checkpoint(version)
        while fault := self._find_fault(checkpoint + 1, version):
            moved = self._last_checkpoint(version)  # another writer may have cleaned up behind a newer one
            if moved == checkpoint:
                raise StoreError(fault)
            checkpoint = moved

    def explain(self, error: Exception) -> StoreError:
        """Return an error that names the damaged file, for one that Delta raised while it read the log."""
        commits = sorted(self._list_commits())
        checkpoint = self._last_checkpoint(commits[-1] if commits else -1)
        fault = self._find_fault(checkpoint + 1, commits[-1], thorough=True) if commits else ""
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return StoreError(
            fault or f"{self._table} is damaged: {reason}. Restore {self._folder} from a backup; {REPAIR}"
        )

    def _find_fault(self, first: int, last: int, *, thorough: bool = False) -> str:
        """Describe the first damaged commit of a range; an empty text if there is none."""
        for number in range(first, last + 1):
            path = f"{self._folder}{os.sep}{number:0{_DIGITS}}.json"  # a text: there may be a hundred for each question
            try:
                status = os.stat(path)  # noqa: PTH116
                signature = (status.st_mtime_ns, status.st_size)
                if self._checked.get(number) == signature and not thorough:
                    continue
                with open(path, "rb") as file:  # noqa: PTH123
                    fault = _find_commit_fault(file.read(), thorough=thorough)
            except OSError as error:
                fault = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            if fault:
                return (
                    f"{self._table} is damaged: its commit {number} {fault}; answers would lack events. "
                    f"Restore {path} from a backup; {REPAIR}"
                )
            self._checked[number] = signature
        return ""

    def _last_checkpoint(self, version: int) -> int:
        """Return the newest checkpoint that the version can be read from; -1 if there is none."""
        try:
            hint = json.loads((self._folder / "_last_checkpoint").read_bytes())["version"]
            if 0 <= hint <= version and (self._folder / f"{hint:0{_DIGITS}}.checkpoint.parquet").exists():
                return int(hint)
        except (OSError, ValueError, LookupError, TypeError):
            pass  # the hint is optional
        names = (path.name for path in self._folder.glob("*.checkpoint*.parquet"))
        numbers = (int(name[:_DIGITS]) for name in names if name[:_DIGITS].isdecimal())
        return max((number for number in numbers if number <= version), default=-1)

    def _list_commits(self) -> Iterator[int]:
        for path in self._folder.glob("*.json"):
            if len(path.stem) == _DIGITS and path.stem.isdecimal():
                yield int(path.stem)

    def _path(self, version: int) -> Path:
        return self._folder / f"{version:0{_DIGITS}}.json"


def _find_commit_fault(content: bytes, *, thorough: bool) -> str:
    """Describe what a commit lacks; an empty text if nothing.

    Args:
        content: its file: a JSON object a line, each an action.
        thorough: parse every line; otherwise only the first, which describes the commit.
    """
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        return "is empty"
    try:
        actions: list[Any] = [json.loads(line) for line in (lines if thorough else lines[:1])]
    except ValueError:
        return "is cut off or not JSON"
    if not all(isinstance(action, dict) and action for action in actions):
        return "holds no action"
    info = actions[0].get("commitInfo") or {}
    files = sum(line.startswith(_FILE_ACTIONS) for line in lines)
    expected = info.get(FILE_COUNT)
    if isinstance(expected, int) and files != expected:
        return f"names {files} of the {expected} data files it was written with"
    load = info.get("load")  # commits of earlier versions of the package do not count their files
    if not files and isinstance(load, dict) and load.get("accepted"):
        return f"names no data file, although its load accepted {load['accepted']:,} rows"
    return ""
