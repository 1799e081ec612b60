"""Where events live: `open` gives the store at an address."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hanzo_reports.errors import StoreError

if TYPE_CHECKING:
    from hanzo_reports.store.base import Store

__all__ = ["open"]

POSTGRES = ("postgresql", "postgres")


def open(url: str, *, create: bool = False) -> Store:  # noqa: A001  # store.open(url), as gzip.open and webbrowser.open
    """The store at an address.

    Args:
        url: a folder, as a path or a file:// address, or a database: postgresql://USER@HOST/DATABASE.
        create: make an empty store in a new or an empty folder or in a database, when there is none; bring one that an
            older version of the package made up to date.

    Raises:
        StoreError: the folder or database is no store or cannot be reached, or none can be made there.
        StoreVersionError: a newer version of the package made it.
    """
    scheme, separator, rest = url.partition("://")
    if scheme in POSTGRES and separator:
        if not find_spec("psycopg"):
            msg = "a store in Postgres needs its driver; install it: pip install 'hanzo-reports[postgres]'"
            raise StoreError(msg)
        from hanzo_reports.store.postgres import open_postgres  # noqa: PLC0415  # importing this module stays cheap

        return open_postgres(url, create=create)
    if separator and scheme != "file":
        msg = f"{scheme}:// stores are not supported; give a folder, for example ./warehouse, or postgresql://..."
        raise StoreError(msg)
    from hanzo_reports.store.lake import open_lake  # noqa: PLC0415  # importing this module stays cheap

    return open_lake(Path(rest if separator else url).expanduser(), create=create)
