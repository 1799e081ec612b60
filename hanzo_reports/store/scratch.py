"""Folders for temporary files, each locked while its process lives, so that a later one can tell the dead."""

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
    """A new folder under a root, removed at the end; its name is unique for all time.

    Its lock is taken before the folder is there and let go after it is gone.
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
    """A new folder where this machine has this user's temporary files; what dead processes left there goes."""
    user = getattr(os, "getuid", int)()
    root = Path(tempfile.gettempdir()) / f"hanzo-reports-{user}"
    root.mkdir(mode=0o700, exist_ok=True)
    sweep(root, lambda _: None)
    with scratch(root) as folder:
        yield folder


def sweep(root: Path, bury: Callable[[str], None]) -> None:
    """What dead processes left under a root, removed; `bury` is first called with each folder's name."""
    for path in sorted(root.glob("*.lock")):
        try:
            with FileLock(path, blocking=False):
                folder = path.with_suffix("")
                bury(folder.name)
                shutil.rmtree(folder, ignore_errors=True)
                path.unlink(missing_ok=True)
        except Timeout:
            continue
