"""The guard on each kind of store, from the load to the release."""

from __future__ import annotations

import csv
import json
from datetime import timedelta

import pytest

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.ingest.load import ingest
from hanzo_reports.ingest.release import release
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.verdict import State
from hanzo_reports.workspace import Workspace

TOKENS = {"model": "gpt-4o", "provider": "openai", "input_tokens": 1_000_000, "output_tokens": 0}  # USD 2.50


@pytest.fixture(params=["lake", "postgres", "clickhouse"])
def ws(request, tmp_path, now):
    """An empty workspace on each kind of store."""
    if request.param == "lake":
        yield hr.open(str(tmp_path / "lake"), now=now, create=True)
    elif request.param == "postgres":
        yield Workspace(store.open(request.getfixturevalue("database"), create=True), "UTC", now)
    else:
        import clickhouse_connect  # noqa: PLC0415  # slow to load

        client = clickhouse_connect.get_client(dsn="chdb://memory")
        place = "chdb://memory/guarded"
        yield Workspace(store.open(place, create=True, state=str(tmp_path / "state.db")), "UTC", now)
        client.command("DROP DATABASE IF EXISTS guarded")
        client.close()


@pytest.fixture
def log(tmp_path, now):
    """A function that writes rows with what every event needs into a file of JSON lines."""

    def write(*rows):
        usual = {"timestamp": (now - timedelta(hours=1)).isoformat(), "service": "g", "project": "p", "status": 200}
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(usual | {"event_id": f"e{n}"} | row) + "\n" for n, row in enumerate(rows)))
        return path

    return write


def test_each_suite_is_evaluated_on_each_store(ws, log, now):
    days = [TOKENS | {"timestamp": (now - timedelta(days=n, hours=1)).isoformat()} for n in range(16)]
    dear, absurd = TOKENS | {"cost": 2.75}, TOKENS | {"cost": 2_500_000}
    free = TOKENS | {"output_tokens": 5, "cost": 0}
    assert ws.ingest("events", [log(*days, dear, absurd, free)], suite="").accepted == 19
    checks = {check.id: check for check in ws.guard("events", "30d").checks}
    assert [check.observed for check in checks.values() if check.state in {State.ERROR, State.SKIPPED}] == []
    failed = {name: check.unexpected for name, check in checks.items() if check.state is State.FAILED}
    assert failed == {"cost_plausible": 1, "cost_not_absurd": 1, "cost_near_list": 3, "output_not_free": 1}
    assert checks["cost_not_absurd"].at_stake == 2_500_000 - 2.5
    days = ws.guard("daily", "7d").checks
    assert [check.observed for check in days if check.state in {State.ERROR, State.SKIPPED}] == []
    assert {check.id for check in days if check.state is State.FAILED} == {"answers_not_free", "no_call_twice"}


def test_a_quarantined_row_is_released_once_on_each_store(ws, log, now):
    future = TOKENS | {"timestamp": (now + timedelta(days=2)).isoformat()}
    loaded = ingest(ws.store, "events", [log(TOKENS, future, {"timestamp": "never"})], now=now)
    assert (loaded.read, loaded.accepted, loaded.quarantined) == (3, 1, 2)
    assert [verdict.quarantined for verdict in verdict_history.newest_verdicts(ws.store)] == [1]
    assert release(ws.store, now=now).released == 0
    result = release(ws.store, now=now + timedelta(days=3))
    assert (result.checked, result.released, result.accepted, result.remaining) == (2, 1, 1, 1)
    assert sorted(ws.store.events().event_id.to_pyarrow().to_pylist()) == ["e0", "e1"]
    assert ws.store.quarantine().count().to_pyarrow().as_py() == 1


def test_what_is_accepted_passes_the_guard_on_each_store(ws, log):
    cached = TOKENS | {"cache_read_tokens": 800_000, "cache_write_tokens": 800_000}
    assert ws.ingest("events", [log(TOKENS, cached)]).quarantined == 1
    result = ws.release(accept=["cache_within_input"], because="writes are billed apart", accepted_by="maria")
    assert (result.released, result.accepted, result.remaining) == (1, 1, 0)
    verdict = ws.guard("events", "7d")
    (check,) = [check for check in verdict.checks if check.id == "cache_within_input"]
    assert (check.state, check.unexpected, verdict.quarantined) == (State.ACCEPTED, 0, 0)
    assert [(one["rows"], one["by"], one["because"]) for one in check.accepted] == [
        (1, "maria", "writes are billed apart")
    ]


def test_the_list_cost_of_a_charge_is_known_on_each_store(ws, log, tmp_path):
    ws.ingest("events", [log(TOKENS | {"cost": 2.75})])
    ws.export(tmp_path / "focus.csv", "focus", "7d")
    (row,) = csv.DictReader((tmp_path / "focus.csv").read_text().splitlines())
    assert (float(row["BilledCost"]), float(row["ListCost"])) == (2.75, 2.5)
