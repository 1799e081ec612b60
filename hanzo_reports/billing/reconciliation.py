"""Computed spend beside billed spend, by UTC day, provider and model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import pyarrow as pa

from hanzo_reports.billing.bill_lines import day_end, day_start, model_name, select_lines, with_one_cost_a_day
from hanzo_reports.metrics.catalog import select_metrics
from hanzo_reports.metrics.query import aggregate_groups, filter_events, required_columns
from hanzo_reports.store.duckdb_session import connect_ibis
from hanzo_reports.units import Grain
from hanzo_reports.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from hanzo_reports.billing.bill_lines import BillLine
    from hanzo_reports.store.base import Store

Key: TypeAlias = tuple[str, str, str, str]  # day, provider, model, currency
METRICS = ("requests", "input_tokens", "output_tokens", "cost", "unpriced_requests")
PROVIDERS = {  # the names of a provider in bills, and its names in OpenTelemetry
    "aws": ("aws.bedrock", "bedrock", "amazon"), "amazon web services": ("aws.bedrock", "bedrock", "amazon"),
    "microsoft": ("azure.ai.openai", "azure.ai.inference", "azure"),
    "google": ("gcp.vertex_ai", "gcp.gemini", "vertex_ai", "gemini"),
    "google cloud": ("gcp.vertex_ai", "gcp.gemini", "vertex_ai", "gemini"),
}  # fmt: skip
_MONEY, _UNIT = pa.decimal128(38, 9), Decimal("1e-9")
_SCHEMA = pa.schema([
    ("day", pa.string()), ("provider", pa.string()), ("model", pa.string()), ("currency", pa.string()),
    ("requests", pa.int64()), ("billed_requests", pa.int64()), ("tokens", pa.int64()), ("billed_tokens", pa.int64()),
    ("unpriced_requests", pa.int64()), ("cost", _MONEY), ("billed_cost", _MONEY), ("difference", _MONEY),
    ("difference_share", pa.float64()),
])  # fmt: skip


def reconciliation(store: Store, window: Window, *, list_name: Callable[[str, str], str] | None = None) -> ir.Table:
    """Computed spend beside billed spend.

    Only the window's whole UTC days with a bill are compared, and only events of a provider that sent a bill. Models
    are compared by `model_name`; a name that only one side has, by the price list's name for it. Where bills of several
    kinds are about one day, its cost comes from one kind: charges before usage at list price. A charge for more than a
    day is compared over all its days.

    Args:
        store: with the events and the bills.
        window: which days.
        list_name: the price list's name for a provider's model; None: names are compared as they are.

    Returns:
        One row per UTC day (for longer charges ``first..last``), provider, model and currency, in that order:
        `requests` and `billed_requests`, `tokens` and `billed_tokens`, `unpriced_requests`, `cost` and `billed_cost`
        (NULL: that side has no row, or does not state it), `difference` (cost - billed_cost; a missing side counts as
        0) and `difference_share` (of billed_cost; NULL where that is missing or 0).
    """
    inside, _ = select_lines(store, window)
    bills = list(with_one_cost_a_day(inside))
    labels = _day_labels(bills)
    billed_days = {(provider, day) for (provider, _), days in labels.items() for day in days}
    providers = {line.provider for line in bills}
    rows: dict[Key, dict[str, Any]] = {}
    for line in bills:
        label = labels[line.provider, line.model][line.first]
        side = rows.setdefault((label, line.provider, line.model, line.currency), {})
        for name in ("requests", "tokens", "cost"):
            side[f"billed_{name}"] = _add(side.get(f"billed_{name}"), getattr(line, name))
    for row in _event_days(store, day_end(window.start), day_start(window.end)) if bills else ():
        provider = _match_provider(row["provider"], row["model"], providers, bills)
        if provider and (provider, row["day"]) in billed_days:
            label = labels.get((provider, row["model"]), {}).get(row["day"], row["day"].isoformat())
            side = rows.setdefault((label, provider, row["model"], "USD"), {})
            for name in ("requests", "tokens", "cost", "unpriced_requests"):
                side[name] = _add(side.get(name), row[name])
    if list_name:
        rows = _match_list_names(rows, list_name)
    table = pa.Table.from_pylist([_row(key, side) for key, side in sorted(rows.items())], schema=_SCHEMA)
    return connect_ibis(duckdb.connect()).create_table("reconciliation", table)


def _match_list_names(
    rows: dict[Key, dict[str, Any]], list_name: Callable[[str, str], str]
) -> dict[Key, dict[str, Any]]:
    """The rows, those that only events have merged into the bill's row of the same name in the price list."""
    with_events = {key for key, side in rows.items() if "requests" in side}
    billed = {(day, provider, list_name(provider, model), currency): (day, provider, model, currency)
              for day, provider, model, currency in rows.keys() - with_events}  # fmt: skip
    merged = {key: side for key, side in rows.items() if key not in with_events or "billed_cost" in side}
    for key in sorted(with_events - merged.keys()):
        day, provider, model, currency = key
        side = merged.setdefault(billed.get((day, provider, list_name(provider, model), currency), key), {})
        side |= {name: _add(side.get(name), value) for name, value in rows[key].items()}
    return merged


