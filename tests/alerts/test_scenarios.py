"""Alerting end to end: traffic in a store, one check per minute, a real receiver."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hanzo_reports.alerts import rule_store, silences, state_store
from hanzo_reports.errors import StoreError
from hanzo_reports.state.alert_tables import STATES

BAD = 20


@pytest.fixture
def hook(alerting, receiver):
    return alerting.channel(f"hook=webhook:{receiver.url}")


def minutes(alerting, *bad):
    for number in bad:
        alerting.minute(bad=number)


def test_a_threshold_is_crossed_and_crossed_back(alerting, hook, receiver):
    alerting.rule(hook)
    minutes(alerting, 0, BAD, BAD, 0, 0)
    assert receiver.types == ["alert.firing", "alert.resolved"]
    data = receiver.got[0].json["data"]
    assert (data["value"], data["threshold"], data["requests"], data["rule"]) == (0.2, 0.05, 100, "errors")


def test_for_keeps_short_spikes_quiet(alerting, hook, receiver):
    alerting.rule(hook, **{"for": "2m"})
    minutes(alerting, BAD, BAD, 0, BAD, BAD, BAD)
    assert receiver.types == ["alert.firing"]
    assert receiver.got[0].json["data"]["began"] == "2026-03-01T03:04:00Z"


def test_flapping_is_one_episode_with_keep_firing_for(alerting, hook, receiver):
    alerting.rule(hook, keep_firing_for="3m")
    minutes(alerting, BAD, 0, BAD, 0, BAD, 0, 0, 0, 0)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_hysteresis(alerting, hook, receiver):
    alerting.rule(hook, clear="0.01")
    minutes(alerting, BAD, 3, 4, 3, 1)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_no_data_resolves_nothing_and_sends_a_notice_if_the_rule_says_so(alerting, hook, receiver):
    alerting.rule(hook, no_data="alert")
    minutes(alerting, BAD)
    for _ in range(17):
        alerting.minute(requests=0)
    assert receiver.types == ["alert.firing", "alert.no_data"]
    assert alerting.phases() == {"{}": "firing"}
    minutes(alerting, 0)
    assert receiver.types == ["alert.firing", "alert.no_data", "alert.back", "alert.resolved"]


def test_missed_passes_are_not_replayed(alerting, hook, receiver, clock, traffic):
    alerting.rule(hook, **{"for": "2m"})
    minutes(alerting, BAD)
    for _ in range(10):
        clock.pass_(minutes=1)
        traffic.put(clock.now, 100, BAD)
    assert alerting.minute(bad=BAD).gap == timedelta(minutes=11)
    assert receiver.types == []
    minutes(alerting, BAD, BAD)
    assert receiver.types == ["alert.firing"]
    clock.pass_(hours=1)
    alerting.minute(bad=BAD)
    assert alerting.phases() == {"{}": "firing"}


def test_a_restart_changes_nothing(alerting, hook, receiver, state_engine):
    alerting.rule(hook, **{"for": "2m"}, keep_firing_for="2m")
    for bad in (BAD, BAD, BAD, BAD, 0, 0, 0, 0):
        alerting.engine = state_engine()
        alerting.minute(bad=bad)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_reminders(alerting, hook, receiver):
    alerting.rule(hook, repeat="3m")
    minutes(alerting, *[BAD] * 8)
    assert receiver.types == ["alert.firing", "alert.reminder", "alert.reminder"]
    assert len(set(receiver.ids)) == 3


def test_a_rule_is_edited_while_it_fires(alerting, hook, receiver, clock):
    alerting.rule(hook)
    minutes(alerting, BAD)
    alerting.rule(hook, gt="0.1", replace_existing=True)
    minutes(alerting, BAD)
    assert receiver.types == ["alert.firing", "alert.resolved", "alert.firing"]
    assert receiver.got[1].json["data"]["reason"] == "rule_changed"
    alerting.rule(hook, gt="0.1", repeat="1h", replace_existing=True)
    minutes(alerting, BAD)
    assert len(receiver.got) == 3
    with alerting.engine.begin() as connection:
        rule_store.remove_rule(connection, "errors", clock.now, alerting.message_context)
    alerting.deliver()
    assert receiver.types[3:] == ["alert.resolved"]
    assert alerting.phases() == {}


def test_a_receiver_that_fails_in_every_way(alerting, hook, receiver, clock):
    alerting.rule(hook)
    receiver.answers = [500, 429, 301, 2.5]
    minutes(alerting, BAD)
    for _ in range(4):
        clock.pass_(hours=3)
        alerting.deliver()
    assert [len(receiver.got), len(set(receiver.ids))] == [5, 1]


def test_groups_have_states_of_their_own_and_a_group_without_traffic_keeps_its(alerting, hook, receiver):
    alerting.rule(hook, by=["project"])
    alerting.minute(bad=BAD, project="a")
    alerting.minute(bad=0, project="b")
    alerting.minute(bad=0, project="b")
    assert alerting.phases() == {'{"project":"a"}': "firing"}
    alerting.minute(bad=0, project="a")
    assert receiver.types == ["alert.firing", "alert.resolved"]
    assert [got.json["data"]["group"] for got in receiver.got] == [{"project": "a"}] * 2


def test_no_traffic_is_zero_for_an_additive_metric(alerting, hook, receiver):
    alerting.rule(hook, name="silence", metric="requests", gt=None, lt="10", by=["project"])
    alerting.minute(project="a", requests=20)
    alerting.minute(project="a", requests=5)
    alerting.minute(requests=0)
    assert receiver.types == ["alert.firing"]
    alerting.minute(requests=0)
    alerting.minute(project="a", requests=20)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_a_healthy_group_whose_traffic_stops_is_reported(alerting, hook, receiver, clock):
    alerting.rule(hook, name="stopped", metric="requests", gt=None, lt="10", by=["project"])
    alerting.minute(project="a", requests=20)
    for _ in range(3):
        alerting.minute(project="b", requests=20)
    assert [(got.json["type"], got.json["data"]["group"]) for got in receiver.got] == [
        ("alert.firing", {"project": "a"})
    ]
    clock.pass_(days=8)
    alerting.minute(project="b", requests=20)
    assert alerting.phases()['{"project":"a"}'] == "firing"  # a firing alert is never forgotten
    assert receiver.types == ["alert.firing", "alert.reminder"]


def test_a_group_without_data_is_reported_and_after_a_week_no_longer_tracked(alerting, hook, receiver, clock):
    alerting.rule(hook, by=["project"], no_data="alert")
    alerting.minute(project="a")
    for _ in range(20):
        alerting.minute(project="b")
    assert [(got.json["type"], got.json["data"]["group"]) for got in receiver.got] == [
        ("alert.no_data", {"project": "a"})
    ]
    clock.pass_(days=7)
    alerting.minute(project="b")
    alerting.minute(project="b")
    assert receiver.types[1:] == ["alert.back"]
    assert "no longer tracked" in receiver.got[1].json["data"]["title"]
    alerting.minute(project="a", bad=BAD)
    assert receiver.types[2:] == ["alert.firing"]


def test_idle_groups_are_tracked_up_to_a_limit_and_only_if_their_absence_is_reported(alerting, hook, monkeypatch):
    from hanzo_reports.alerts import evaluation  # noqa: PLC0415  # to lower its limit

    monkeypatch.setattr(evaluation, "MAX_IDLE_GROUPS", 2)
    alerting.rule(hook, by=["project"])
    alerting.minute(project="a")
    assert alerting.phases() == {}
    alerting.rule(hook, name="stopped", metric="requests", gt=None, lt="10", by=["project"])
    for project in ("a", "b", "c"):
        alerting.minute(project=project)
    assert set(alerting.phases()) == {'{"project":"a"}', '{"project":"b"}'}


def test_groups_of_the_previous_dimensions_are_closed_when_by_changes(alerting, hook, receiver):
    few = {"name": "few", "metric": "requests", "gt": None, "lt": "10"}
    alerting.rule(hook, **few, by=["project"])
    alerting.minute(5, project="a", model="m")
    alerting.rule(hook, **few, by=["model"], replace_existing=True)
    for _ in range(3):
        alerting.minute(5, project="a", model="m")
    messages = [(got.json["type"], got.json["data"]["group"], got.json["data"]["episode"]) for got in receiver.got]
    assert messages[0] == ("alert.firing", {"project": "a"}, 1)
    assert sorted(messages[1:], key=str) == [
        ("alert.firing", {"model": "m"}, 1),
        ("alert.resolved", {"project": "a"}, 1),
    ]
    alerting.rule(hook, **few, by=["project"], replace_existing=True)
    alerting.minute(5, project="a", model="m")
    messages = [(got.json["type"], got.json["data"]["group"], got.json["data"]["episode"]) for got in receiver.got]
    assert sorted(messages[3:], key=str) == [
        ("alert.firing", {"project": "a"}, 2),
        ("alert.resolved", {"model": "m"}, 1),
    ]


def test_slow_requests_are_counted_by_the_threshold_of_each_rule(alerting, hook, receiver, clock, traffic):
    alerting.rule(hook, name="slow", metric="latency_p99", gt="1000")
    alerting.rule(hook, name="slower", metric="latency_p99", gt="3000")
    clock.pass_(minutes=1)
    traffic.put(clock.now, 10, model="a", latency_ms=2000.0)
    traffic.put(clock.now, 5, model="b", latency_ms=4000.0)
    alerting.check()
    alerting.deliver()
    contributors = [got.json["data"]["text"].partition("Top contributor: ")[2].splitlines()[0] for got in receiver.got]
    assert contributors == ["model a: 10 of 15 slow requests (67%)", "model b: 5 of 5 slow requests (100%)"]


def test_a_store_that_cannot_be_read_is_reported_once_to_every_channel_and_resolves_nothing(
    alerting, hook, receiver, clock
):
    other = alerting.channel(f"other=webhook:{receiver.url}/other")
    for n in range(10):
        alerting.rule(hook, name=f"errors{n}", by=["project"])
    alerting.rule(other, name="slow", metric="latency_p99", gt="2000")
    minutes(alerting, BAD)
    assert receiver.types == ["alert.firing"] * 10

    def broken(*_):
        msg = "postgresql://me:hunter2@db cannot be reached"
        raise StoreError(msg)

    for _ in range(20):
        clock.pass_(minutes=1)
        result = alerting.check(events=broken)
        alerting.deliver()
    assert result.failures == ("StoreError: postgresql://***@db cannot be reached",)
    assert sorted(receiver.types[10:]) == ["alert.error"] * 2
    assert "hunter2" not in str([got.body for got in receiver.got])
    minutes(alerting, 0)
    assert sorted(receiver.types[12:]) == ["alert.back"] * 2 + ["alert.resolved"] * 10


def test_a_clock_that_goes_back_does_nothing(alerting, hook, receiver, clock):
    alerting.rule(hook)
    minutes(alerting, BAD)
    clock.pass_(minutes=-30)
    assert alerting.check().skipped
    assert receiver.types == ["alert.firing"]


@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
def test_rewinding_moves_the_instants_of_a_clock_that_was_ahead(alerting, hook, receiver, clock):
    alerting.rule(hook, **{"for": "2m"}, repeat="10m")
    receiver.answers = [500]
    clock.pass_(days=3650)
    minutes(alerting, BAD, BAD, BAD)
    clock.pass_(days=-3650)
    assert alerting.check().ahead > timedelta(days=3649)
    with alerting.engine.begin() as connection:
        state_store.rewind_clock(connection, clock.now)
    minutes(alerting, BAD)
    assert receiver.types == ["alert.firing"] * 2  # the one that failed, and its next attempt at once
    minutes(alerting, *[BAD] * 10)
    assert receiver.types == [*["alert.firing"] * 2, "alert.reminder"]
    minutes(alerting, 0)
    assert receiver.types[3:] == ["alert.resolved"]


def test_late_data_does_not_change_what_was_reported(alerting, hook, receiver, clock, traffic):
    alerting.rule(hook)
    minutes(alerting, BAD)
    traffic.put(clock.now - timedelta(seconds=1), 5000, 0)
    clock.pass_(seconds=-1)
    assert alerting.check().skipped
    clock.pass_(seconds=1)
    minutes(alerting, BAD)
    assert receiver.types == ["alert.firing"]


def test_a_delay_waits_for_late_events(alerting, hook, receiver):
    alerting.message_context = replace(alerting.message_context, delay=timedelta(minutes=1))
    alerting.rule(hook)
    minutes(alerting, BAD, 0, 0)
    assert [got.json["timestamp"] for got in receiver.got] == ["2026-03-01T03:02:00Z", "2026-03-01T03:03:00Z"]


def test_silences(alerting, hook, receiver, clock):
    alerting.rule(hook, by=["project"])

    def silence(**groups):
        new = silences.Silence("", "errors", groups, clock.now, clock.now + timedelta(minutes=3), "deploy")
        with alerting.engine.begin() as connection:
            return silences.add_silence(connection, new).silence_id

    silence(project="a")
    alerting.minute(bad=BAD, project="a")
    alerting.minute(bad=BAD, project="b")
    assert [got.json["data"]["group"]["project"] for got in receiver.got] == ["b"]
    alerting.minute(bad=BAD, project="a")
    assert [got.json["data"]["group"]["project"] for got in receiver.got] == ["b", "a"]
    ended = silence(project="b")
    alerting.minute(bad=0, project="b")
    assert receiver.types[-1] == "alert.resolved"
    with alerting.engine.begin() as connection:
        silences.end_silence(connection, ended, clock.now)
        assert silences.list_silences(connection, clock.now) == []


def test_a_rule_that_is_disabled_resolves_and_says_why(alerting, hook, receiver, clock):
    alerting.rule(hook)
    minutes(alerting, BAD)
    with alerting.engine.begin() as connection:
        assert (
            rule_store.set_rule_enabled(connection, "errors", clock.now, alerting.message_context, enabled=False) == 1
        )
    minutes(alerting, BAD)
    assert [got.json["data"]["reason"] for got in receiver.got] == ["", "disabled"]
    with alerting.engine.begin() as connection:
        rule_store.set_rule_enabled(connection, "errors", clock.now, alerting.message_context, enabled=True)
    minutes(alerting, BAD)
    assert receiver.types == ["alert.firing", "alert.resolved", "alert.firing"]


def test_the_resolve_goes_to_the_channels_that_got_the_firing(alerting, hook, receiver):
    other = alerting.channel(f"other=webhook:{receiver.url}/other")
    alerting.rule(hook)
    minutes(alerting, BAD)
    alerting.rule(other, replace_existing=True)
    minutes(alerting, 0)
    assert [got.path.endswith("/other") for got in receiver.got] == [False, False]


def test_a_rule_that_is_removed_and_added_again_is_reported_again(alerting, hook, receiver, clock):
    for _ in range(2):
        alerting.rule(hook)
        minutes(alerting, BAD)
        with alerting.engine.begin() as connection:
            rule_store.remove_rule(connection, "errors", clock.now, alerting.message_context)
    assert receiver.types == ["alert.firing", "alert.resolved", "alert.firing"]


def test_equal_queries_run_once_and_quiet_rules_store_no_state(alerting, hook):
    for n in range(40):
        alerting.rule(hook, name=f"r{n}", gt=str(0.5 + n / 100), by=["project"])
        alerting.rule(hook, name=f"l{n}", metric="latency_p99", gt=str(1000 + n), by=["project"])
    alerting.rule(hook, name="slow", window="1h", short_window="5m")
    result = alerting.minute(bad=BAD)
    assert (result.rules, result.queries, result.firing) == (81, 3, 1)
    with alerting.engine.connect() as connection:
        assert len(connection.execute(STATES.select()).all()) == 1


def test_the_message_names_the_top_contributor(alerting, hook, receiver, clock, traffic):
    alerting.rule(hook, by=["project"])
    clock.pass_(minutes=1)
    traffic.put(clock.now, 90, 0, model="good")
    traffic.put(clock.now, 10, 9, model="bad")
    traffic.put(clock.now, 1, 1, model="ugly")
    alerting.check()
    alerting.deliver()
    assert "Top contributor: model bad: 9 of 10 errors (90%)" in receiver.got[0].json["data"]["text"]
