"""Where events are stored: `open` opens the store at an address, `address_for_engine` names one with its engine."""

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
    """Open the store at an address.

    Args:
        url: a folder, as a path or a file:// address, or as spark+file:// to have Spark read it; or a database:
            postgresql://USER@HOST/DATABASE, clickhouse://USER@HOST/DATABASE.
        create: create an empty store in a new or an empty folder or in a database that has none; migrate one that an
            older version of the package created.
        state: for ClickHouse, where the state is stored: a SQLite file, or the postgresql:// address of a store.

    Raises:
        StoreError: the folder or database is not a store or cannot be reached, or none can be created there.
        StoreVersionError: a newer version of the package created it.
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
        packages = "chdb " if driver == "chdb" else ""
        msg = f"A {scheme}:// store needs its driver; install it: pip install {packages}'hanzo-reports[{extra}]'"
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
    """Return the address of a store together with the engine that reads it, for `open` here and in other processes.

    Args:
        url: a folder or an address.
        engine: ``duckdb`` or ``spark`` for a folder; empty: as the address says, otherwise DuckDB.
        master: Spark's, for example spark://host:7077; empty: Spark's own setting, otherwise this machine.

    Raises:
        UnknownNameError: there is no such engine.
        StoreError: the store is a database, which is its own engine.
    """
    if engine and engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    scheme, separator, rest = url.partition("://")
    if engine != "spark" or scheme == SPARK:
        return url
    if separator and scheme != "file":
        msg = f"A {scheme}:// store is its own engine; use the engine {engine} with a folder"
        raise StoreError(msg)
    folder = Path(rest if separator else url).expanduser().absolute()
    return f"{SPARK}://{quote(str(folder))}" + (f"?{urlencode({'master': master})}" if master else "")
