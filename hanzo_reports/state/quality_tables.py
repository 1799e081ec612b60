"""Tables of the guard in a store's state: verdicts, where the store is no folder, and what providers billed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from hanzo_reports.state.metadata import METADATA

VERDICTS = Table(
    "quality_verdict",
    METADATA,
    Column("verdict_id", Text, primary_key=True),  # begins with its instant, so that names sort by time
    Column("suite", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("verdict", Text, nullable=False),  # JSON
    Index("quality_verdict_suite", "suite", "scope", "verdict_id"),
)

BILLS = Table(
    "provider_bill",
    METADATA,
    Column("kind", Text, primary_key=True),  # openai_usage, openai_costs or focus
    Column("provider", Text, primary_key=True),
    Column("period_start", Text, primary_key=True),  # ISO 8601 in UTC
    Column("period_end", Text, primary_key=True),
    Column("model", Text, primary_key=True),  # empty: not told
    Column("account", Text, primary_key=True),  # FOCUS SubAccountId, a project; empty: not told
    Column("currency", Text, primary_key=True),
    Column("requests", BigInteger),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost", Text),  # a decimal with all digits; NULL: not told, and no price is known
    Column("cost_source", Text),
    Column("file", Text, nullable=False),
    Column("loaded_at", Text, nullable=False),
)
