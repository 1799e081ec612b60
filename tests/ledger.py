"""What tests of budgets share: events with costs, and the state database opened anew."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import ibis
import pyarrow as pa
import sqlalchemy

from hanzo_reports.events import SCHEMA
from hanzo_reports.state.database import open_sqlite_state
from hanzo_reports.state.migrate import migrate

JULY = datetime(2025, 7, 1, tzinfo=UTC)
_SCHEMA = ibis.schema({name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()}).to_pyarrow()


def build_events(tuples, con):
    """Build events from (id, instant, project, cost)."""
    tuples = list(tuples)
    columns = {name: [None] * len(tuples) for name in SCHEMA}
    columns["event_id"], columns["timestamp"], columns["project"], costs = map(list, zip(*tuples, strict=True))
    columns |= {
        "cost": [None if cost is None else Decimal(cost) for cost in costs],
        "ingested_at": columns["timestamp"],
    }
    columns |= {"service": ["gateway"] * len(tuples), "status": [200] * len(tuples), "input_tokens": [1] * len(tuples)}
    arrays = {field.name: pa.array(columns[field.name], field.type) for field in _SCHEMA}
    return con.create_table(ibis.util.gen_name("rows"), pa.table(arrays))


def open_state(address):
    """Open the state database at a file's path or an address."""
    if "://" not in address:
        return open_sqlite_state(Path(address))
    engine = sqlalchemy.create_engine(address)
    migrate(engine, "state", address)
    return engine
