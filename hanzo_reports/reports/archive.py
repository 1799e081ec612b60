"""The runs of one report on disk: a folder each, whole or marked as failed, and pointers to the latest."""

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
    """A run that is being made.

    Args:
        id: its name.
        partial: the hidden folder in which it is built.
    """

    id: str
    partial: Path

    def place(self, *, failed: bool = False) -> Path:
        """The folder that it will have."""
        return self.partial.with_name(f"{self.id}{FAILED if failed else ''}")

    def keep(self, *, failed: bool = False) -> Path:
        """The folder, renamed into its place as a whole."""
        return self.partial.rename(self.place(failed=failed))


@dataclass(frozen=True)
class Archive:
    """The runs of one report.

    Args:
        folder: where they are.
    """

    folder: Path

    def found(self, key: str) -> dict[str, Any] | None:
        """The manifest of the newest good run with that key, or None."""
        for path in sorted(self.folder.glob(f"*-{key[:8]}*/{MANIFEST}"), reverse=True):
            manifest = read(path.parent)
            if (
                not path.parent.name.startswith(".")
                and manifest.get("key") == key
                and manifest["status"] == "completed"
            ):
                return manifest
        return None

    @contextmanager
    def draft(self, now: datetime, key: str) -> Iterator[Draft]:
        """A new run, while no other of this report is made; unless it is kept nothing of it stays.

        Raises:
            LockedError: another process makes this report.
            ReportsError: the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock", timeout=0):
                self._sweep()
                draft = self._draft(f"{now:%Y%m%dT%H%M%SZ}-{key[:8]}")
                try:
                    yield draft
                finally:
                    shutil.rmtree(draft.partial, ignore_errors=True)
        except Timeout:
            msg = f"the report {self.folder.name!r} is being made by another process in {self.folder}; try again later"
            raise LockedError(msg) from None
        except OSError as error:
            msg = f"{self.folder} cannot be written to: {error.strerror or error}; give another folder with --out"
            raise ReportsError(msg) from error

    def point(self, pointer: str, run: str) -> None:
        """A pointer moved to a run: a relative link, replaced in one step."""
        link = self.folder / f".{pointer}.partial"
        link.symlink_to(run)
        link.replace(self.folder / pointer)

    def _draft(self, name: str) -> Draft:
        """A draft of that name, numbered where there is a run of the same second already."""
        numbered = (name if number == 1 else f"{name}-{number}" for number in range(1, 10_000))
        taken = {path.name.removesuffix(FAILED) for path in self.folder.iterdir()}
        free = next(candidate for candidate in numbered if candidate not in taken)
        partial = self.folder / f".{free}.partial"
        partial.mkdir()
        return Draft(free, partial)

    def _sweep(self) -> None:
        """What killed runs left behind, removed."""
        for path in self.folder.glob(".*.partial"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def read(folder: Path) -> dict[str, Any]:
    """A run's manifest; empty where there is none that can be read."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest
