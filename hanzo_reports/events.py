"""The event: one finished request, the one schema that every store holds and every metric reads."""

from __future__ import annotations

from dataclasses import dataclass

TIMESTAMP = "timestamp('UTC', 6)"
MONEY = "decimal(18, 9)"


@dataclass(frozen=True)
class Column:
    """One column of the event.

    Args:
        name: the column's name.
        dtype: its type, as Ibis writes it.
        nullable: whether it may be unknown.
        meaning: one line.
        source: the OpenTelemetry attribute or FOCUS column it follows; empty when it is our own.
        unit: what its number counts; empty when it is no number.
        dimension: whether answers can be grouped and filtered by it.
    """

    name: str
    dtype: str
    nullable: bool
    meaning: str
    source: str = ""
    unit: str = ""
    dimension: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("event_id", "string", False, "the source's request id; every load dedupes by it"),
    Column("timestamp", TIMESTAMP, False, "when the request started", "FOCUS ChargePeriodStart"),
    Column("service", "string", False, "the platform service that answered", "service.name", dimension=True),
    Column("endpoint", "string", True, "its route", "http.route", dimension=True),
    Column("operation", "string", True, "chat, embeddings, ...", "gen_ai.operation.name", dimension=True),
    Column("provider", "string", True, "who answered", "gen_ai.provider.name", dimension=True),
    Column("model", "string", True, "the model that answered", "gen_ai.response.model", dimension=True),
    Column("project", "string", False, "the unit that budgets bind", "FOCUS SubAccountId", dimension=True),
    Column("team", "string", True, "an allocation dimension", dimension=True),
    Column("user", "string", True, "who asked", "user.id", dimension=True),
    Column("environment", "string", True, "production, staging, ...", "deployment.environment.name", dimension=True),
    Column("region", "string", True, "where it ran", "FOCUS RegionId", dimension=True),
    Column("api_key", "string", True, "the key's id or hash, never the key", dimension=True),
    Column("status", "int16", False, "HTTP status; a cancelled stream is 499", "http.response.status_code", dimension=True),
    Column("error_type", "string", True, "what kind of failure", "error.type", dimension=True),
    Column("latency_ms", "float64", True, "from request to last byte", "gen_ai.client.operation.duration", "ms"),
    Column("time_to_first_token_ms", "float64", True, "from request to first token",
           "gen_ai.response.time_to_first_chunk", "ms"),
    Column("input_tokens", "int64", True, "tokens read, cache reads and writes included",
           "gen_ai.usage.input_tokens", "tokens"),
    Column("output_tokens", "int64", True, "tokens written, reasoning included", "gen_ai.usage.output_tokens", "tokens"),
    Column("cache_read_tokens", "int64", True, "part of input_tokens read from a cache",
           "gen_ai.usage.cache_read.input_tokens", "tokens"),
    Column("cache_write_tokens", "int64", True, "part of input_tokens written to a cache",
           "gen_ai.usage.cache_creation.input_tokens", "tokens"),
    Column("reasoning_tokens", "int64", True, "part of output_tokens spent on reasoning",
           "gen_ai.usage.reasoning.output_tokens", "tokens"),
    Column("bytes_in", "int64", True, "size of the request", "http.request.size", "bytes"),
    Column("bytes_out", "int64", True, "size of the answer", "http.response.size", "bytes"),
    Column("queue_depth", "int32", True, "requests waiting when this one came", "", "requests"),
    Column("queue_capacity", "int32", True, "requests that may wait", "", "requests"),
    Column("cost", MONEY, True, "what it cost; NULL when no price is known", "FOCUS BilledCost", "USD"),
    Column("cost_source", "string", True, "'reported', or 'computed:' and the price data's version", dimension=True),
    Column("ingested_at", TIMESTAMP, False, "when this row was accepted"),
)  # fmt: skip

SCHEMA: dict[str, str] = {column.name: column.dtype if column.nullable else f"!{column.dtype}" for column in COLUMNS}
DIMENSIONS: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.dimension)
REQUIRED: tuple[str, ...] = tuple(column.name for column in COLUMNS if not column.nullable)
