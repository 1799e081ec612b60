"""Bills of providers: OpenAI's usage and costs as JSON, FOCUS as CSV or Parquet; kept in a table of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from hanzo_reports.billing.openai import Pages, Span, openai
from hanzo_reports.errors import ColumnError, UnreadableError, nearest
from hanzo_reports.state.quality_tables import BILLS
from hanzo_reports.store.duckdb_session import sql_literal
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hanzo_reports.store.base import Store

KEY = [column.name for column in BILLS.primary_key]
_FOCUS = ("ChargePeriodStart", "ChargePeriodEnd", "BilledCost", "BillingCurrency")
_MODEL = ("x_Model", "ServiceName")
_NOTHING = "['', 'NULL', 'null', 'None', 'NaN']"


@dataclass(frozen=True)
class Billed:
    """What the reading of bills found.

    Args:
        files: the number of files.
        lines: rows kept: a period, model and account each.
        left_out: rows that bill no usage, such as tax, credits and purchases.
        start: the first instant that they are about.
        end: the instant just after the last.
    """

    files: int
    lines: int
    left_out: int
    start: datetime
    end: datetime


def load_bills(store: Store, paths: Sequence[Path], *, now: datetime, model_column: str = "") -> Billed:
    """Bills read and kept; a period that is there already is replaced, so that loading twice changes nothing.

    A bill replaces what is kept of its kind and provider about any of its time: for OpenAI its buckets, for FOCUS all
    from its first to its last instant. Files that are given together are one bill.

    Args:
        store: whose state keeps them.
        paths: OpenAI's usage or costs (JSON: pages, buckets, or lines of them) or FOCUS 1.0 to 1.2 (CSV, Parquet).
        now: when they are loaded.
        model_column: for FOCUS, the column that names the model; empty: `x_Model`, else `ServiceName`.

    Raises:
        UnreadableError: a file is missing, empty, not of these forms or cut off (`has_more`), or two tell of the same
            buckets; nothing has changed.
        ColumnError: a FOCUS file lacks a column; nothing has changed.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    spans: set[Span] = set()
    pages = Pages()
    left_out = 0
    for path in paths:
        name = path.name.removesuffix(".gz")
        if name.endswith((".json", ".jsonl", ".ndjson")):
            found, told = openai(path, pages)
        else:
            found, left, told = _focus(path, model_column)
            left_out += left
        if not found:
            msg = f"{path}: no usage in it; give OpenAI's usage buckets as JSON, or a FOCUS file as CSV or Parquet"
            raise UnreadableError(msg)
        spans |= told
        _gather(rows, found, str(path), iso(now))
    pages.check()
    columns = BILLS.c
    with store.state.begin() as connection:
        for kind, provider, first, last in sorted(spans):
            replaced = (columns.kind == kind, columns.provider == provider)
            connection.execute(BILLS.delete().where(*replaced, columns.period_start < last, columns.period_end > first))
        connection.execute(BILLS.insert(), list(rows.values()))
    start = min(datetime.fromisoformat(row["period_start"]) for row in rows.values())
    end = max(datetime.fromisoformat(row["period_end"]) for row in rows.values())
    return Billed(len(paths), len(rows), left_out, start, end)


def _gather(rows: dict[tuple[Any, ...], dict[str, Any]], found: list[dict[str, Any]], file: str, at: str) -> None:
    """Lines of one period, model and account added up."""
    for line in found:
        key = tuple(line[name] for name in KEY)
        held = rows.setdefault(key, {**line, "cost": None, "requests": None, "input_tokens": None,
                                     "output_tokens": None, "file": file, "loaded_at": at})  # fmt: skip
        for name in ("requests", "input_tokens", "output_tokens"):
            if line[name] is not None:
                held[name] = (held[name] or 0) + line[name]
        if line["cost"] is not None:
            held["cost"] = f"{Decimal(held['cost'] or 0) + line['cost']:f}"


def _focus(path: Path, model_column: str) -> tuple[list[dict[str, Any]], int, set[Span]]:
    """A FOCUS file's usage by period, provider, model, account and currency; the number of other rows; its time."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    parquet = path.name.endswith(".parquet")
    source = f"read_parquet({sql_literal(path)})" if parquet else (
        f"read_csv({sql_literal(path)}, all_varchar = true, header = true, nullstr = {_NOTHING})"
    )  # fmt: skip
    try:
        columns = {row[0].lower(): row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608  # a quoted path
        names = _columns(path, columns, model_column)
        sql = _SUMS.format(source=source, **names)
        found = con.execute(sql).fetchall()
        skipped = con.execute(f"SELECT count(*) FROM {source} WHERE {names['other']}").fetchone()  # noqa: S608  # as above
    except duckdb.Error as error:
        msg = f"{path}: no FOCUS file: {str(error).splitlines()[0]}"
        raise UnreadableError(msg) from None
    if any(None in row[:3] for row in found):
        msg = f"{path}: a row of usage has no ChargePeriodStart or no ChargePeriodEnd; a bill needs both"
        raise UnreadableError(msg)
    lines = [
        {
            "kind": "focus", "provider": provider, "period_start": iso(start), "period_end": iso(end), "model": model,
            "account": account, "currency": currency, "requests": None, "input_tokens": None, "output_tokens": None,
            "cost": cost, "cost_source": "reported",
        }
        for provider, start, end, model, account, currency, cost in found
    ]  # fmt: skip
    spans: dict[str, list[str]] = {}
    for line in lines:
        spans.setdefault(line["provider"], []).extend((line["period_start"], line["period_end"]))
    told = {("focus", provider, min(sides), max(sides)) for provider, sides in spans.items()}
    return lines, int(skipped[0]) if skipped else 0, told


_SUMS = """
    SELECT lower(coalesce({provider}, '')), {start}::TIMESTAMPTZ, {end}::TIMESTAMPTZ,
        lower(regexp_extract(coalesce({model}, ''), '[^/]*$')), coalesce({account}, ''),
        upper(coalesce({currency}, '')),
        sum({cost}::DECIMAL(38, 12))
    FROM {source} WHERE NOT ({other}) GROUP BY ALL ORDER BY ALL
"""


def _columns(path: Path, columns: dict[str, str], model_column: str) -> dict[str, str]:
    """The file's columns, quoted, by what they are for."""
    for name in (*_FOCUS, *([model_column] if model_column else [])):
        if name.lower() not in columns:
            near = nearest(name, columns.values())
            hint = f"; the nearest is {near!r}" if near else ""
            msg = f"{path}: no column {name!r}{hint}; FOCUS 1.0 to 1.2 has {', '.join(_FOCUS)}"
            raise ColumnError(msg)

    def quoted(*wanted: str) -> str:
        found = [f'"{columns[name.lower()]}"' for name in wanted if name.lower() in columns]
        return f"coalesce({', '.join(found)})" if found else "NULL::VARCHAR"

    category = quoted("ChargeCategory")
    return {
        "provider": quoted("ProviderName", "ServiceProviderName"), "start": quoted("ChargePeriodStart"),
        "end": quoted("ChargePeriodEnd"), "model": quoted(model_column) if model_column else quoted(*_MODEL),
        "account": quoted("SubAccountId"), "currency": quoted("BillingCurrency"), "cost": quoted("BilledCost"),
        "other": f"coalesce({category}, 'Usage') <> 'Usage'",
    }  # fmt: skip
