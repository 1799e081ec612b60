"""Events for tests, with usual values for what a test does not state, and an empty store to load them into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from hanzo_reports import store
from hanzo_reports.events import SCHEMA

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture(scope="session")
def arrow():
    """A function that makes an Arrow table of events from rows, with usual values for missing columns."""

    def make(rows, **types):
        usual = {
            "service": "gateway", "project": "search", "status": 200, "model": "gpt-4o", "provider": "openai",
            "latency_ms": 900.0, "time_to_first_token_ms": 90.0, "input_tokens": 1000, "output_tokens": 100,
            "cache_read_tokens": 200, "cache_write_tokens": 0, "reasoning_tokens": 10, "bytes_in": 10, "bytes_out": 20,
            "queue_depth": 1, "queue_capacity": 10, "cost": 0.0035, "cost_source": "computed:x",
            "timestamp": NOW - timedelta(hours=1), "ingested_at": NOW,
        }  # fmt: skip
        wide = {name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()} | types
        schema = ibis.schema(wide).to_pyarrow()
        if "cost" not in types:
            usual["cost"] = Decimal("0.0035")
        filled = [usual | row for row in rows]
        return pa.Table.from_pylist([{name: row.get(name) for name in wide} for row in filled], schema=schema)

    return make


@pytest.fixture
def lake(tmp_path):
    return store.open(str(tmp_path / "lake"), create=True)
