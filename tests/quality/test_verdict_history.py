"""Stored verdicts: how many, for how long, and which of them make a page's badge."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hanzo_reports import store
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.verdict import Check, State, Verdict
from hanzo_reports.window import iso


@pytest.fixture(params=["lake", "postgres"])
def empty_store(request, tmp_path):
    """An empty store in a folder, and one in a database."""
    if request.param == "lake":
        return store.open(str(tmp_path / "lake"), create=True)
    return store.open(request.getfixturevalue("database"), create=True)


def verdict(at, suite="events", *, scope="store", shipped=True, state=State.PASSED):
    check = Check("fresh", "any", "critical", "it is fresh", "table", state)
    return Verdict(suite, suite, iso(at), scope, "", 3, 0, (check,), "counts", {"shipped": shipped})


def test_only_the_newest_verdicts_are_kept(empty_store, now, monkeypatch):
    monkeypatch.setattr(verdict_history, "MAX_VERDICTS", 3)
    for minute in range(5):
        verdict_history.save_verdict(empty_store, verdict(now + timedelta(minutes=minute)))
    verdict_history.save_verdict(empty_store, verdict(now, "daily"))
    verdicts = verdict_history.verdicts_since(empty_store, now - timedelta(days=1))
    assert [(one.suite, one.at) for one in verdicts] == [
        ("daily", iso(now)), *(("events", iso(now + timedelta(minutes=minute))) for minute in (2, 3, 4)),
    ]  # fmt: skip
    assert [one.at for one in verdict_history.verdicts_since(empty_store, now + timedelta(minutes=4))] == [
        iso(now + timedelta(minutes=4))
    ]


def test_the_badge_shows_shipped_suites_and_the_last_load(empty_store, now):
    failed = State.FAILED
    verdict_history.save_verdict(empty_store, verdict(now, "events"))
    verdict_history.save_verdict(empty_store, verdict(now, "own", shipped=False, state=failed))
    assert verdict_history.build_badge(verdict_history.current_verdicts(empty_store))["text"] == "passed"
    verdict_history.save_verdict(empty_store, verdict(now, "blk", scope="load", shipped=False, state=failed))
    badge = verdict_history.build_badge(verdict_history.current_verdicts(empty_store))
    assert (badge["status"], badge["text"], badge["tone"]) == ("failed", "failed", "bad")
    assert sorted((one["suite"], one["scope"], one["failed"]) for one in badge["suites"]) == [
        ("blk", "load", ["fresh"]), ("events", "store", []),
    ]  # fmt: skip
    verdict_history.save_verdict(empty_store, verdict(now + timedelta(hours=1), "events", scope="load"))
    assert verdict_history.build_badge(verdict_history.current_verdicts(empty_store))["status"] == "passed"


def test_without_verdicts_there_is_no_badge(empty_store):
    assert verdict_history.build_badge(verdict_history.current_verdicts(empty_store)) is None
