"""The tables of a store in ClickHouse: made, and checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hanzo_reports.errors import StoreError, StoreVersionError
from hanzo_reports.events import MONEY, SCHEMA, TIMESTAMP
from hanzo_reports.store.base import QUARANTINE

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from hanzo_reports.store.clickhouse_server import Server

FORMAT = 1
NEEDED = (24, 12)  # ClickHouse's version with the youngest of our functions, toUnixTimestamp64Second
LOAD = "load"  # which commit a row came with: further than the schema, and not shown
KEYS = {"events": "event_id", "quarantine": "quarantine_id"}
_MADE = " MATERIALIZED"
_TYPES = {
    "string": "String", "int16": "Int16", "int32": "Int32", "int64": "Int64", "float64": "Float64",
    MONEY: "Decimal(18, 9)", TIMESTAMP: "DateTime64(6, 'UTC')",
}  # fmt: skip
_SORTED = {"events": "project, timestamp, event_id", "quarantine": "quarantine_id", "loads": LOAD}
_INDEXES = {
    "events": "INDEX ids event_id TYPE bloom_filter GRANULARITY 4, INDEX times timestamp TYPE minmax GRANULARITY 1, "
    f"INDEX loads {LOAD} TYPE minmax GRANULARITY 1",
    "quarantine": "INDEX ids quarantine_id TYPE bloom_filter GRANULARITY 4",
}


def _columns(schema: dict[str, str]) -> dict[str, str]:
    found = {}
    for name, dtype in schema.items():
        kind = _TYPES[dtype.removeprefix("!")]
        found[name] = kind if dtype.startswith("!") else f"Nullable({kind})"
    return {**found, LOAD: "UInt64", "precedence": f"UInt64{_MADE} bitNot({LOAD})"}


COLUMNS = {
    "events": _columns(SCHEMA),
    "quarantine": _columns(QUARANTINE),
    "loads": {LOAD: "UInt64", "done": "UInt8", "said": "String"},
}


def local(server: Server, table: str) -> str:
    """The table that holds the rows: itself, or on a cluster the one on each shard."""
    return f"`{table}_local`" if server.cluster else f"`{table}`"


def everywhere(server: Server) -> str:
    """What makes a statement run on all shards; nothing without a cluster."""
    return f" ON CLUSTER `{server.cluster}`" if server.cluster else ""


def make(server: Server, table: str, like: str) -> list[str]:
    """The statements that make a table with the columns of one of ours, and on a cluster the Distributed one over it.

    A row that is sent again with its deduplication token is left out; of rows with equal keys that of the first load
    stays.
    """
    columns = ", ".join(f"`{name}` {kind}" for name, kind in COLUMNS[like].items())
    indexes = f", {_INDEXES[like]}" if like in _INDEXES else ""
    engine = f"ReplacingMergeTree({'done' if like == 'loads' else 'precedence'})"
    statement = (
        f"CREATE TABLE IF NOT EXISTS {local(server, table)}{everywhere(server)} ({columns}{indexes}) "
        f"ENGINE = {engine} ORDER BY ({_SORTED[like]}) SETTINGS non_replicated_deduplication_window = 1000 "
        f"COMMENT 'hanzo-reports store format {FORMAT}'"
    )
    made = [statement]
    if server.cluster:
        shard = f"cityHash64({KEYS.get(like, LOAD)})"
        made.append(
            f"CREATE TABLE IF NOT EXISTS `{table}`{everywhere(server)} ({columns}) "
            f"ENGINE = Distributed(`{server.cluster}`, currentDatabase(), {local(server, table)}, {shard}) "
            f"COMMENT 'hanzo-reports store format {FORMAT}'"
        )
    return made


def check(server: Server, client: Client) -> bool:
    """Whether the tables are there; an error where one of that name is of something else, or of a newer version.

    Raises:
        StoreError: besides, where ClickHouse itself is too old.
    """
    if tuple(map(int, (client.server_version or "0.0").split(".")[:2])) < NEEDED:
        needed = ".".join(map(str, NEEDED))
        msg = f"{server.url} is ClickHouse {client.server_version}; upgrade it, {needed} or newer is needed"
        raise StoreError(msg)
    found = client.query(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND table IN %(tables)s "
        "ORDER BY position",
        parameters={"tables": list(COLUMNS)},
    ).result_rows
    held: dict[str, dict[str, str]] = {}
    for table, name, kind in found:
        held.setdefault(table, {})[name] = kind
    if held.get("events"):
        query = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'events'"
        [[comment]] = client.query(query).result_rows
        made = re.fullmatch(r"hanzo-reports store format (\d+)", comment)
        if made and int(made[1]) != FORMAT:
            msg = f"{server.url} has store format {made[1]}, this package knows {FORMAT}; upgrade hanzo-reports"
            raise StoreVersionError(msg)
    for table, columns in held.items():
        for name in {**COLUMNS[table], **columns}:
            wanted, kind = COLUMNS[table].get(name, "").partition(_MADE)[0], columns.get(name, "")
            if wanted != kind:
                msg = (
                    f"{server.url} has a table {table} that is of something else: its column {name} is "
                    f"{kind or 'missing'}, not {wanted or 'there'}; give another database"
                )
                raise StoreError(msg)
    return set(held) == set(COLUMNS)
