"""Made-up events for the benchmarks: 30 days of one gateway, as many as asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 5_000_000
_EVENTS = """
    SELECT
        'req_' || i AS event_id,
        TIMESTAMPTZ '2025-06-01 00:00:00+00' + INTERVAL (i * 2592000000 // {rows}) MILLISECOND AS timestamp,
        'gateway' AS service, '/v1/chat/completions' AS endpoint, 'chat' AS operation,
        ['openai', 'anthropic', 'google'][1 + i % 3] AS provider,
        ['gpt-4o', 'claude-sonnet-4-5', 'gemini-2.5-pro'][1 + i % 3] AS model,
        'project' || i % 10 AS project, 'team' || i % 3 AS team, 'user' || i % 500 AS user,
        'production' AS environment, 'eu' AS region, 'key' || i % 50 AS api_key,
        200::SMALLINT AS status, NULL::VARCHAR AS error_type,
        random() * 1000 AS latency_ms, random() * 100 AS time_to_first_token_ms,
        (100 + random() * 1000)::BIGINT AS input_tokens, (random() * 300)::BIGINT AS output_tokens,
        0::BIGINT AS cache_read_tokens, 0::BIGINT AS cache_write_tokens, 0::BIGINT AS reasoning_tokens,
        (random() * 1000)::BIGINT AS bytes_in, (random() * 1000)::BIGINT AS bytes_out,
        1::INTEGER AS queue_depth, 10::INTEGER AS queue_capacity,
        (random() / 100)::DECIMAL(18, 9) AS cost, 'reported' AS cost_source
    FROM range({rows}) AS numbers(i)
"""


def write(path: Path, rows: int) -> None:
    """The events in one file, Parquet or JSON lines by its suffix."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    form = "parquet" if path.suffix == ".parquet" else "json"
    con.execute(f"COPY ({_EVENTS.format(rows=rows)}) TO '{path}' (FORMAT {form})")
    con.close()
