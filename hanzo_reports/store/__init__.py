"""Where events live: `open` gives the store at an address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hanzo_reports.errors import StoreError

if TYPE_CHECKING:
    from hanzo_reports.store.base import Store

__all__ = ["open"]


def open(url: str, *, create: bool = False) -> Store:  # noqa: A001  # store.open(url), as gzip.open and webbrowser.open
    """The store at an address.

    Args:
        url: a folder, as a path or a file:// address.
        create: make an empty store in a new or an empty folder, when there is none.

    Raises:
        StoreError: the folder is no store, or none can be made there.
        StoreVersionError: a newer version of the package made it.
    """
    from hanzo_reports.store.lake import open_lake  # noqa: PLC0415  # importing this module stays cheap

    scheme, separator, rest = url.partition("://")
    if separator and scheme != "file":
        msg = f"{scheme}:// stores are not supported; give a folder, for example ./warehouse"
        raise StoreError(msg)
    return open_lake(Path(rest if separator else url).expanduser(), create=create)
