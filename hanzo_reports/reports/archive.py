"""The runs of one report on disk: one complete folder a run, failed ones marked, and links to the latest."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from hanzo_reports.errors import LockedError, ReportsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

MANIFEST = "manifest.json"
FAILED = ".failed"


@dataclass(frozen=True)
class Draft:
    """A run in progress.

    Args:
        id: its name.
        partial: the hidden folder in which it is built.
    """

    id: str
    partial: Path

    def final_path(self, *, failed: bool = False) -> Path:
        """The folder that the run gets when it ends."""
        return self.partial.with_name(f"{self.id}{FAILED if failed else ''}")

    def publish(self, *, failed: bool = False) -> Path:
        """Renames the hidden folder to its final path, which it returns."""
        return self.partial.rename(self.final_path(failed=failed))


@dataclass(frozen=True)
class Archive:
    """The runs of one report.

    Args:
        folder: the folder of all runs of the report.
    """

    folder: Path

    def find_run(self, key: str) -> dict[str, Any] | None:
        """The manifest of the newest completed run with a key, or None."""
        for path in sorted(self.folder.glob(f"*-{key[:8]}*/{MANIFEST}"), reverse=True):
            manifest = read_manifest(path.parent)
            if (
                not path.parent.name.startswith(".")
                and manifest.get("key") == key
                and manifest["status"] == "completed"
            ):
                return manifest
        return None

    @contextmanager
    def draft(self, now: datetime, key: str) -> Iterator[Draft]:
        """Starts a run while no other run of this report is in progress; unless it is published, it is removed.

        Raises:
            LockedError: another process is running this report.
            ReportsError: the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock", timeout=0):
                self._remove_leftovers()
                draft = self._draft(f"{now:%Y%m%dT%H%M%SZ}-{key[:8]}")
                try:
                    yield draft
                finally:
                    shutil.rmtree(draft.partial, ignore_errors=True)
        except Timeout:
            msg = f"the report {self.folder.name!r} is being run by another process in {self.folder}; try again later"
            raise LockedError(msg) from None
        except OSError as error:
            msg = f"{self.folder} cannot be written to: {error.strerror or error}; give another folder with --out"
            raise ReportsError(msg) from error

    def point(self, pointer: str, run: str) -> None:
        """Points a relative link to a run, atomically."""
        link = self.folder / f".{pointer}.partial"
        link.symlink_to(run)
        link.replace(self.folder / pointer)

    def _draft(self, name: str) -> Draft:
        """A draft of that name, numbered if a run of the same second exists."""
        numbered = (name if number == 1 else f"{name}-{number}" for number in range(1, 10_000))
        taken = {path.name.removesuffix(FAILED) for path in self.folder.iterdir()}
        free = next(candidate for candidate in numbered if candidate not in taken)
        partial = self.folder / f".{free}.partial"
        partial.mkdir()
        return Draft(free, partial)

    def _remove_leftovers(self) -> None:
        """Removes what killed runs left behind."""
        for path in self.folder.glob(".*.partial"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """A run's manifest; empty if it does not exist or cannot be read."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest
