"""The synthetic platform: the same rows on every run, with the stories that its docstring describes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from genai_prices import Usage, calc_price

from hanzo_reports.errors import UsageError
from hanzo_reports.events import SCHEMA
from hanzo_reports.sample import sample, write_sample

END = datetime(2025, 6, 19, tzinfo=UTC)  # a Thursday
PER_DAY = 30_000


@pytest.fixture(scope="module")
def week():
    """Eight days that end with the incident, as a DuckDB table."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("week", sample(END - timedelta(days=8), 8, PER_DAY, 7).read_all())
        yield con


def test_the_columns_are_those_of_the_event_without_ingested_at():
    event = ibis.schema({name: dtype.lstrip("!") for name, dtype in SCHEMA.items()}).to_pyarrow()
    assert sample(END, 1, 100).schema == event.remove(event.get_field_index("ingested_at"))


def test_required_columns_are_never_null(week):
    required = [name for name, dtype in SCHEMA.items() if dtype.startswith("!") and name != "ingested_at"]
    counts = week.sql(f"SELECT count(*), {', '.join(f'count({name})' for name in required)} FROM week").fetchone()
    assert set(counts) == {counts[0]}


def test_the_same_arguments_give_the_same_rows():
    first, second = (sample(END, 1.5, 5_000, 11).read_all() for _ in range(2))
    assert first.equals(second)
    assert not first.equals(sample(END, 1.5, 5_000, 12).read_all())


def test_the_rows_are_the_same_on_every_machine():
    rows = sample(END - timedelta(days=1), 1, 500, 7).read_all().to_pylist()
    assert hashlib.sha256(repr(rows).encode()).hexdigest()[:16] == "26970034ef3bee7c"


def test_separately_generated_periods_join():
    start, cut = END - timedelta(days=3), 1.37
    whole = sample(start, 3, 6_000).read_all()
    parts = [
        sample(start, cut, 6_000, until=END).read_all(),
        sample(start + timedelta(days=cut), 3 - cut, 6_000, until=END).read_all(),
    ]
    assert all(part.num_rows for part in parts)
    assert pa.concat_tables(parts).combine_chunks().equals(whole.combine_chunks())


def test_many_requests_a_day_come_in_blocks_that_join():
    start = END - timedelta(hours=3)
    reader = sample(start, 3 / 24, 2_000_000, until=END + timedelta(days=2))
    table = pa.Table.from_batches(list(reader), reader.schema)
    ids, times = table["event_id"].to_pylist(), table["timestamp"].cast(pa.int64()).to_numpy()
    assert len(set(ids)) == len(ids) == pytest.approx(2_000_000 * 1.15 * 0.0837 / 1.006, rel=0.05)
    assert (times[1:] >= times[:-1]).all()
    assert start.timestamp() * 1e6 <= times[0] <= times[-1] < END.timestamp() * 1e6


def test_ids_are_unique_and_times_ordered_inside_the_period(week):
    total, distinct, first, last = week.sql(
        "SELECT count(*), count(DISTINCT event_id), min(timestamp), max(timestamp) FROM week"
    ).fetchone()
    assert total == distinct
    assert END - timedelta(days=8) <= first < last < END


def test_weekdays_are_busier_than_weekends_and_days_than_nights(week):
    days = dict(week.sql("SELECT isodow(timestamp), count(*) FROM week GROUP BY ALL").fetchall())
    assert 0.5 < days[7] / days[1] < 0.7
    hours = dict(week.sql("SELECT hour(timestamp), count(*) FROM week GROUP BY ALL").fetchall())
    assert hours[14] / hours[3] == pytest.approx(324 / 97, rel=0.1)
    assert sum(days.values()) == pytest.approx(8 * PER_DAY, rel=0.05)


def test_traffic_grows_slowly():
    then, now = (sample(END - timedelta(days=7 * ago), 7, 3_000, until=END).read_all().num_rows for ago in (13, 1))
    assert now / then == pytest.approx((1 + 0.003 * 88) / (1 + 0.003 * 4), rel=0.03)


def test_errors_are_rare_before_the_incident(week):
    rates = week.sql("""
        SELECT avg((status >= 400)::int), avg((status = 429)::int), avg((status >= 500)::int), avg((status = 499)::int)
        FROM week WHERE timestamp < '2025-06-18'
    """).fetchone()
    assert rates == pytest.approx((0.005, 0.0026, 0.0006, 0.0005), rel=0.25)
    assert week.sql("SELECT count(*) FROM week WHERE (status >= 400) <> (error_type IS NOT NULL)").fetchone() == (0,)


