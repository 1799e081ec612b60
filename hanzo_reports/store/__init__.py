"""Where events live: `open` gives the store at an address."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from hanzo_reports.errors import StoreError, UnknownNameError
from hanzo_reports.store.address import redact_password

if TYPE_CHECKING:
    from hanzo_reports.store.base import Store

__all__ = ["address_for_engine", "open"]

ENGINES = ("duckdb", "spark")
SPARK = "spark+file"
DRIVERS = {  # for each scheme the module that it needs, and the extra that brings it
    "postgresql": ("psycopg", "postgres"),
    "postgres": ("psycopg", "postgres"),
    "clickhouse": ("clickhouse_connect", "clickhouse"),
    "chdb": ("chdb", "clickhouse"),
    SPARK: ("pyspark", "spark"),
}


def open(url: str, *, create: bool = False, state: str = "") -> Store:  # noqa: A001  # as gzip.open
    """The store at an address.

    Args:
        url: a folder, as a path or a file:// address, or as spark+file:// to have it read by Spark; or a database:
            postgresql://USER@HOST/DATABASE, clickhouse://USER@HOST/DATABASE.
        create: make an empty store in a new or an empty folder or in a database, when there is none; bring one that an
            older version of the package made up to date.
        state: for ClickHouse, where the state is kept: a SQLite file, or the postgresql:// address of a store.

    Raises:
        StoreError: the folder or database is no store or cannot be reached, or none can be made there.
        StoreVersionError: a newer version of the package made it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        from hanzo_reports.store.delta import open_delta  # noqa: PLC0415  # importing this module stays cheap

        return open_delta(Path(rest if separator else redact_password(url)).expanduser(), create=create)
    if scheme not in DRIVERS:
        known = ", ".join(f"{name}://" for name in DRIVERS)
        msg = f"{scheme}:// stores are not supported; give a folder, for example ./warehouse, or one of {known}"
        raise StoreError(msg)
    driver, extra = DRIVERS[scheme]
    if not find_spec(driver):
        also = "chdb " if driver == "chdb" else ""
        msg = f"a {scheme}:// store needs its driver; install it: pip install {also}'hanzo-reports[{extra}]'"
        raise StoreError(msg)
    if extra == "postgres":
        from hanzo_reports.store.postgres import open_postgres  # noqa: PLC0415

        return open_postgres(url, create=create)
    if extra == "spark":
        from hanzo_reports.store.spark import open_spark  # noqa: PLC0415

        return open_spark(url, create=create)
    from hanzo_reports.store.clickhouse import open_clickhouse  # noqa: PLC0415

    return open_clickhouse(url, create=create, state=state)


def address_for_engine(url: str, engine: str = "", master: str = "") -> str:
    """The address of a store together with the engine that is to read it, for `open` here and in other processes.

    Args:
        url: a folder or an address.
        engine: ``duckdb`` or ``spark`` for a folder; empty: as the address says, else DuckDB.
        master: Spark's, for example spark://host:7077; empty: Spark's own setting, else this machine.

    Raises:
        UnknownNameError: no such engine.
        StoreError: the store is a database, which answers itself.
    """
    if engine and engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    scheme, separator, rest = url.partition("://")
    if engine != "spark" or scheme == SPARK:
        return url
    if separator and scheme != "file":
        msg = f"{scheme}:// stores answer themselves; the engine {engine} is for a folder"
        raise StoreError(msg)
    folder = Path(rest if separator else url).expanduser().absolute()
    return f"{SPARK}://{quote(str(folder))}" + (f"?{urlencode({'master': master})}" if master else "")
