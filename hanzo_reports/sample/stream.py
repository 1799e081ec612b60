"""The events of the synthetic platform, generated block by block, each block from a random stream of its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hanzo_reports.atomic_write import stage_file
from hanzo_reports.errors import UsageError
from hanzo_reports.events import COLUMNS, MONEY, TIMESTAMP
from hanzo_reports.sample.platform import (
    BY_KEY,
    BY_ROUTE,
    CANCELLED,
    INVALID,
    KEYS,
    LIMITED,
    PROJECTS,
    SERVER,
    STEPS,
    TEAMS_PER_PROJECT,
    USERS_PER_TEAM,
    WEEK,
    build_tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hanzo_reports.sample.platform import Mask, Numbers

_ARROW = {
    "string": pa.string(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    TIMESTAMP: pa.timestamp("us", "UTC"),
    MONEY: pa.decimal128(18, 9),
}
SCHEMA = pa.schema([(column.name, _ARROW[column.dtype]) for column in COLUMNS if column.name != "ingested_at"])

GROWING_PROJECT = "commerce"  # its prompts double over the last day
INCIDENT_BEFORE = timedelta(hours=15)
INCIDENT_HALF = timedelta(minutes=22, seconds=30)
SERVER_PPM = 600  # server errors per million requests
INCIDENT_PPM = 300_000  # additional ones at the peak of the incident, enough to show at night
CLIENT_PPM = (2_600, 3_600, 4_800)  # per million: rate limited below the first, then cancelled, then invalid
CACHE_WRITE_PERCENTILE = 90  # requests from this percentile on write their prompt to the cache
BLOCK_ROWS = 250_000  # of an average day, generated at once
MINUTE_MICROSECONDS = 60_000_000


class Plan(NamedTuple):
    """What the events of a block depend on besides its time."""

    per_day: int
    seed: int
    until: datetime


def sample(
    start: datetime, days: float, per_day: int, seed: int = 7, *, until: datetime | None = None
) -> pa.RecordBatchReader:
    """The synthetic platform's events over a period.

    Args:
        start: the first instant, with a UTC offset.
        days: length of the period in days of 24 hours; may have a fraction.
        per_day: requests on an average day at the end of the data; earlier days have slightly fewer.
        seed: a different seed gives different events; event ids contain it.
        until: the end of the data, which the incident and the growth precede; None: the end of the period. Periods that
            are generated separately with the same `until` join exactly.

    Returns:
        A stream of record batches with the event's columns except `ingested_at`, ordered by time; `cost` is NULL except
        for providers that report one.

    Raises:
        UsageError: no UTC offset, an empty period, or no requests.
    """
    if start.tzinfo is None or (until and until.tzinfo is None):
        msg = "the sample's start and end must have a UTC offset, for example 2025-06-01T00:00:00+00:00"
        raise UsageError(msg)
    if days <= 0 or per_day <= 0 or seed < 0:
        msg = f"a sample needs days and requests above 0 and a seed of at least 0, not {days=}, {per_day=}, {seed=}"
        raise UsageError(msg)
    start = start.astimezone(UTC)
    end = start + timedelta(days=days)
    plan, blocks = Plan(per_day, seed, (until or end).astimezone(UTC)), min(-(-per_day // BLOCK_ROWS), 1440)

    def batches() -> Iterator[pa.RecordBatch]:
        for day in range(start.date().toordinal(), (end - timedelta(microseconds=1)).date().toordinal() + 1):
            for block in range(blocks):
                batch = _generate_block(plan, day, block * 1440 // blocks, (block + 1) * 1440 // blocks)
                inside = np.searchsorted(
                    batch["timestamp"].cast(pa.int64()), [_microseconds(start), _microseconds(end)]
                )
                if inside[1] > inside[0]:
                    yield batch.slice(inside[0], inside[1] - inside[0])

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


def write_sample(path: Path, start: datetime, days: float, per_day: int, seed: int = 7) -> int:
    """Write the events of `sample` to a Parquet file, which appears whole or not at all; returns their number."""
    row_count = 0
    with (
        stage_file(path) as partial,
        sample(start, days, per_day, seed) as reader,
        pq.ParquetWriter(partial, reader.schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)
            row_count += batch.num_rows
    return row_count


def _microseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _count(plan: Plan, day: int, share: float, noise: int) -> int:
    """The number of requests in a part of a day: the weekday's share, 0.3 % of growth a day, and noise."""
    age = max(0, plan.until.date().toordinal() - day)
    return round(plan.per_day * share * WEEK[(day - 1) % 7] / 100 / (1 + 0.003 * age) * noise / 1000)


