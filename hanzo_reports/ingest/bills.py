"""Bills of providers: OpenAI's usage and costs as JSON, FOCUS as CSV or Parquet; kept in a table of their own."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import duckdb

from hanzo_reports.errors import ColumnError, UnreadableError, nearest
from hanzo_reports.ingest.prices import cards, price_version
from hanzo_reports.quality.reconcile import name_of
from hanzo_reports.store.duck import literal
from hanzo_reports.store.quality_tables import BILLS
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hanzo_reports.store.base import Store

OPENAI = "openai"
KEY = [column.name for column in BILLS.primary_key]
DAY = 86_400
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

    Args:
        store: whose state keeps them.
        paths: OpenAI's usage or costs (JSON: pages, buckets, or lines of them) or FOCUS 1.0 to 1.2 (CSV, Parquet).
        now: when they are loaded.
        model_column: for FOCUS, the column that names the model; empty: `x_Model`, else `ServiceName`.

    Raises:
        UnreadableError: a file is missing, empty or not of these forms; nothing has changed.
        ColumnError: a FOCUS file lacks a column; nothing has changed.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    left_out = 0
    for path in paths:
        name = path.name.removesuffix(".gz")
        if name.endswith((".json", ".jsonl", ".ndjson")):
            found = list(_openai(path))
        else:
            found, skipped = _focus(path, model_column)
            left_out += skipped
        if not found:
            msg = f"{path}: no usage in it; give OpenAI's usage buckets as JSON, or a FOCUS file as CSV or Parquet"
            raise UnreadableError(msg)
        _gather(rows, found, str(path), iso(now))
    with store.state.begin() as connection:
        for key in rows:
            match = [BILLS.c[name] == value for name, value in zip(KEY, key, strict=True)]
            connection.execute(BILLS.delete().where(*match))
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


def _openai(path: Path) -> Iterator[dict[str, Any]]:
    for bucket in _buckets(path):
        try:
            start, end = (datetime.fromtimestamp(bucket[side], UTC) for side in ("start_time", "end_time"))
            for result in bucket["results"]:
                yield _line(result, start, end)
        except (LookupError, TypeError, ValueError, InvalidOperation) as error:
            msg = f"{path}: a bucket is not as OpenAI's usage API writes it: {type(error).__name__} {error}"
            raise UnreadableError(msg) from None


def _line(result: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    line = {"provider": OPENAI, "period_start": iso(start), "period_end": iso(end), "currency": "USD",
            "account": result.get("project_id") or "", "requests": None, "input_tokens": None,
            "output_tokens": None}  # fmt: skip
    if "amount" in result:
        model = name_of(str(result.get("line_item") or "").partition(",")[0])
        currency = str(result["amount"]["currency"]).upper()
        cost = Decimal(str(result["amount"]["value"]))
        return line | {"kind": "openai_costs", "model": model, "currency": currency, "cost": cost,
                       "cost_source": "reported"}  # fmt: skip
    listed = _priced(result, start)
    source = None if listed is None else f"computed:{price_version()}"
    return line | {
        "kind": "openai_usage", "model": name_of(result.get("model")), "requests": result.get("num_model_requests"),
        "input_tokens": result.get("input_tokens"), "output_tokens": result.get("output_tokens"), "cost": listed,
        "cost_source": source,
    }  # fmt: skip


def _priced(result: dict[str, Any], start: datetime) -> Decimal | None:
    """A bucket's tokens at list price, in the tier of its average request; None: a batch, or no price is known."""
    model, requests = result.get("model"), result.get("num_model_requests") or 1
    tokens = [int(result.get(name) or 0) for name in ("input_tokens", "input_cached_tokens", "output_tokens")]
    if not model or result.get("batch"):
        return None
    second, size = int(start.timestamp()), tokens[0] // requests
    for card in cards(OPENAI, model):
        holds = card.since <= second < card.until and card.opens <= second % DAY < card.closes
        if holds and card.above < size + (not size) <= card.upto:
            slopes = (card.input, card.cache_read, card.output)
            return card.request * requests + sum(
                (count * slope for count, slope in zip(tokens, slopes, strict=True)), Decimal(0)
            )
    return None


def _buckets(path: Path) -> Iterator[dict[str, Any]]:
    """The buckets of a page, of several, of a list, or of lines of any of these."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode()
    except (OSError, UnicodeDecodeError, EOFError) as error:
        msg = f"{path} cannot be read: {error}"
        raise UnreadableError(msg) from None
    try:
        parts = [json.loads(text, parse_float=Decimal)]
    except ValueError:
        try:
            parts = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            msg = f"{path}: no JSON: {error}"
            raise UnreadableError(msg) from None
    for part in parts:
        for one in part if isinstance(part, list) else [part]:
            inside = one.get("data", [one]) if isinstance(one, dict) else [one]
            for bucket in inside:
                if not isinstance(bucket, dict) or "results" not in bucket:
                    msg = f"{path}: no usage buckets; OpenAI's usage API gives a page with `data`, each with `results`"
                    raise UnreadableError(msg)
                yield bucket


def _focus(path: Path, model_column: str) -> tuple[list[dict[str, Any]], int]:
    """The usage of a FOCUS file by period, provider, model, account and currency; and how many rows bill no usage."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    parquet = path.name.endswith(".parquet")
    source = f"read_parquet({literal(path)})" if parquet else (
        f"read_csv({literal(path)}, all_varchar = true, header = true, nullstr = {_NOTHING})"
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
    lines = [
        {
            "kind": "focus", "provider": provider, "period_start": iso(start), "period_end": iso(end), "model": model,
            "account": account, "currency": currency, "requests": None, "input_tokens": None, "output_tokens": None,
            "cost": cost, "cost_source": "reported",
        }
        for provider, start, end, model, account, currency, cost in found
    ]  # fmt: skip
    return lines, int(skipped[0]) if skipped else 0


_SUMS = """
    SELECT lower(coalesce({provider}, '')), {start}::TIMESTAMPTZ, {end}::TIMESTAMPTZ,
        lower(regexp_extract(coalesce({model}, ''), '[^/]*$')), coalesce({account}, ''), upper({currency}),
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
