"""Loads provider bills, OpenAI's usage and costs as JSON and FOCUS as CSV or Parquet, into a table of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import sqlalchemy

from hanzo_reports.billing.bill_lines import MOMENT, digits
from hanzo_reports.billing.openai import Pages, Period, read_openai
from hanzo_reports.errors import ColumnError, UnreadableError, nearest
from hanzo_reports.state.quality_tables import BILLS
from hanzo_reports.store.duckdb_session import sql_literal
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement

    from hanzo_reports.store.base import Store

KEY = [column.name for column in BILLS.primary_key]
_FOCUS = ("ChargePeriodStart", "ChargePeriodEnd", "BilledCost", "BillingCurrency")
_MODEL = ("x_Model", "ServiceName")
_NOTHING = "['', 'NULL', 'null', 'None', 'NaN']"


@dataclass(frozen=True)
class LoadedBills:
    """What a load of bills read.

    Args:
        files: the number of files.
        lines: lines kept, one per period, model and account.
        left_out: rows that do not bill usage, such as tax, credits and purchases.
        start: the first instant of all lines, UTC.
        end: the instant just after the last, UTC.
    """

    files: int
    lines: int
    left_out: int
    start: datetime
    end: datetime


def load_bills(store: Store, paths: Sequence[Path], *, now: datetime, model_column: str = "") -> LoadedBills:
    """Reads bills and keeps their lines; loading a bill twice changes nothing.

    A bill replaces the kept lines of its kind and provider whose time overlaps its own: for OpenAI the time of each
    bucket, for FOCUS all from the first to the last instant. Files given together are one bill.

    Args:
        store: whose state keeps the lines.
        paths: OpenAI's usage or costs (JSON: pages, buckets, or lines of them) or FOCUS 1.0 to 1.2 (CSV, Parquet).
        now: when they are loaded.
        model_column: for FOCUS, the column with the model; empty: `x_Model`, else `ServiceName`.

    Raises:
        UnreadableError: a file is missing, empty, in another format or truncated (`has_more`), or two files hold the
            same buckets; nothing has changed.
        ColumnError: a FOCUS file lacks a column; nothing has changed.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    periods: set[Period] = set()
    pages = Pages()
    left_out = 0
    for path in paths:
        name = path.name.removesuffix(".gz")
        if name.endswith((".json", ".jsonl", ".ndjson")):
            lines, billed = read_openai(path, pages)
        else:
            lines, other_rows, billed = _read_focus(path, model_column)
            left_out += other_rows
        if not lines:
            msg = f"{path}: no usage in it; give OpenAI's usage buckets as JSON, or a FOCUS file as CSV or Parquet"
            raise UnreadableError(msg)
        periods |= billed
        _add_lines(rows, lines, str(path), iso(now))
    pages.check()
    with store.state.begin() as connection:
        for period in sorted(periods):
            connection.execute(BILLS.delete().where(*_overlaps(period)))
        connection.execute(BILLS.insert(), list(rows.values()))
    start = min(datetime.fromisoformat(row["period_start"]) for row in rows.values())
    end = max(datetime.fromisoformat(row["period_end"]) for row in rows.values())
    return LoadedBills(len(paths), len(rows), left_out, start, end)


def _overlaps(period: Period) -> tuple[ColumnElement[bool], ...]:
    """The kept lines of a period's kind and provider that share time with it; a line without length has its instant."""
    kind, provider, first, last = period
    end = iso(max(datetime.fromisoformat(last), datetime.fromisoformat(first) + MOMENT)).rstrip("Z")
    start, starts, ends = first.rstrip("Z"), digits(BILLS.c.period_start), digits(BILLS.c.period_end)
    return (
        BILLS.c.kind == kind,
        BILLS.c.provider == provider,
        starts < end,
        sqlalchemy.or_(ends > start, starts >= start),
    )


def _add_lines(rows: dict[tuple[Any, ...], dict[str, Any]], lines: list[dict[str, Any]], file: str, at: str) -> None:
    """Adds lines to the rows to keep; those of one period, model and account become one row with their sums."""
    for line in lines:
        key = tuple(line[name] for name in KEY)
        row = rows.setdefault(key, {**line, "cost": None, "requests": None, "input_tokens": None,
                                    "output_tokens": None, "file": file, "loaded_at": at})  # fmt: skip
        for name in ("requests", "input_tokens", "output_tokens"):
            if line[name] is not None:
                row[name] = (row[name] or 0) + line[name]
        if line["cost"] is not None:
            row["cost"] = f"{Decimal(row['cost'] or 0) + line['cost']:f}"


def _read_focus(path: Path, model_column: str) -> tuple[list[dict[str, Any]], int, set[Period]]:
    """A FOCUS file's usage by period, provider, model, account and currency; the number of other rows; its periods."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    parquet = path.name.endswith(".parquet")
    source = f"read_parquet({sql_literal(path)})" if parquet else (
        f"read_csv({sql_literal(path)}, all_varchar = true, header = true, nullstr = {_NOTHING})"
    )  # fmt: skip
    try:
        columns = {row[0].lower(): row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608  # a quoted path
        names = _columns(path, columns, model_column)
        usage = con.execute(_SUMS.format(source=source, **names)).fetchall()
        other = con.execute(f"SELECT count(*) FROM {source} WHERE {names['other']}").fetchone()  # noqa: S608  # as above
    except duckdb.Error as error:
        msg = f"{path} is not a FOCUS file: {str(error).splitlines()[0]}"
        raise UnreadableError(msg) from None
    if any(None in row[:3] for row in usage):
        msg = f"{path}: a row of usage has no ChargePeriodStart or no ChargePeriodEnd; a bill needs both"
        raise UnreadableError(msg)
    lines = [
        {
            "kind": "focus", "provider": provider, "period_start": iso(start), "period_end": iso(end), "model": model,
            "account": account, "currency": currency, "requests": None, "input_tokens": None, "output_tokens": None,
            "cost": cost, "cost_source": "reported",
        }
        for provider, start, end, model, account, currency, cost in usage
    ]  # fmt: skip
    periods = _periods({(row[0], *row[1:3]) for row in usage})
    return lines, int(other[0]) if other else 0, periods


def _periods(times: Iterable[tuple[str, datetime, datetime]]) -> set[Period]:
    """For each provider the period of its lines; one without length lasts for a moment."""
    periods: dict[str, tuple[datetime, datetime]] = {}
    for provider, start, end in times:
        first, last = periods.get(provider, (start, end))
        periods[provider] = (min(first, start), max(last, end, start + MOMENT))
    return {("focus", provider, iso(start), iso(end)) for provider, (start, end) in periods.items()}


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
        present = [f'"{columns[name.lower()]}"' for name in wanted if name.lower() in columns]
        return f"coalesce({', '.join(present)})" if present else "NULL::VARCHAR"

    category = quoted("ChargeCategory")
    return {
        "provider": quoted("ProviderName", "ServiceProviderName"), "start": quoted("ChargePeriodStart"),
        "end": quoted("ChargePeriodEnd"), "model": quoted(model_column) if model_column else quoted(*_MODEL),
        "account": quoted("SubAccountId"), "currency": quoted("BillingCurrency"), "cost": quoted("BilledCost"),
        "other": f"coalesce({category}, 'Usage') <> 'Usage'",
    }  # fmt: skip
