"""Tables of budgets, their notifications, reservations, and of issued forecasts."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Column, Date, Float, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

from hanzo_reports.state.metadata import METADATA, Instant

if TYPE_CHECKING:
    import sqlalchemy

_UNIT = Decimal("1e-9")  # as precise as the cost of an event


def round_up_usd(usd: Decimal) -> Decimal:
    """Round US dollars up to the billionth, the precision of the database."""
    return usd.quantize(_UNIT, ROUND_CEILING)


class Money(TypeDecorator[Decimal]):
    """US dollars, exact to the billionth: the database has whole billionths, which it adds and compares exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sqlalchemy.Dialect) -> int | None:
        """Return whole billionths; a finer part is rounded up."""
        del dialect
        return None if value is None else int(round_up_usd(value).scaleb(9))

    def process_result_value(self, value: int | None, dialect: sqlalchemy.Dialect) -> Decimal | None:
        """Return dollars."""
        del dialect
        return None if value is None else Decimal(value) * _UNIT


BUDGETS = Table(
    "budget",
    METADATA,
    Column("budget_id", Text, primary_key=True),
    Column("project", Text, nullable=False, unique=True),
    Column("monthly_limit", Money, nullable=False),
    Column("thresholds", Text, nullable=False),  # JSON: shares of the limit, as decimal texts
    Column("on_exceed", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("forecast_alert", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),  # raised by each change of the limit
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

REVISIONS = Table(
    "budget_revision",
    METADATA,
    Column("budget_id", ForeignKey("budget.budget_id", ondelete="CASCADE"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("monthly_limit", Money, nullable=False),
    Column("since", Instant, nullable=False),
)

# Notifications, which outlive the budget: there is no foreign key.
BUDGET_ALERTS = Table(
    "budget_alert",
    METADATA,
    Column("budget_id", Text, primary_key=True),
    Column("period_start", Date, primary_key=True),
    Column("threshold", Text, primary_key=True),  # a share of the limit, or "forecast" for a forecast above it
    Column("limit_revision", Integer, primary_key=True),
    Column("project", Text, nullable=False),
    Column("spent", Money, nullable=False),
    Column("monthly_limit", Money, nullable=False),
    Column("at", Instant, nullable=False),
    Column("notify", Boolean, nullable=False),  # of several that are crossed at once, only the highest
)

# One row per budget and month: the newest sum of the events, and the amount reserved in addition.
PERIODS = Table(
    "budget_period",
    METADATA,
    Column("budget_id", ForeignKey("budget.budget_id", ondelete="CASCADE"), primary_key=True),
    Column("period_start", Date, primary_key=True),
    Column("spent", Money, nullable=False),
    Column("reserved", Money, nullable=False),
    Column("as_of", Instant, nullable=False),
    Column("store_version", Text, nullable=False),
    Column("turn", Integer, nullable=False),  # raised by each sum, so that an older one never replaces a newer one
)

RESERVATIONS = Table(
    "budget_reservation",
    METADATA,
    Column("event_id", Text, primary_key=True),  # that of the event that will settle it
    Column("budget_id", ForeignKey("budget.budget_id", ondelete="CASCADE"), nullable=False),
    Column("period_start", Date, nullable=False),
    Column("amount", Money, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("budget_reservation_open", "budget_id", "period_start"),
)

FORECASTS = Table(
    "forecast",
    METADATA,
    Column("series", Text, primary_key=True),  # JSON: dimension -> value; {} is all events
    Column("period_start", Date, primary_key=True),
    Column("issued_on", Date, primary_key=True),  # the local day of as_of; the first forecast of a day stays
    Column("timezone", Text, primary_key=True),
    Column("issued_at", Instant, nullable=False),
    Column("as_of", Instant, nullable=False),
    Column("burst", Text, nullable=False),
    Column("spent", Money, nullable=False),
    Column("low_95", Money, nullable=False),
    Column("p10", Money, nullable=False),
    Column("p50", Money, nullable=False),
    Column("p90", Money, nullable=False),
    Column("high_95", Money, nullable=False),
    Column("monthly_limit", Money),
    Column("p_exceed", Float),
    Column("run_rate", Money),  # the forecast of run-rate arithmetic, for comparison
)


def insert_new(connection: sqlalchemy.Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert a row unless its key exists; return whether it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(table).values(row).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return connection.execute(insert).first() is not None  # psycopg does not count rows here
