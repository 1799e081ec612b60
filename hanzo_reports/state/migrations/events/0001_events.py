"""Events in monthly partitions, the record of each load, and the quarantine: Postgres only."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables; loads create the partitions that they need."""
    op.execute(
        """
        CREATE TABLE events (
            event_id text NOT NULL,
            timestamp timestamptz NOT NULL,
            service text NOT NULL,
            endpoint text,
            operation text,
            provider text,
            model text,
            project text NOT NULL,
            team text,
            "user" text,
            environment text,
            region text,
            api_key text,
            status smallint NOT NULL,
            error_type text,
            latency_ms double precision,
            time_to_first_token_ms double precision,
            input_tokens bigint,
            output_tokens bigint,
            cache_read_tokens bigint,
            cache_write_tokens bigint,
            reasoning_tokens bigint,
            bytes_in bigint,
            bytes_out bigint,
            queue_depth integer,
            queue_capacity integer,
            cost numeric(18, 9),
            cost_source text,
            ingested_at timestamptz NOT NULL,
            PRIMARY KEY (event_id, timestamp)
        ) PARTITION BY RANGE (timestamp)
        """
    )
    op.execute("CREATE INDEX events_timestamp ON events USING brin (timestamp) WITH (autosummarize = on)")
    op.execute(
        """
        CREATE TABLE loads (
            version bigint PRIMARY KEY,
            load jsonb NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE quarantine (
            quarantine_id text PRIMARY KEY,
            load_id text NOT NULL,
            source text NOT NULL,
            file text,
            row bigint,
            reason text NOT NULL,
            raw text,
            quarantined_at timestamptz NOT NULL
        )
        """
    )
