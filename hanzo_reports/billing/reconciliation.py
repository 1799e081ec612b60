"""What was computed beside what was billed, by UTC day, provider and model."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import pyarrow as pa
import sqlalchemy

from hanzo_reports.metrics.catalog import select_metrics
from hanzo_reports.metrics.query import aggregate_groups, filter_events, required_columns
from hanzo_reports.state.quality_tables import BILLS
from hanzo_reports.store.duckdb_session import connect_ibis
from hanzo_reports.units import Grain
from hanzo_reports.window import Window, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir
    from sqlalchemy import RowMapping

    from hanzo_reports.store.base import Store

Key: TypeAlias = tuple[str, str, str, str]  # day, provider, model, currency
KINDS = ("focus", "openai_costs", "openai_usage")  # of bills, the one that tells best what is to be paid first
METRICS = ("requests", "input_tokens", "output_tokens", "cost", "unpriced_requests")
PROVIDERS = {  # what bills call them, and what OpenTelemetry does
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


def billed(store: Store) -> bool:
    """Whether any bill is loaded."""
    with store.state.connect() as connection:
        return connection.execute(sqlalchemy.select(BILLS.c.kind).limit(1)).first() is not None


def covered(store: Store) -> tuple[datetime, datetime] | None:
    """The first and the last instant that bills are about; None: no bill is loaded."""
    first, last = sqlalchemy.func.min(BILLS.c.period_start), sqlalchemy.func.max(BILLS.c.period_end)
    with store.state.connect() as connection:
        row = connection.execute(sqlalchemy.select(first, last)).one()
    return (datetime.fromisoformat(row[0]), datetime.fromisoformat(row[1])) if row[0] else None


def reconciliation(store: Store, window: Window, *, listed: Callable[[str, str], str] | None = None) -> ir.Table:
    """What was computed beside what was billed.

    Only whole UTC days of the window that a bill speaks of are compared, and only the events of a provider that sent
    one. Models are compared by their names in lower case, without what stands before a slash; names that only one side
    has, by the name that the price list has for them. Of bills of several kinds about one day, one tells the cost:
    what was charged before what usage costs at list price. A charge for more than a day is compared over its days.

    Args:
        store: with the events and the bills.
        window: which days.
        listed: the price list's name for a provider's model; None: names are compared as they are.

    Returns:
        One row per UTC day (for longer charges ``first..last``), provider, model and currency, in that order:
        `requests` and `billed_requests`, `tokens` and `billed_tokens`, `unpriced_requests`, `cost` and `billed_cost`
        (NULL: nothing there, or not told), `difference` (cost - billed_cost; one that is not there counts 0) and
        `difference_share` (of billed_cost, NULL without any).
    """
    start, end = _day_up(window.start), window.end.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    bills = _bills(store, start, end)
    spans = _spans(bills)
    days = {(provider, day) for (provider, _), found in spans.items() for day in found}
    providers = {row["provider"] for row in bills}
    rows: dict[Key, dict[str, Any]] = {}
    for row in bills:
        label = spans[row["provider"], row["model"]][row["first"]]
        side = rows.setdefault((label, row["provider"], row["model"], row["currency"]), {})
        for name in ("requests", "tokens", "cost"):
            side[f"billed_{name}"] = _plus(side.get(f"billed_{name}"), row[name])
    for row in _events(store, start, end) if start < end and bills else ():
        provider = _billed_as(row["provider"], row["model"], providers, bills)
        if provider and (provider, row["day"]) in days:
            label = spans.get((provider, row["model"]), {}).get(row["day"], row["day"])
            side = rows.setdefault((label, provider, row["model"], "USD"), {})
            for name in ("requests", "tokens", "cost", "unpriced_requests"):
                side[name] = _plus(side.get(name), row[name])
    if listed:
        rows = _renamed(rows, listed)
    table = pa.Table.from_pylist([_row(key, side) for key, side in sorted(rows.items())], schema=_SCHEMA)
    return connect_ibis(duckdb.connect()).create_table("reconciliation", table)


def _renamed(rows: dict[Key, dict[str, Any]], listed: Callable[[str, str], str]) -> dict[Key, dict[str, Any]]:
    """The rows, those that only events have beside the bill's under the same name in the price list."""
    seen = {key for key, side in rows.items() if "requests" in side}
    billed = {(day, provider, listed(provider, model), currency): (day, provider, model, currency)
              for day, provider, model, currency in rows.keys() - seen}  # fmt: skip
    found = {key: side for key, side in rows.items() if key not in seen or "billed_cost" in side}
    for key in sorted(seen - found.keys()):
        day, provider, model, currency = key
        side = found.setdefault(billed.get((day, provider, listed(provider, model), currency), key), {})
        side |= {name: _plus(side.get(name), value) for name, value in rows[key].items()}
    return found