def _generate_block(plan: Plan, day: int, first: int, last: int) -> pa.RecordBatch:
    """The events of the minutes [first, last) of one UTC day, from a random stream of their own."""
    t, rng = build_tables(), np.random.default_rng([plan.seed, day, first])
    low, high = int(t.minutes[first - 1]) if first else 0, int(t.minutes[last - 1])
    n = _count(plan, day, (high - low) / int(t.minutes[-1]), int(rng.integers(985, 1016)))

    def draw() -> Numbers:
        return rng.integers(0, STEPS, n, dtype=np.int16)

    minute = np.sort(np.searchsorted(t.minutes, rng.integers(low, high, n), side="right"))
    midnight = _microseconds(datetime.combine(date.fromordinal(day), time(), UTC))
    when = np.sort(midnight + minute * MINUTE_MICROSECONDS + rng.integers(0, MINUTE_MICROSECONDS, n))
    severity = _incident_severity(when, plan.until)

    key = t.key[rng.integers(0, 1000, n)]
    project = key // (len(KEYS) * TEAMS_PER_PROJECT)
    route = t.route[project, rng.integers(0, 1000, n)]
    outcome = _outcome(rng.integers(0, 1_000_000, n), severity, t.chats[route])
    answered = (outcome == 0) | (outcome == CANCELLED)

    reads = t.reads[route, draw()] * _prompts(when, project, plan.until) // 1000
    writes = t.writes[route, draw()] >> (outcome == CANCELLED)
    slow = t.jitter[draw()] * (1000 + 2 * severity)  # millionths of the usual time
    started = t.first[route, draw()] * slow // 1_000_000
    duration = started + t.token[route] * writes * slow // 1_000_000
    duration = np.where(answered | (outcome >= SERVER), duration, 2_000 + duration % 4_000)  # a refusal is quick

    luck, size, capacity = rng.integers(0, 100, n), t.sizes[draw()], t.capacity[route]
    busy = 100 + 280 * t.load[minute] // 1000 + luck * 2 + severity // 2  # per mille of the queue
    user = key // len(KEYS) * USERS_PER_TEAM + t.user[draw()]
    places = dict.fromkeys(BY_KEY, key)
    places |= dict.fromkeys(BY_ROUTE, route) | {"user": user, "error_type": outcome}
    columns = {name: t.names[name].take(pa.array(place)) for name, place in places.items()}
    columns |= _tokens(route, reads, writes, luck, answered) | {
        "event_id": _ids(f"syn{plan.seed}-{date.fromordinal(day):%Y%m%d}-{first}-", n),
        "timestamp": pa.array(when, pa.timestamp("us", "UTC")),
        "status": pa.array(t.status[outcome]),
        "latency_ms": pa.array(duration / 1000),
        "time_to_first_token_ms": pa.array(started / 1000, mask=~(answered & t.chats[route])),
        "bytes_in": pa.array(size + 4 * reads),
        "bytes_out": pa.array(size // 2 + 5 * writes),
        "queue_depth": pa.array(capacity * busy // 1000, pa.int32()),
        "queue_capacity": pa.array(capacity, pa.int32()),
    }
    batch = pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    present = rng.integers(0, 1000, n) >= severity * 3 // 5  # clients give up during the incident
    return batch if present.all() else batch.filter(pa.array(present))


def _incident_severity(when: Numbers, until: datetime) -> Numbers:
    """The severity of the incident at each instant, per mille: a steep rise, a plateau, a steep fall."""
    half = INCIDENT_HALF // timedelta(milliseconds=1)
    away: Numbers = np.clip((when - _microseconds(until - INCIDENT_BEFORE)) // 1000, -half, half)
    severity: Numbers = np.clip(2500 - 2500 * away * away // (half * half), 0, 1000)
    return severity


def _prompts(when: Numbers, project: Numbers, until: datetime) -> Numbers:
    """The length of prompts, per mille of the usual; for the growing project it doubles over the last day."""
    day = 86_400_000_000
    grown = np.clip(when - _microseconds(until) + day, 0, day) * 1000 // day
    return 1000 + np.where(project == list(PROJECTS).index(GROWING_PROJECT), grown, 0)


def _outcome(chance: Numbers, severity: Numbers, chats: Mask) -> Numbers:
    """The outcome of each request, as a position in OUTCOMES; only a stream can be cancelled."""
    server = SERVER_PPM + INCIDENT_PPM * severity // 1000
    refused = np.array([LIMITED, CANCELLED, INVALID, 0])[np.searchsorted(CLIENT_PPM, chance - server, side="right")]
    refused = np.where((refused == CANCELLED) & ~chats, 0, refused)
    return np.where(chance < server, SERVER + chance % 3, refused)


def _tokens(route: Numbers, reads: Numbers, writes: Numbers, luck: Numbers, answered: Mask) -> dict[str, pa.Array]:
    """Tokens and reported costs; NULL without a model, without a response, or if the model has no such tokens."""
    t = build_tables()
    models, cached = answered & t.models[route], t.cached[route]
    hit, fresh = luck < cached, luck >= CACHE_WRITE_PERCENTILE
    priced = models & (t.prices[route, 0] > 0)
    cost = pa.array(reads * t.prices[route, 0] + writes * t.prices[route, 1], mask=~priced)  # billionths of a dollar
    return {
        "input_tokens": pa.array(reads, mask=~models),
        "output_tokens": pa.array(writes, mask=~models),
        "cache_read_tokens": pa.array(
            np.where(hit, reads * (50 + luck // 2) // 100, 0), mask=~(models & (cached >= 0))
        ),
        "cache_write_tokens": pa.array(np.where(fresh, reads * 3 // 5, 0), mask=~(models & t.pays_writes[route])),
        "reasoning_tokens": pa.array(writes * (30 + luck // 3) // 100, mask=~(models & t.reasons[route])),
        "cost": cost.cast(pa.decimal128(19, 0)).view(pa.decimal128(18, 9)),
        "cost_source": pa.array(["reported"]).take(pa.array(np.zeros(len(cost), np.int8), mask=~priced)),
    }


def _ids(prefix: str, n: int) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(np.arange(n)).cast(pa.string()), "")