def test_the_incident_brings_errors_latency_and_less_traffic(week):
    """45 minutes around 15 hours before the end: 09:00 on the last day, against the same minutes a day before."""
    count, failed, slow, full = week.sql("""
        SELECT count(*), avg((status >= 500)::int), median(latency_ms), max(queue_depth / queue_capacity) FROM week
        WHERE timestamp >= '2025-06-18 08:45' AND timestamp < '2025-06-18 09:15'
    """).fetchone()
    usual = week.sql("""
        SELECT count(*), avg((status >= 500)::int), median(latency_ms), max(queue_depth / queue_capacity) FROM week
        WHERE timestamp >= '2025-06-17 08:45' AND timestamp < '2025-06-17 09:15'
    """).fetchone()
    assert count / usual[0] == pytest.approx(0.4, abs=0.12)
    assert failed == pytest.approx(0.3, abs=0.09)
    assert usual[1] < 0.01
    assert slow / usual[2] == pytest.approx(3, abs=1)
    assert usual[3] < 0.8 < full < 1


def test_there_is_one_incident(week):
    bad = week.sql("""
        SELECT time_bucket(INTERVAL 1 hour, timestamp) AS hour FROM week
        GROUP BY ALL HAVING avg((status >= 500)::int) > 0.01 ORDER BY hour
    """).fetchall()
    assert [hour.hour for (hour,) in bad] == [8, 9]
    assert {hour.date() for (hour,) in bad} == {datetime(2025, 6, 18, tzinfo=UTC).date()}


def test_the_prompts_of_one_project_grow_at_the_end(week):
    growth = dict(
        week.sql("""
            SELECT project, sum(input_tokens) FILTER (timestamp >= '2025-06-18')
                          / sum(input_tokens) FILTER (timestamp >= '2025-06-17' AND timestamp < '2025-06-18')
            FROM week GROUP BY ALL
        """).fetchall()
    )
    assert growth.pop("commerce") > 1.35
    assert all(0.8 < change < 1.2 for change in growth.values())


def test_cache_and_reasoning_tokens_are_parts_of_input_and_output(week):
    """Cache reads and writes are part of the input, reasoning is part of the output; a refusal has no tokens."""
    wrong = week.sql("""
        SELECT count(*) FROM week
        WHERE coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) > input_tokens
           OR reasoning_tokens > output_tokens
           OR (input_tokens IS NULL) <> (model IS NULL OR status NOT IN (200, 499))
           OR time_to_first_token_ms > latency_ms
           OR queue_depth > queue_capacity
    """).fetchone()
    assert wrong == (0,)
    assert week.sql("SELECT sum(cache_read_tokens) / sum(input_tokens) FROM week").fetchone()[0] > 0.1
    assert week.sql("SELECT count(*) FROM week WHERE model IS NULL AND service = 'gateway'").fetchone() == (0,)


def test_latency_stays_below_its_thresholds_on_a_usual_day(week):
    p50, p99 = week.sql(
        "SELECT quantile_cont(latency_ms, [0.5, 0.99]) FROM week WHERE timestamp < '2025-06-18'"
    ).fetchone()[0]
    assert 50 < p50 < 200
    assert 800 < p99 < 2000


def test_reported_costs_are_list_prices_and_other_costs_are_null(week):
    reported = week.sql("""
        SELECT provider, model, cost, input_tokens, output_tokens FROM week WHERE cost IS NOT NULL USING SAMPLE 50 ROWS
    """).fetchall()
    assert reported
    for provider, model, cost, read, written in reported:
        usage = Usage(input_tokens=read, output_tokens=written)
        assert cost == calc_price(usage, model, provider_id=provider, genai_request_timestamp=END).total_price
    assert week.sql("SELECT count(*) FROM week WHERE (cost IS NULL) <> (cost_source IS NULL)").fetchone() == (0,)


def test_every_model_but_one_has_a_price(week):
    def priced(provider, model):
        try:
            return calc_price(Usage(input_tokens=1), model, provider_id=provider).total_price is not None
        except LookupError:
            return False

    models = week.sql("SELECT DISTINCT provider, model FROM week WHERE model IS NOT NULL").fetchall()
    assert [model for provider, model in models if not priced(provider, model)] == ["hanzo-rerank-1"]


def test_a_file_has_the_same_rows_and_no_file_is_left_beside_it(tmp_path):
    path = tmp_path / "sample.parquet"
    assert write_sample(path, END, 2, 1_000, 3) == pq.read_metadata(path).num_rows
    assert pq.read_table(path).equals(sample(END, 2, 1_000, 3).read_all())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "arguments",
    [(END, 0, 100), (END, 1, 0), (END, 1, 100, -1), (END.replace(tzinfo=None), 1, 100)],
    ids=["no days", "no requests", "negative seed", "no offset"],
)
def test_an_invalid_period_is_refused(arguments):
    with pytest.raises(UsageError, match="sample"):
        sample(*arguments)