def _spans(bills: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, str]]:
    """For each provider and model: each day that is billed, and what the days are called that it is billed with."""
    charged: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for row in bills:
        charged.setdefault((row["provider"], row["model"]), set()).add((row["first"], row["last"]))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for key, periods in charged.items():
        joined: list[list[str]] = []
        for first, last in sorted(periods):
            if joined and first <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], last)
            else:
                joined.append([first, last])
        found[key] = {day: first if first == last else f"{first}..{last}" for first, last in joined
                      for day in _days(first, last)}  # fmt: skip
    return found


def _days(first: str, last: str) -> list[str]:
    start = date.fromisoformat(first)
    return [(start + timedelta(days=n)).isoformat() for n in range((date.fromisoformat(last) - start).days + 1)]


def name_of(model: str | None) -> str:
    """A model's name as both sides are compared by it."""
    return (model or "").rpartition("/")[2].strip().lower()


def _row(key: tuple[str, str, str, str], side: dict[str, Any]) -> dict[str, Any]:
    cost, billed_cost = side.get("cost"), side.get("billed_cost")
    if billed_cost is not None:
        side["billed_cost"] = billed_cost = billed_cost.quantize(_UNIT)  # bills have finer amounts, by the line
    difference = (cost or Decimal(0)) - (billed_cost or Decimal(0))
    share = float(difference / billed_cost) if billed_cost else None
    named = dict(zip(("day", "provider", "model", "currency"), key, strict=True))
    return {**named, **side, "difference": difference, "difference_share": share}


def _bills(store: Store, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The lines of bills about a range, `first` and `last` their days; a day's cost is of one kind of bill."""
    columns = BILLS.c
    asked = sqlalchemy.select(BILLS).where(
        columns.period_start >= iso(start), columns.period_start < iso(end), columns.period_end <= iso(end)
    )
    with store.state.connect() as connection:
        held = [(*_charged(row), row) for row in connection.execute(asked).mappings()]
    telling: dict[tuple[str, str], str] = {}
    for first, last, row in held:
        if row["cost"] is not None:
            for day in _days(first, last):
                place = (row["provider"], day)
                telling[place] = min(telling.get(place, row["kind"]), row["kind"], key=_telling)
    return [
        {
            "first": first, "last": last, "provider": row["provider"], "model": name_of(row["model"]),
            "currency": row["currency"], "requests": row["requests"],
            "tokens": _plus(row["input_tokens"], row["output_tokens"]), "cost": Decimal(row["cost"]) if tells else None,
        }
        for first, last, row in held
        if (tells := row["cost"] is not None and _telling(telling[row["provider"], first]) == _telling(row["kind"]))
        or row["requests"] is not None or row["input_tokens"] is not None or row["output_tokens"] is not None
    ]  # fmt: skip


def _telling(kind: str) -> int:
    """How well a kind of bill tells what is to be paid; 0 is best, and usage at list price the last resort."""
    return next((place for place, name in enumerate(KINDS) if kind.startswith(name)), len(KINDS))


def _charged(row: RowMapping) -> tuple[str, str]:
    """The first and the last UTC day of a charge; one of at most 24 hours is of the day that it begins in."""
    start, end = (datetime.fromisoformat(row[side]).astimezone(UTC) for side in ("period_start", "period_end"))
    first, last = start.date(), (end - timedelta(microseconds=1)).date()
    return first.isoformat(), (first if end - start <= timedelta(days=1) else last).isoformat()


def _events(store: Store, start: datetime, end: datetime) -> list[dict[str, Any]]:
    window, asked = Window(start, end), select_metrics(METRICS)
    dims = ["provider", "model"]
    events = filter_events(store.events(start, end), window, None, required_columns(asked, dims))
    days = aggregate_groups(events, window, asked, dims, Grain.DAY)
    found = days.filter(days.requests > 0).order_by("period", *dims).to_pyarrow().to_pylist()
    return [
        {
            "day": row["period"][:10], "provider": row["provider"], "model": name_of(row["model"]),
            "requests": row["requests"], "tokens": _plus(row["input_tokens"], row["output_tokens"]),
            "cost": row["cost"], "unpriced_requests": row["unpriced_requests"],
        }
        for row in found
    ]  # fmt: skip


def _billed_as(provider: str | None, model: str, providers: set[str], bills: Sequence[dict[str, Any]]) -> str | None:
    """The provider of a bill that an event belongs to; None: none of them sent it."""
    if provider:
        name = provider.lower()
        return next((one for one in sorted(providers) if name == one or name in PROVIDERS.get(one, ())), None)
    return next((row["provider"] for row in bills if model and row["model"] == model), None)


def _plus(a: Any, b: Any) -> Any:  # noqa: ANN401  # numbers, or None where nothing is told
    return b if a is None else a if b is None else a + b


def _day_up(instant: datetime) -> datetime:
    day = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day if day == instant else day + timedelta(days=1)
