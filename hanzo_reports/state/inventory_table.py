"""The table of `state.inventory`, which a store in Postgres uses."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from hanzo_reports.state.metadata import METADATA

INVENTORY = Table(
    "state_inventory",
    METADATA,
    Column("table_name", Text, primary_key=True),  # a table that has rows
)
