"""Planted faults are caught, named, counted, and leave or block as their severity says: on the lake and on Postgres."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.verdict import State, Status

GOOD = 500
PLANTED = {  # what is wrong with a row: its columns, and the ids of the critical checks that it fails
    "no id": ({"event_id": None}, {"event_id_present"}),
    "empty id": ({"event_id": ""}, {"event_id_not_empty"}),
    "second copy": ({"event_id": "good 7"}, {"event_id_unique"}),
    "third copy": ({"event_id": "good 7", "user": "other"}, {"event_id_unique"}),
    "negative tokens": ({"input_tokens": -1}, {"input_tokens_not_negative", "cache_within_input"}),
    "negative output": ({"output_tokens": -5, "reasoning_tokens": None}, {"output_tokens_not_negative"}),
    "future": ({"days": 400}, {"timestamp_not_future"}),
    "status 999": ({"status": 999}, {"status_http"}),
    "cost is NaN": ({"cost": float("nan")}, {"cost_is_a_number"}),
    "negative cost": ({"cost": -0.5}, {"cost_not_negative"}),
    "empty model": ({"model": ""}, {"model_not_empty"}),
    "cache above input": ({"cache_read_tokens": 600, "cache_write_tokens": 500}, {"cache_within_input"}),
    "reasoning above output": ({"reasoning_tokens": 101}, {"reasoning_within_output"}),
    "negative latency": ({"latency_ms": -1.0}, {"latency_not_negative"}),
    "latency is NaN": ({"latency_ms": float("nan")}, {"latency_not_negative"}),
    "no project": ({"project": None}, {"project_present"}),
}
STREAMS = 4  # warnings: answers that cost nothing


@pytest.fixture(scope="session")
def planted(arrow, now):
    """Good rows with faults among them; cost is a float, as in tables of others, so that NaN can be."""
    rows = [{"event_id": f"good {n}", "timestamp": now - timedelta(minutes=n + 1)} for n in range(GOOD)]
    for name, (columns, _) in PLANTED.items():
        values = dict(columns)
        at = now + timedelta(days=values.pop("days")) if "days" in values else now - timedelta(seconds=30)
        rows.append({"event_id": f"bad {name}", "user": name, "timestamp": at} | values)
    rows += [{"event_id": f"stream {n}", "cost": 0.0, "model": "gpt-4o-mini"} for n in range(STREAMS)]
    return arrow(rows, cost="float64")


@pytest.fixture(scope="session", params=["lake", "postgres"])
def table(request, planted, local, tmp_path_factory):
    """The rows in Parquet files read by DuckDB, as the lake does, and in Postgres."""
    if request.param == "postgres":
        con = request.getfixturevalue("postgres_tables")
        return con.create_table("planted", planted, overwrite=True)
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = tmp_path_factory.mktemp("lake") / "planted.parquet"
    pq.write_table(planted, path)
    con = local(planted.slice(0, 0), "nothing").get_backend()
    return con.read_parquet(path)


@pytest.fixture(scope="session")
def verdict(table, suite_of, now):
    return guard(table, suite_of("events"), now=now)


def test_each_fault_is_caught_named_and_counted(verdict):
    expected = Counter(name for _, names in PLANTED.values() for name in names)
    expected["event_id_unique"] = 3  # all copies, the first one too
    counts = {c.id: c.unexpected for c in verdict.checks if c.state is State.FAILED and c.severity == "critical"}
    assert [c.observed for c in verdict.checks if c.state is State.ERROR] == []
    assert counts == expected
    assert verdict.status is Status.FAILED
    assert verdict.rows == GOOD + len(PLANTED) + STREAMS


def test_each_bad_row_leaves_with_the_ids_of_what_it_failed(verdict):
    rows = verdict.quarantine.select("event_id", "user", "_reasons").to_pyarrow().to_pylist()
    reasons = [{part.partition(":")[0] for part in row["_reasons"].split("; ")} for row in rows]
    assert sorted(map(sorted, reasons)) == sorted(sorted(names) for _, names in PLANTED.values())
    named = {row["user"]: row["_reasons"] for row in rows}
    assert named["status 999"] == "status_http: every status is an HTTP status from 100 to 599"


def test_nothing_is_lost(verdict):
    clean = verdict.clean.count().to_pyarrow().as_py()
    assert clean == GOOD + STREAMS
    assert clean + verdict.quarantined == verdict.rows
    assert list(verdict.clean.columns) == [name for name in verdict.quarantine.columns if name != "_reasons"]
    assert verdict.clean.event_id.nunique().to_pyarrow().as_py() == GOOD + STREAMS


def test_free_responses_are_a_warning_counted_by_model(verdict):
    (check,) = [c for c in verdict.checks if c.id == "output_not_free"]
    assert (check.severity, check.state, check.unexpected) == ("warning", State.FAILED, STREAMS)
    assert check.groups == ({"value": "gpt-4o-mini", "rows": STREAMS},)
    assert {row["event_id"] for row in check.examples} == {f"stream {n}" for n in range(STREAMS)}


def test_clean_rows_pass_again(verdict, suite_of, now):
    again = guard(verdict.clean, suite_of("events"), now=now)
    assert [c.id for c in again.checks if c.state not in {State.PASSED, State.SKIPPED}] == ["output_not_free"]
    assert (again.status, again.quarantined) == (Status.WARNED, 0)


def test_a_missing_column_is_named_with_the_nearest_and_blocks(table, suite_of, now):
    verdict = guard(table.rename(modell="model"), suite_of("events"), now=now)
    checks = {c.id: c for c in verdict.checks}
    assert checks["columns_present"].state is State.FAILED
    assert checks["columns_present"].observed == "no column 'model' (the nearest is 'modell')"
    assert checks["model_not_empty"].state is State.ERROR
    assert "no column 'model'; the nearest is 'modell'" in checks["model_not_empty"].observed
    assert {c.id for c in verdict.blocking} == {"columns_present", "model_not_empty"}
    assert verdict.status is Status.FAILED
    assert checks["status_http"].unexpected == 1
