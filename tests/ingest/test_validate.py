"""The guard checks every load before its commit; quarantined rows can be released, each once."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hanzo_reports.errors import MappingError, QualityError, SuiteError
from hanzo_reports.ingest.load import ingest
from hanzo_reports.ingest.release import release
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.verdict import State, Status

AIDER = Path(__file__).parents[1] / "data/aider_requests.csv.gz"


@pytest.fixture
def log(tmp_path, now):
    """A function that writes rows with what every event needs into a file of JSON lines."""

    def write(name, *rows):
        usual = {"timestamp": (now - timedelta(hours=1)).isoformat(), "service": "g", "project": "p", "status": 200}
        path = tmp_path / name
        path.write_text("".join(json.dumps(usual | row) + "\n" for row in rows))
        return path

    return write


def quarantined_rows(lake):
    return lake.quarantine().order_by("row").to_pyarrow().to_pylist()


def ids(lake):
    return sorted(lake.events().event_id.to_pyarrow().to_pylist())


def test_a_load_without_faults_passes_by_its_counts(lake, log, now):
    loaded = ingest(lake, "events", [log("a.jsonl", {"event_id": "a"})], now=now)
    assert (loaded.accepted, loaded.quarantined, loaded.verdict.judge) == (1, 0, "counts")
    assert loaded.verdict.status is Status.PASSED
    (stored,) = verdict_history.newest_verdicts(lake)
    assert (stored, stored.scope, stored.about["load"]) == (loaded.verdict, "load", loaded.load_id)


def test_rows_that_fail_a_critical_check_go_to_the_quarantine(lake, log, now):
    future = {"event_id": "future", "timestamp": (now + timedelta(days=2)).isoformat()}
    cache = {"event_id": "cache", "input_tokens": 10, "cache_read_tokens": 8, "cache_write_tokens": 8}
    never = {"event_id": "never", "timestamp": "never"}
    path = log("a.jsonl", {"event_id": "a"}, future, cache, never, {"event_id": "a"}, {"event_id": "b"})
    loaded = ingest(lake, "events", [path], now=now)
    assert (loaded.read, loaded.accepted, loaded.duplicates, loaded.quarantined) == (6, 2, 1, 3)
    assert ids(lake) == ["a", "b"]
    assert [(row["row"], row["reason"].partition(":")[0]) for row in quarantined_rows(lake)] == [
        (2, "guard timestamp_not_future"), (3, "guard cache_within_input"), (4, "timestamp"),
    ]  # fmt: skip
    assert json.loads(quarantined_rows(lake)[0]["raw"])["event_id"] == "future"
    assert sum(loaded.reasons.values()) == 3
    assert loaded.verdict.judge.startswith("great_expectations/")
    assert (loaded.verdict.status, loaded.verdict.quarantined) == (Status.WARNED, 2)


def test_loading_a_file_again_changes_nothing(lake, log, now):
    future = {"event_id": "future", "timestamp": (now + timedelta(days=2)).isoformat()}
    path = log("a.jsonl", {"event_id": "a"}, future)
    ingest(lake, "events", [path], now=now)
    again = ingest(lake, "events", [path], now=now)
    assert (again.read, again.accepted, again.duplicates, again.quarantined) == (2, 0, 1, 1)
    assert len(quarantined_rows(lake)) == 1


def test_a_critical_fault_of_the_whole_load_accepts_nothing(lake, log, now, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\nexpectations:\n"
        "  - {id: enough, type: expect_table_row_count_to_be_between, kwargs: {min_value: 3},\n"
        "     description: at least three}\n"
    )
    path = log("a.jsonl", {"event_id": "a"}, {"event_id": "b", "timestamp": "never"})
    with pytest.raises(QualityError, match=r"nothing is accepted: at least three \(enough\): observed 1"):
        ingest(lake, "events", [path], now=now, suite=str(own))
    assert (lake.version, ids(lake), quarantined_rows(lake), lake.loads()) == ("0", [], [], [])
    assert [verdict.status for verdict in verdict_history.newest_verdicts(lake)] == [Status.FAILED]


def test_what_cannot_be_evaluated_accepts_nothing(lake, log, now, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("expectations:\n  - {type: expect_column_values_to_not_be_null, kwargs: {column: modle}}\n")
    with pytest.raises(QualityError, match="no column 'modle'; the nearest is 'model'"):
        ingest(lake, "events", [log("a.jsonl", {"event_id": "a"})], now=now, suite=str(own))
    assert lake.version == "0"


def test_a_suite_about_another_table_is_refused_before_any_work(lake, log, now):
    with pytest.raises(SuiteError, match="is about 'daily'"):
        ingest(lake, "events", [log("a.jsonl", {"event_id": "a"})], now=now, suite="daily")


def test_without_the_guard_every_event_is_accepted(lake, log, now):
    future = {"event_id": "future", "timestamp": (now + timedelta(days=2)).isoformat()}
    loaded = ingest(lake, "events", [log("a.jsonl", future)], now=now, suite="")
    assert (loaded.accepted, loaded.verdict, verdict_history.newest_verdicts(lake)) == (1, None, [])


def test_rows_that_pass_after_a_fix_are_loaded_once_and_leave(lake, log, now):
    future = {"event_id": "future", "timestamp": (now + timedelta(days=2)).isoformat(), "cost": 0.25}
    path = log("a.jsonl", {"event_id": "a"}, future, {"event_id": "c", "timestamp": "never"})
    ingest(lake, "events", [path], now=now)
    early = release(lake, now=now)
    assert (early.checked, early.released, early.remaining) == (2, 0, 2)
    assert len(quarantined_rows(lake)) == 2
    later = release(lake, now=now + timedelta(days=3))
    assert (later.checked, later.released, later.accepted, later.duplicates, later.remaining) == (2, 1, 1, 0, 1)
    assert ids(lake) == ["a", "future"]
    (row,) = quarantined_rows(lake)
    assert row["reason"] == "timestamp: 'never' is not a time, or outside 1970..2199"
    (cost,) = lake.events().filter(lambda t: t.event_id == "future").cost.to_pyarrow().to_pylist()
    assert cost == Decimal("0.25")
    assert release(lake, now=now + timedelta(days=3), reason="future").checked == 0


def test_a_killed_release_can_be_repeated(lake, log, now, monkeypatch):
    future = {"event_id": "future", "timestamp": (now + timedelta(days=2)).isoformat()}
    ingest(lake, "events", [log("a.jsonl", {"event_id": "a"}, future)], now=now)
    with monkeypatch.context() as patch:
        patch.setattr(type(lake), "release", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            release(lake, now=now + timedelta(days=3))
    assert (ids(lake), len(quarantined_rows(lake))) == (["a", "future"], 1)
    again = release(lake, now=now + timedelta(days=3))
    assert (again.released, again.accepted, again.duplicates) == (1, 0, 1)
    assert (ids(lake), quarantined_rows(lake)) == (["a", "future"], [])


def test_rows_of_a_table_are_released_by_a_fixed_mapping(lake, tmp_path, now):
    mapping = tmp_path / "mine.toml"
    head = '[columns]\nevent_id = {from = "id"}\nservice = {value = "x"}\nproject = {value = "y"}\n'
    head += "status = {value = 200}\n"
    mapping.write_text(head + 'timestamp = {from = "at"}\n')
    path = tmp_path / "mine.csv"
    path.write_text("id,at\n1,2025-06-01T10:00:00Z\n2,1748768400\n3,soon\n")
    first = ingest(lake, "mine", [path], now=now, mapping_file=mapping)
    assert (first.accepted, first.quarantined) == (1, 2)
    mapping.write_text(head + 'timestamp = {from = "at", time = "epoch_s"}\n')
    result = release(lake, now=now, source="mine", mapping_file=mapping)
    assert (result.checked, result.released, result.remaining) == (2, 1, 1)
    assert ids(lake) == ["1", "2"]
    path.unlink()
    gone = release(lake, now=now, source="mine", mapping_file=mapping)
    assert (gone.checked, gone.released, gone.remaining) == (1, 0, 1)
    assert "1 rows of mine stay" in gone.notes[0]


def test_a_release_checks_by_the_suite_that_the_row_failed(lake, log, now, tmp_path):
    own = tmp_path / "own.yaml"
    line = "{id: few, type: expect_column_values_to_be_between, kwargs: {column: input_tokens, max_value: %d}}"
    own.write_text(f"expectations: [{line % 5}]")
    path = log("a.jsonl", {"event_id": "a", "input_tokens": 9}, {"event_id": "b", "input_tokens": 7})
    loaded = ingest(lake, "events", [path], now=now, suite=str(own))
    assert loaded.reasons == {f"guard ({own}) few: expect column values to be between": 2}
    assert release(lake, now=now).remaining == 2
    own.write_text(f"expectations: [{line % 8}]")
    assert (release(lake, now=now).accepted, ids(lake)) == (1, ["b"])
    own.unlink()
    gone = release(lake, now=now)
    assert (gone.remaining, gone.released) == (1, 0)
    assert f"cannot read the suite {own}" in gone.notes[0]
    assert (release(lake, now=now, suite="events").accepted, ids(lake)) == (1, ["a", "b"])


def test_a_row_of_a_table_is_not_released_under_another_header(lake, tmp_path, now):
    head = "event_id,service,project,timestamp,status\n"
    path = tmp_path / "log.csv"
    path.write_text(head + "1,alpha,beta,2025-06-01T10:00:00Z,200\n2,alpha,beta,2025-06-01T10:00:00Z,99\n")
    ingest(lake, "events", [path], now=now)
    path.write_text(head.replace("service,project", "project,service"))
    other = release(lake, now=now, source="events", constants={"status": "200"})
    assert (other.released, other.remaining) == (0, 1)
    assert f"the first line of {path} is not the one that these rows were loaded with" in other.notes[0]
    path.write_text(head)
    assert release(lake, now=now, source="events", constants={"status": "200"}).accepted == 1
    assert {row["project"] for row in lake.events().to_pyarrow().to_pylist()} == {"beta"}


def test_a_missing_mapping_releases_nothing(lake, log, now, tmp_path):
    ingest(lake, "events", [log("a.jsonl", {"event_id": "a", "status": 99})], now=now)
    with pytest.raises(MappingError, match=r"nosuch\.toml"):
        release(lake, now=now, source="events", mapping_file=tmp_path / "nosuch.toml")


def test_of_copies_the_first_that_passes_the_guard_is_loaded(lake, log, now):
    future = {"timestamp": (now + timedelta(days=2)).isoformat()}
    bad, worse = {"event_id": "c"} | future, {"event_id": "c", "user": "x"} | future
    rows = [{"event_id": "a"} | future, {"event_id": "a", "user": "good"}, {"event_id": "a", "user": "late"}]
    rows += [{"event_id": "b"}, {"event_id": "b"}, bad, worse]
    loaded = ingest(lake, "events", [log("a.jsonl", *rows)], now=now)
    assert (loaded.read, loaded.accepted, loaded.duplicates, loaded.quarantined) == (7, 2, 2, 3)
    users = {row["event_id"]: row["user"] for row in lake.events().to_pyarrow().to_pylist()}
    assert users == {"a": "good", "b": None}
    assert [row["row"] for row in quarantined_rows(lake)] == [1, 6, 7]
    checks = {check.id: check for check in loaded.verdict.checks}
    assert (checks["event_id_unique"].state, checks["timestamp_not_future"].unexpected) == (State.PASSED, 3)
    assert lake.loads()[0]["repeated"] == 2


def test_a_refund_is_an_event_without_tokens(lake, log, now):
    used = {"input_tokens": 10, "output_tokens": 5, "model": "gpt-4o"}
    rows = [{"event_id": "a", "cost": "0.0001"} | used, {"event_id": "refund", "cost": -1, "model": "gpt-4o"},
            {"event_id": "b", "cost": -2} | used]  # fmt: skip
    loaded = ingest(lake, "events", [log("a.jsonl", *rows)], now=now)
    assert (loaded.accepted, loaded.quarantined) == (2, 1)
    assert [row["reason"].partition(":")[0] for row in quarantined_rows(lake)] == ["guard cost_not_negative"]
    assert lake.events().cost.sum().to_pyarrow().as_py() == Decimal("-0.9999")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{type: expect_column_values_to_be_between, kwargs: {column: input_tokens, maxvalue: 50}}", "maxvalue"),
        ("{type: expect_column_values_to_be_between, kwargs: {column: latency_ms}}", "cannot both be None"),
        ("{type: expect_column_pair_values_to_be_equal, kwargs: {column_A: user, column_B: team, ignore_row_if: no}}",
         "does not take these arguments"),
        ("{type: expect_column_values_to_not_be_null, kwargs: {column: event_id, mostly: 2}}", "mostly"),
    ],
)  # fmt: skip
def test_an_invalid_expectation_refuses_the_load(lake, log, now, tmp_path, line, message):
    own = tmp_path / "own.yaml"
    own.write_text(f"expectations: [{line}]")
    with pytest.raises(SuiteError, match=message):
        ingest(
            lake, "events", [log("a.jsonl", {"event_id": "a", "latency_ms": 1, "model": "m"})], now=now, suite=str(own)
        )
    assert lake.version == "0"


def test_a_row_condition_of_a_table_check_applies_to_loads(lake, log, now, tmp_path):
    own = tmp_path / "own.yaml"
    only = "row_condition: 'col(\"status\") == 500', condition_parser: great_expectations"
    own.write_text(f"expectations: [{{type: expect_table_row_count_to_be_between, kwargs: {{min_value: 1, {only}}}}}]")
    with pytest.raises((QualityError, SuiteError)):
        ingest(lake, "events", [log("a.jsonl", {"event_id": "a"})], now=now, suite=str(own))


def test_numbers_that_json_cannot_write_are_text(lake, arrow, now, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(arrow([{"event_id": "a", "latency_ms": float("nan")}, {"event_id": "b"}]), path)
    loaded = ingest(lake, "events", [path], now=now)
    (row,) = quarantined_rows(lake)
    assert json.loads(row["raw"], parse_constant=pytest.fail)["latency_ms"] == "nan"
    assert json.loads(loaded.verdict.text(), parse_constant=pytest.fail)["quarantined"] == 1
    assert verdict_history.newest_verdicts(lake)[0].quarantined == 1
    assert release(lake, now=now).remaining == 1


@pytest.fixture(scope="module")
def aider(tmp_path_factory):
    """The real log with one request's reported cost a million times its list price; the request's row and costs."""
    with gzip.open(AIDER, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    place = next(n for n, row in enumerate(rows) if row["model"] == "gpt-4o-mini" and float(row["cost_usd"] or 0) > 0)
    list_cost = Decimal(rows[place]["cost_usd"])
    rows[place]["cost_usd"] = str(list_cost * 1_000_000)
    path = tmp_path_factory.mktemp("aider") / "aider.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path, place + 1, list_cost, len(rows)


def test_a_cost_a_million_times_its_list_price_is_flagged_with_the_dollars_at_stake(lake, aider, now):
    path, row, list_cost, read = aider
    loaded = ingest(lake, "aider", [path], now=now)
    assert loaded.read == read == loaded.accepted + loaded.duplicates + loaded.quarantined
    checks = {check.id: check for check in loaded.verdict.checks}
    absurd = checks["cost_not_absurd"]
    assert (absurd.state, absurd.severity, absurd.unexpected) == (State.FAILED, "critical", 1)
    assert absurd.at_stake == pytest.approx(list_cost * 999_999, rel=Decimal("1e-6"))
    assert absurd.groups[0]["value"] == "gpt-4o-mini"
    (bad,) = quarantined_rows(lake)
    assert (bad["row"], bad["reason"].partition(":")[0]) == (row, "guard cost_not_absurd")


def test_real_differences_from_list_prices_are_counted_by_model(lake, aider, now):
    loaded = ingest(lake, "aider", [aider[0]], now=now)
    near = next(check for check in loaded.verdict.checks if check.id == "cost_near_list")
    counted = {group["value"]: group["rows"] for group in near.groups}
    assert (near.state, near.severity) == (State.FAILED, "info")
    assert sum(counted.values()) == near.unexpected
    events = lake.events()
    reported = events.filter((events.cost_source == "reported") & events.model.isin(list(counted)))
    known = Counter(reported.model.to_pyarrow().to_pylist())
    assert near.unexpected - 1 == loaded.price_differences  # the one in quarantine is not accepted
    assert all(known[model] >= rows - 1 for model, rows in counted.items())
    assert len(counted) > 1
