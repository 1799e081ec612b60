"""What a run depends on, and whose pointer it moves, without running it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

import hanzo_reports as hr
from hanzo_reports.errors import WindowError
from hanzo_reports.reports.notebook import load_notebook
from hanzo_reports.reports.parameters import check_parameters
from hanzo_reports.reports.plan import build_request, plan_run


@pytest.fixture(scope="module")
def plan(notebook, empty_store, now):
    """A function that plans a run of a small notebook."""
    small = load_notebook(str(notebook("small")))

    def make(later=timedelta(), **params):
        return plan_run(request_for(small, now + later, store=empty_store, **params))

    return make


def request_for(notebook, now, **params):
    """The request that a notebook, parameters and an instant make."""
    return build_request(notebook, check_parameters(notebook.parameters, params, notebook.name), now)


def test_the_same_question_has_the_same_key(plan):
    assert plan().key == plan(window="24h", top="5").key
    assert (
        len(
            {plan().key, plan(top=4).key, plan(window="7d").key, plan(project="a").key, plan(timezone="Asia/Tokyo").key}
        )
        == 5
    )


def test_a_rolling_window_moves_on_a_calendar_one_waits_for_midnight(plan):
    hour, day = timedelta(hours=1), timedelta(days=1)
    assert plan().key != plan(hour).key
    assert plan(window="yesterday").key == plan(hour, window="yesterday").key
    assert plan(window="yesterday").key != plan(day, window="yesterday").key


def test_a_window_end_repeats_a_run_later(plan, now):
    early, late = (plan(timedelta(days=days), window_end="2025-06-08T09:30:00Z") for days in (0, 3))
    assert early.key == late.key == plan().key
    assert late.window.end == now
    assert late.request.values["window_end"] == "2025-06-08T09:30:00Z"


def test_a_window_end_without_an_offset_is_in_the_zone(plan):
    assert plan(window_end="2025-06-08", timezone="Asia/Tokyo").window.end == datetime(2025, 6, 7, 15, tzinfo=UTC)


def test_new_events_are_another_run(notebook, tmp_path, now):
    workspace = hr.open(str(tmp_path / "warehouse"), now=now, create=True)
    small = load_notebook(str(notebook("small")))
    request = request_for(small, now, store=tmp_path / "warehouse", window="all")
    before = plan_run(request)
    assert (before.rows({}), before.synthetic, before.window.name) == (0, False, "all")
    workspace.sample(days=2, per_day=50)
    after = plan_run(request)
    assert after.key != before.key
    assert after.synthetic
    held = workspace.usage("all", ["requests"]).rows()[0]["requests"]
    assert after.rows({}) == held > 0
    assert after.rows({"all": {"requests": 7}}) == 7
    day = plan_run(request_for(small, now, store=tmp_path / "warehouse"))
    assert day.rows({}) == workspace.usage("24h", ["requests"]).rows()[0]["requests"] < held


def test_only_the_notebooks_own_parameters_have_the_plain_pointer(plan):
    usual = (plan(), plan(timedelta(days=1)), plan(window_end="2025-06-01"), plan(top="5"))
    assert {found.request.pointer for found in usual} == {"latest"}
    other = [
        plan(window="7d").request.pointer,
        plan(project="a").request.pointer,
        plan(timezone="Asia/Tokyo").request.pointer,
    ]
    assert all(re.fullmatch(r"latest-[0-9a-f]{8}", pointer) for pointer in other)
    assert len(set(other)) == 3
    assert plan(timedelta(days=1), window="7d").request.pointer == other[0]


def test_a_notebook_may_need_neither_store_nor_window(notebook, now):
    plain = load_notebook(str(notebook("plain", parameters="top: int = 5")))
    plan = plan_run(build_request(plain, check_parameters(plain.parameters, {}, "plain"), now))
    assert (plan.store, plan.window, plan.version, plan.rows({})) == (None, None, None, None)
    assert plan.key != plan_run(build_request(plain, check_parameters(plain.parameters, {"top": 6}, "plain"), now)).key


def test_the_store_is_the_same_from_everywhere(notebook, now, empty_store, monkeypatch):
    small = load_notebook(str(notebook("small")))
    monkeypatch.chdir(empty_store.parent)
    for given in ("", "warehouse", "./warehouse", str(empty_store)):
        wanted = build_request(small, check_parameters(small.parameters, {"store": given}, "small"), now)
        assert wanted.values["store"] == str(empty_store)


def test_a_window_end_must_be_an_instant(plan):
    with pytest.raises(WindowError, match="'later' is neither a date"):
        plan(window_end="later")
