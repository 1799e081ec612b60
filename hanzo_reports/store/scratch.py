"""Folders for temporary files, each locked while its process lives, so that a later one can remove abandoned ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """Create a folder under a root and remove it at the end; its name is never used again.

    Its lock is taken before the folder is created and released after it is removed.
    """
    root.mkdir(exist_ok=True)
    folder = root / uuid4().hex
    lock = folder.with_suffix(".lock")
    with FileLock(lock):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


@contextmanager
def user_scratch() -> Iterator[Path]:
    """Create a folder among this user's temporary files on this machine; abandoned ones are removed first."""
    user = getattr(os, "getuid", int)()
    root = Path(tempfile.gettempdir()) / f"hanzo-reports-{user}"
    root.mkdir(mode=0o700, exist_ok=True)
    remove_abandoned(root, lambda _: None)
    with scratch(root) as folder:
        yield folder


def remove_abandoned(root: Path, discard: Callable[[str], None]) -> None:
    """Remove what dead processes left under a root; `discard` is called first with each folder's name."""
    for path in sorted(root.glob("*.lock")):
        try:
            with FileLock(path, blocking=False):
                folder = path.with_suffix("")
                discard(folder.name)
                shutil.rmtree(folder, ignore_errors=True)
                path.unlink(missing_ok=True)
        except Timeout:
            continue
