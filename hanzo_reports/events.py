"""The event: one finished request, in the one schema that every store has and every metric reads."""

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
        nullable: whether it may be NULL, which means not known.
        meaning: one line.
        source: the OpenTelemetry attribute or FOCUS column that it follows; empty if it follows none.
        unit: what its number counts; empty if it is not a number.
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
    Column("event_id", "string", False, "the source's request id, by which loads drop duplicates"),
    Column("timestamp", TIMESTAMP, False, "when the request started", "FOCUS ChargePeriodStart"),
    Column("service", "string", False, "the platform service that handled the request", "service.name", dimension=True),
    Column("endpoint", "string", True, "its route", "http.route", dimension=True),
    Column("operation", "string", True, "chat, embeddings, ...", "gen_ai.operation.name", dimension=True),
    Column("provider", "string", True, "the provider of the model", "gen_ai.provider.name", dimension=True),
    Column("model", "string", True, "the model that produced the response", "gen_ai.response.model", dimension=True),
    Column("project", "string", False, "the unit that a budget applies to", "FOCUS SubAccountId", dimension=True),
    Column("team", "string", True, "an allocation dimension", dimension=True),
    Column("user", "string", True, "the user who sent the request", "user.id", dimension=True),
    Column("environment", "string", True, "production, staging, ...", "deployment.environment.name", dimension=True),
    Column("region", "string", True, "where it ran", "FOCUS RegionId", dimension=True),
    Column("api_key", "string", True, "the id or hash of the API key, never the key itself", dimension=True),
    Column("status", "int16", False, "HTTP status; a cancelled stream is 499", "http.response.status_code", dimension=True),
    Column("error_type", "string", True, "the kind of failure", "error.type", dimension=True),
    Column("latency_ms", "float64", True, "from request to last byte", "gen_ai.client.operation.duration", "ms"),
    Column("time_to_first_token_ms", "float64", True, "from request to first token",
           "gen_ai.response.time_to_first_chunk", "ms"),
    Column("input_tokens", "int64", True, "tokens in the prompt, including cache reads and writes",
           "gen_ai.usage.input_tokens", "tokens"),
    Column("output_tokens", "int64", True, "tokens in the response, including reasoning", "gen_ai.usage.output_tokens", "tokens"),
    Column("cache_read_tokens", "int64", True, "the part of input_tokens read from a cache",
           "gen_ai.usage.cache_read.input_tokens", "tokens"),
    Column("cache_write_tokens", "int64", True, "the part of input_tokens written to a cache",
           "gen_ai.usage.cache_creation.input_tokens", "tokens"),
    Column("reasoning_tokens", "int64", True, "the part of output_tokens spent on reasoning",
           "gen_ai.usage.reasoning.output_tokens", "tokens"),
    Column("bytes_in", "int64", True, "size of the request", "http.request.size", "bytes"),
    Column("bytes_out", "int64", True, "size of the response", "http.response.size", "bytes"),
    Column("queue_depth", "int32", True, "requests in the queue when this one arrived", "", "requests"),
    Column("queue_capacity", "int32", True, "requests that the queue can hold", "", "requests"),
    Column("cost", MONEY, True, "the cost; NULL if no price is known", "FOCUS BilledCost", "USD"),
    Column("cost_source", "string", True, "'reported', or 'computed:' and the version of the price data", dimension=True),
    Column("ingested_at", TIMESTAMP, False, "when a load accepted this row"),
)  # fmt: skip

SCHEMA: dict[str, str] = {column.name: column.dtype if column.nullable else f"!{column.dtype}" for column in COLUMNS}
DIMENSIONS: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.dimension)
REQUIRED: tuple[str, ...] = tuple(column.name for column in COLUMNS if not column.nullable)
