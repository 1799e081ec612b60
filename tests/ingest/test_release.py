"""Rows that the guard keeps out can be accepted, on the record, and nothing else gets in with them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.ingest.load import ingest
from hanzo_reports.ingest.release import release
from hanzo_reports.quality.store_check import check_store
from hanzo_reports.quality.verdict import State, Status
from hanzo_reports.window import Window, iso

CACHE = {"cache_read_tokens": 8, "cache_write_tokens": 8}
CACHED = {"event_id": "cached", "input_tokens": 10} | CACHE
NEGATIVE = {"event_id": "negative", "model": "gpt-4o", "input_tokens": 10, "cost": -2}
BOTH = {"event_id": "both"} | CACHE | {key: NEGATIVE[key] for key in ("model", "input_tokens", "cost")}
GRANT = {"because": "writes are billed apart", "accepted_by": "maria"}


@pytest.fixture
def log(tmp_path, now):
    """A function that writes rows with what every event needs into a file of JSON lines."""

    def write(*rows, name="a.jsonl"):
        usual = {"timestamp": (now - timedelta(hours=1)).isoformat(), "service": "g", "project": "p", "status": 200}
        path = tmp_path / name
        path.write_text("".join(json.dumps(usual | row) + "\n" for row in rows))
        return path

    return write


def ids(lake):
    return sorted(lake.events().event_id.to_pyarrow().to_pylist())


def quarantined(lake):
    rows = lake.quarantine().to_pyarrow().to_pylist()
    return sorted(json.loads(row["raw"])["event_id"] for row in rows)


def check(lake, now, suite="events"):
    verdict = check_store(lake, suite, Window.parse("7d", now=now), now=now)
    return verdict, {one.id: one for one in verdict.checks}


def test_only_rows_whose_checks_are_all_accepted_get_in(lake, log, now):
    ingest(lake, "events", [log({"event_id": "good"}, CACHED, NEGATIVE, BOTH)], now=now)
    first = release(lake, now=now, accept=["cache_within_input"], **GRANT)
    assert (first.checked, first.released, first.accepted, first.remaining) == (3, 1, 1, 2)
    assert (ids(lake), quarantined(lake)) == (["cached", "good"], ["both", "negative"])
    assert first.notes[0] == "1 rows are accepted in spite of cache_within_input"
    assert [note for note in first.notes if note.startswith("2 rows stay: guard cost_not_negative")]
    assert "--accept CHECK --because TEXT" in first.notes[-1]
    second = release(lake, now=now, accept=["cache_within_input", "cost_not_negative"], **GRANT)
    assert (second.released, second.remaining, quarantined(lake)) == (2, 0, [])
    assert ids(lake) == ["both", "cached", "good", "negative"]


def test_the_guard_lists_what_is_accepted_and_still_fails_for_every_other_row(lake, log, now):
    ingest(lake, "events", [log({"event_id": "good"}, CACHED)], now=now)
    release(lake, now=now, accept=["guard cache_within_input: cache reads and writes"], **GRANT)
    verdict, checks = check(lake, now)
    accepted = checks["cache_within_input"]
    assert (verdict.status, verdict.quarantined) == (Status.PASSED, 0)
    assert (accepted.state, accepted.unexpected) == (State.ACCEPTED, 0)
    assert accepted.accepted == ({"rows": 1, "because": GRANT["because"], "by": "maria", "at": iso(now)},)
    assert accepted.observed == "none of 2 rows, 1 accepted by maria on 2025-06-30: writes are billed apart"
    ingest(lake, "events", [log(CACHED | {"event_id": "new"}, name="b.jsonl")], now=now, suite="")
    verdict, checks = check(lake, now)
    assert (verdict.status, verdict.quarantined) == (Status.FAILED, 1)
    assert (checks["cache_within_input"].state, checks["cache_within_input"].unexpected) == (State.FAILED, 1)
    assert [row["event_id"] for row in checks["cache_within_input"].examples] == ["new"]
    assert [one["rows"] for one in checks["cache_within_input"].accepted] == [1]
    assert verdict.quarantine.event_id.to_pyarrow().to_pylist() == ["new"]


def test_an_accepted_event_still_fails_its_other_checks(lake, log, now):
    ingest(lake, "events", [log(CACHED)], now=now)
    ingest(lake, "events", [log(CACHED | {"model": "gpt-4o", "cost": -5}, name="b.jsonl")], now=now, suite="")
    release(lake, now=now, accept=["cache_within_input"], **GRANT)
    _, checks = check(lake, now)
    assert (checks["cache_within_input"].state, checks["cost_not_negative"].state) == (State.ACCEPTED, State.FAILED)


def test_a_query_is_accepted_like_any_other_check(lake, log, now):
    ingest(lake, "events", [log({"event_id": "good"}, NEGATIVE)], now=now)
    assert quarantined(lake) == ["negative"]
    assert release(lake, now=now, accept=["cost_not_negative"], **GRANT).accepted == 1
    verdict, checks = check(lake, now)
    assert (checks["cost_not_negative"].state, verdict.quarantined) == (State.ACCEPTED, 0)


def test_a_check_of_a_suite_of_ones_own_is_accepted_for_that_suite_only(lake, log, now, tmp_path):
    own, other = tmp_path / "own.yaml", tmp_path / "other.yaml"
    line = "{id: few, type: expect_column_values_to_be_between, kwargs: {column: input_tokens, max_value: 5}}"
    for path in (own, other):
        path.write_text(f"expectations: [{line}]")
    ingest(lake, "events", [log({"event_id": "a", "input_tokens": 9})], now=now, suite=str(own))
    assert release(lake, now=now, accept=["few"], **GRANT).accepted == 1
    assert check(lake, now, str(own))[1]["few"].state is State.ACCEPTED
    assert check(lake, now, str(other))[1]["few"].state is State.FAILED


def test_a_row_that_is_not_an_event_cannot_be_accepted(lake, log, now):
    ingest(lake, "events", [log({"event_id": "a"}, {"event_id": "never", "timestamp": "never"})], now=now)
    result = release(lake, now=now, accept=["timestamp_not_future"], **GRANT)
    assert (result.released, result.remaining) == (0, 1)
    assert result.notes[0] == "1 rows stay: timestamp: … is not a time, or outside 1970..2199"


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"accept": ["cache_within_inputs"], **GRANT}, UnknownNameError, "did you mean 'cache_within_input'"),
        ({"accept": ["event_id_unique"], **GRANT}, UsageError, "event_id_unique cannot be accepted: it compares rows"),
        ({"accept": ["project_present"], **GRANT}, UsageError, "the store needs a value for 'project'"),
        ({"accept": ["output_not_free"], **GRANT}, UnknownNameError, "unknown check 'output_not_free'"),
        ({"accept": ["cache_within_input"]}, UsageError, "--accept and --because belong together"),
        ({"accept": ["cache_within_input"], "because": " \n", "accepted_by": "maria"}, UsageError, "belong together"),
        ({"because": "it is fine"}, UsageError, "--accept and --because belong together"),
    ],
)  # fmt: skip
def test_what_cannot_be_accepted_changes_nothing(lake, log, now, arguments, error, text):
    ingest(lake, "events", [log(CACHED)], now=now)
    with pytest.raises(error, match=text):
        release(lake, now=now, **arguments)
    assert (ids(lake), quarantined(lake)) == ([], ["cached"])


def test_a_release_killed_before_it_is_recorded_can_be_repeated(lake, log, now, monkeypatch):
    ingest(lake, "events", [log(CACHED)], now=now)
    with monkeypatch.context() as patch:
        patch.setattr("hanzo_reports.ingest.release.save_acceptances", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            release(lake, now=now, accept=["cache_within_input"], **GRANT)
    assert (ids(lake), quarantined(lake)) == (["cached"], ["cached"])
    again = release(lake, now=now, accept=["cache_within_input"], **GRANT)
    assert (again.released, again.accepted, again.duplicates, quarantined(lake)) == (1, 0, 1, [])
    assert check(lake, now)[1]["cache_within_input"].state is State.ACCEPTED


def test_a_verdict_without_acceptances_in_its_json_can_still_be_read(lake, log, now):
    ingest(lake, "events", [log({"event_id": "a"})], now=now)
    verdict, _ = check(lake, now)
    fields = json.loads(verdict.text())
    for one in fields["checks"]:
        del one["accepted"]
    assert type(verdict).read(json.dumps(fields), "here") == verdict


@pytest.mark.parametrize("way", ["released", "loaded without the guard"])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_reload_does_not_quarantine_what_the_store_has(lake, log, now, way, copies):
    path = log(*[{"event_id": "good"}, CACHED, NEGATIVE] * copies, {"event_id": "never", "timestamp": "never"})
    ingest(lake, "events", [path], now=now)
    if way == "released":
        release(lake, now=now, accept=["cache_within_input", "cost_not_negative"], **GRANT)
    else:
        ingest(lake, "events", [path], now=now, suite="")
    before = lake.quarantine().count().to_pyarrow().as_py()
    again = ingest(lake, "events", [path], now=now)
    assert (again.accepted, again.duplicates, again.quarantined) == (0, 3 * copies, 1)
    assert again.verdict is None or again.verdict.status is Status.PASSED
    assert lake.quarantine().count().to_pyarrow().as_py() == before
    assert ids(lake) == ["cached", "good", "negative"]


def test_a_bad_row_with_a_new_id_is_quarantined_beside_known_ones(lake, log, now):
    ingest(lake, "events", [log(CACHED)], now=now, suite="")
    loaded = ingest(lake, "events", [log(CACHED, CACHED | {"event_id": "new"}, name="b.jsonl")], now=now)
    assert (loaded.duplicates, loaded.quarantined, quarantined(lake)) == (1, 1, ["new"])
