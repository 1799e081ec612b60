"""Tables of the guard and of bills: verdicts of stores that are not folders, accepted events, lines of bills."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from hanzo_reports.state.metadata import METADATA, Instant

VERDICTS = Table(
    "quality_verdict",
    METADATA,
    Column("verdict_id", Text, primary_key=True),  # starts with its time, so ids sort chronologically
    Column("suite", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("verdict", Text, nullable=False),  # JSON
    Index("quality_verdict_suite", "suite", "scope", "verdict_id"),
)

# Events accepted despite a failed check of a suite.
ACCEPTANCES = Table(
    "quality_acceptance",
    METADATA,
    Column("suite", Text, primary_key=True),  # its name, or its path where it is a file of the user's own
    Column("check_id", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("because", Text, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("accepted_at", Instant, nullable=False),
)

BILLS = Table(
    "provider_bill",
    METADATA,
    Column("kind", Text, primary_key=True),  # openai_usage, openai_costs or focus
    Column("provider", Text, primary_key=True),
    Column("period_start", Text, primary_key=True),  # ISO 8601 in UTC
    Column("period_end", Text, primary_key=True),
    Column("model", Text, primary_key=True),  # empty: not stated
    Column("account", Text, primary_key=True),  # FOCUS SubAccountId, a project; empty: not stated
    Column("currency", Text, primary_key=True),
    Column("requests", BigInteger),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost", Text),  # a decimal with all digits; NULL: not stated, and no price is known
    Column("cost_source", Text),
    Column("file", Text, nullable=False),
    Column("loaded_at", Text, nullable=False),
)