def _day_labels(bills: Sequence[BillLine]) -> dict[tuple[str, str], dict[date, str]]:
    """For each provider and model: each billed day, and the label of the row that it is compared in.

    Charges that share a day are compared together.
    """
    by_model: dict[tuple[str, str], list[BillLine]] = {}
    for line in bills:
        by_model.setdefault((line.provider, line.model), []).append(line)
    return {
        key: {day: period.label for period in _join_overlaps(lines) for day in period.days}
        for key, lines in by_model.items()
    }


def _join_overlaps(lines: Sequence[BillLine]) -> list[BillLine]:
    """Lines whose days cover those of all, those that share a day joined into one."""
    joined: list[BillLine] = []
    for line in sorted(lines, key=lambda line: (line.first, line.last)):
        if joined and line.first <= joined[-1].last:
            joined[-1] = replace(joined[-1], last=max(joined[-1].last, line.last))
        else:
            joined.append(line)
    return joined


def _row(key: Key, side: dict[str, Any]) -> dict[str, Any]:
    cost, billed_cost = side.get("cost"), side.get("billed_cost")
    if billed_cost is not None:
        side["billed_cost"] = billed_cost = billed_cost.quantize(_UNIT)  # lines of bills may be finer
    difference = (cost or Decimal(0)) - (billed_cost or Decimal(0))
    share = float(difference / billed_cost) if billed_cost else None
    named = dict(zip(("day", "provider", "model", "currency"), key, strict=True))
    return {**named, **side, "difference": difference, "difference_share": share}


def _event_days(store: Store, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The events of whole UTC days by day, provider and model."""
    if start >= end:
        return []
    window, metrics = Window(start, end), select_metrics(METRICS)
    dims = ["provider", "model"]
    events = filter_events(store.events(start, end), window, None, required_columns(metrics, dims))
    days = aggregate_groups(events, window, metrics, dims, Grain.DAY)
    rows = days.filter(days.requests > 0).order_by("period", *dims).to_pyarrow().to_pylist()
    return [
        {
            "day": date.fromisoformat(row["period"][:10]), "provider": row["provider"],
            "model": model_name(row["model"]), "requests": row["requests"],
            "tokens": _add(row["input_tokens"], row["output_tokens"]), "cost": row["cost"],
            "unpriced_requests": row["unpriced_requests"],
        }
        for row in rows
    ]  # fmt: skip


def _match_provider(provider: str | None, model: str, providers: set[str], bills: Sequence[BillLine]) -> str | None:
    """The provider of a bill that an event belongs to; None: no bill is from its provider."""
    if provider:
        name = provider.lower()
        return next((one for one in sorted(providers) if name == one or name in PROVIDERS.get(one, ())), None)
    return next((line.provider for line in bills if model and line.model == model), None)


def _add(a: Any, b: Any) -> Any:  # noqa: ANN401  # int or Decimal; None: not stated
    """The sum of what is stated; None where neither is."""
    return b if a is None else a if b is None else a + b
