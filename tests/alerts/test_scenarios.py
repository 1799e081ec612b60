"""What people live through, end to end: traffic in a store, a pass a minute, a real receiver."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hanzo_reports.alerts import rule_store, silences, state_store
from hanzo_reports.errors import StoreError
from hanzo_reports.state.alert_tables import STATES

BAD = 20


@pytest.fixture
def hook(house, receiver):
    return house.channel(f"hook=webhook:{receiver.url}")


def minutes(house, *bad):
    for number in bad:
        house.minute(bad=number)


def test_a_threshold_is_crossed_and_crossed_back(house, hook, receiver):
    house.rule(hook)
    minutes(house, 0, BAD, BAD, 0, 0)
    assert receiver.types == ["alert.firing", "alert.resolved"]
    told = receiver.got[0].json["data"]
    assert (told["value"], told["threshold"], told["requests"], told["rule"]) == (0.2, 0.05, 100, "errors")


def test_for_keeps_short_spikes_quiet(house, hook, receiver):
    house.rule(hook, **{"for": "2m"})
    minutes(house, BAD, BAD, 0, BAD, BAD, BAD)
    assert receiver.types == ["alert.firing"]
    assert receiver.got[0].json["data"]["began"] == "2026-03-01T03:04:00Z"


def test_flapping_is_one_episode_with_keep_firing_for(house, hook, receiver):
    house.rule(hook, keep_firing_for="3m")
    minutes(house, BAD, 0, BAD, 0, BAD, 0, 0, 0, 0)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_hysteresis(house, hook, receiver):
    house.rule(hook, clear="0.01")
    minutes(house, BAD, 3, 4, 3, 1)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_no_data_resolves_nothing_and_is_told_where_the_rule_says_so(house, hook, receiver):
    house.rule(hook, no_data="alert")
    minutes(house, BAD)
    for _ in range(17):
        house.minute(requests=0)
    assert receiver.types == ["alert.firing", "alert.no_data"]
    assert house.phases() == {"{}": "firing"}
    minutes(house, 0)
    assert receiver.types == ["alert.firing", "alert.no_data", "alert.back", "alert.resolved"]


def test_missed_passes_are_not_replayed(house, hook, receiver, clock, traffic):
    house.rule(hook, **{"for": "2m"})
    minutes(house, BAD)
    for _ in range(10):
        clock.pass_(minutes=1)
        traffic.put(clock.now, 100, BAD)
    assert house.minute(bad=BAD).gap == timedelta(minutes=11)
    assert receiver.types == []
    minutes(house, BAD, BAD)
    assert receiver.types == ["alert.firing"]
    clock.pass_(hours=1)
    house.minute(bad=BAD)
    assert house.phases() == {"{}": "firing"}


def test_a_restart_changes_nothing(house, hook, receiver, state_engine):
    house.rule(hook, **{"for": "2m"}, keep_firing_for="2m")
    for bad in (BAD, BAD, BAD, BAD, 0, 0, 0, 0):
        house.engine = state_engine()
        house.minute(bad=bad)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_reminders(house, hook, receiver):
    house.rule(hook, repeat="3m")
    minutes(house, *[BAD] * 8)
    assert receiver.types == ["alert.firing", "alert.reminder", "alert.reminder"]
    assert len(set(receiver.ids)) == 3


def test_a_rule_is_edited_while_it_fires(house, hook, receiver, clock):
    house.rule(hook)
    minutes(house, BAD)
    house.rule(hook, gt="0.1", over=True)
    minutes(house, BAD)
    assert receiver.types == ["alert.firing", "alert.resolved", "alert.firing"]
    assert receiver.got[1].json["data"]["reason"] == "rule_changed"
    house.rule(hook, gt="0.1", repeat="1h", over=True)
    minutes(house, BAD)
    assert len(receiver.got) == 3
    with house.engine.begin() as connection:
        rule_store.remove_rule(connection, "errors", clock.now, house.message_context)
    house.deliver()
    assert receiver.types[3:] == ["alert.resolved"]
    assert house.phases() == {}


def test_a_receiver_that_fails_in_every_way(house, hook, receiver, clock):
    house.rule(hook)
    receiver.answers = [500, 429, 301, 2.5]
    minutes(house, BAD)
    for _ in range(4):
        clock.pass_(hours=3)
        house.deliver()
    assert [len(receiver.got), len(set(receiver.ids))] == [5, 1]


def test_groups_have_states_of_their_own_and_a_group_without_traffic_keeps_its(house, hook, receiver):
    house.rule(hook, by=["project"])
    house.minute(bad=BAD, project="a")
    house.minute(bad=0, project="b")
    house.minute(bad=0, project="b")
    assert house.phases() == {'{"project":"a"}': "firing"}
    house.minute(bad=0, project="a")
    assert receiver.types == ["alert.firing", "alert.resolved"]
    assert [got.json["data"]["group"] for got in receiver.got] == [{"project": "a"}] * 2


def test_traffic_that_stops_is_a_value_for_what_adds_up(house, hook, receiver):
    house.rule(hook, name="silence", metric="requests", gt=None, lt="10", by=["project"])
    house.minute(project="a", requests=20)
    house.minute(project="a", requests=5)
    house.minute(requests=0)
    assert receiver.types == ["alert.firing"]
    house.minute(requests=0)
    house.minute(project="a", requests=20)
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_a_group_that_was_well_and_goes_away_is_missed(house, hook, receiver, clock):
    house.rule(hook, name="stopped", metric="requests", gt=None, lt="10", by=["project"])
    house.minute(project="a", requests=20)
    for _ in range(3):
        house.minute(project="b", requests=20)
    assert [(got.json["type"], got.json["data"]["group"]) for got in receiver.got] == [
        ("alert.firing", {"project": "a"})
    ]
    clock.pass_(days=8)
    house.minute(project="b", requests=20)
    assert house.phases()['{"project":"a"}'] == "firing"  # what fires is not forgotten, however long it takes
    assert receiver.types == ["alert.firing", "alert.reminder"]


def test_a_group_without_data_is_told_and_after_a_week_no_longer_waited_for(house, hook, receiver, clock):
    house.rule(hook, by=["project"], no_data="alert")
    house.minute(project="a")
    for _ in range(20):
        house.minute(project="b")
    assert [(got.json["type"], got.json["data"]["group"]) for got in receiver.got] == [
        ("alert.no_data", {"project": "a"})
    ]
    clock.pass_(days=7)
    house.minute(project="b")
    house.minute(project="b")
    assert receiver.types[1:] == ["alert.back"]
    assert "no longer tracked" in receiver.got[1].json["data"]["title"]
    house.minute(project="a", bad=BAD)
    assert receiver.types[2:] == ["alert.firing"]


def test_only_so_many_groups_are_remembered_and_none_by_a_rule_that_misses_none(house, hook, monkeypatch):
    from hanzo_reports.alerts import evaluation  # noqa: PLC0415  # to have it remember fewer

    monkeypatch.setattr(evaluation, "MAX_IDLE_GROUPS", 2)
    house.rule(hook, by=["project"])
    house.minute(project="a")
    assert house.phases() == {}
    house.rule(hook, name="stopped", metric="requests", gt=None, lt="10", by=["project"])
    for project in ("a", "b", "c"):
        house.minute(project=project)
    assert set(house.phases()) == {'{"project":"a"}', '{"project":"b"}'}


def test_groups_of_other_dimensions_are_closed_when_a_rule_divides_otherwise(house, hook, receiver):
    few = {"name": "few", "metric": "requests", "gt": None, "lt": "10"}
    house.rule(hook, **few, by=["project"])
    house.minute(5, project="a", model="m")
    house.rule(hook, **few, by=["model"], over=True)
    for _ in range(3):
        house.minute(5, project="a", model="m")
    told = [(got.json["type"], got.json["data"]["group"], got.json["data"]["episode"]) for got in receiver.got]
    assert told[0] == ("alert.firing", {"project": "a"}, 1)
    assert sorted(told[1:], key=str) == [("alert.firing", {"model": "m"}, 1), ("alert.resolved", {"project": "a"}, 1)]
    house.rule(hook, **few, by=["project"], over=True)
    house.minute(5, project="a", model="m")
    told = [(got.json["type"], got.json["data"]["group"], got.json["data"]["episode"]) for got in receiver.got]
    assert sorted(told[3:], key=str) == [("alert.firing", {"project": "a"}, 2), ("alert.resolved", {"model": "m"}, 1)]


def test_who_is_slow_is_judged_by_each_rules_own_limit(house, hook, receiver, clock, traffic):
    house.rule(hook, name="slow", metric="latency_p99", gt="1000")
    house.rule(hook, name="slower", metric="latency_p99", gt="3000")
    clock.pass_(minutes=1)
    traffic.put(clock.now, 10, model="a", latency_ms=2000.0)
    traffic.put(clock.now, 5, model="b", latency_ms=4000.0)
    house.check()
    house.deliver()
    most = [got.json["data"]["text"].partition("Top contributor: ")[2].splitlines()[0] for got in receiver.got]
    assert most == ["model a: 10 of 15 slow requests (67%)", "model b: 5 of 5 slow requests (100%)"]


def test_a_store_that_cannot_be_read_is_told_once_to_everybody_and_resolves_nothing(house, hook, receiver, clock):
    other = house.channel(f"other=webhook:{receiver.url}/other")
    for n in range(10):
        house.rule(hook, name=f"errors{n}", by=["project"])
    house.rule(other, name="slow", metric="latency_p99", gt="2000")
    minutes(house, BAD)
    assert receiver.types == ["alert.firing"] * 10

    def broken(*_):
        msg = "postgresql://me:hunter2@db cannot be reached"
        raise StoreError(msg)

    for _ in range(20):
        clock.pass_(minutes=1)
        done = house.check(events=broken)
        house.deliver()
    assert done.failures == ("StoreError: postgresql://***@db cannot be reached",)
    assert sorted(receiver.types[10:]) == ["alert.error"] * 2
    assert "hunter2" not in str([got.body for got in receiver.got])
    minutes(house, 0)
    assert sorted(receiver.types[12:]) == ["alert.back"] * 2 + ["alert.resolved"] * 10


def test_a_clock_that_goes_back_does_nothing(house, hook, receiver, clock):
    house.rule(hook)
    minutes(house, BAD)
    clock.pass_(minutes=-30)
    assert house.check().skipped
    assert receiver.types == ["alert.firing"]


@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
def test_what_a_clock_wrote_that_was_ahead_does_not_stay_ahead(house, hook, receiver, clock):
    house.rule(hook, **{"for": "2m"}, repeat="10m")
    receiver.answers = [500]
    clock.pass_(days=3650)
    minutes(house, BAD, BAD, BAD)
    clock.pass_(days=-3650)
    assert house.check().ahead > timedelta(days=3649)
    with house.engine.begin() as connection:
        state_store.rewind_clock(connection, clock.now)
    minutes(house, BAD)
    assert receiver.types == ["alert.firing"] * 2  # the one that failed, and that it is sent again at once
    minutes(house, *[BAD] * 10)
    assert receiver.types == [*["alert.firing"] * 2, "alert.reminder"]
    minutes(house, 0)
    assert receiver.types[3:] == ["alert.resolved"]


def test_late_data_does_not_rewrite_what_was_told(house, hook, receiver, clock, traffic):
    house.rule(hook)
    minutes(house, BAD)
    traffic.put(clock.now - timedelta(seconds=1), 5000, 0)
    clock.pass_(seconds=-1)
    assert house.check().skipped
    clock.pass_(seconds=1)
    minutes(house, BAD)
    assert receiver.types == ["alert.firing"]


def test_a_delay_waits_for_late_events(house, hook, receiver):
    house.message_context = replace(house.message_context, delay=timedelta(minutes=1))
    house.rule(hook)
    minutes(house, BAD, 0, 0)
    assert [got.json["timestamp"] for got in receiver.got] == ["2026-03-01T03:02:00Z", "2026-03-01T03:03:00Z"]


def test_silences(house, hook, receiver, clock):
    house.rule(hook, by=["project"])

    def silence(**groups):
        made = silences.Silence("", "errors", groups, clock.now, clock.now + timedelta(minutes=3), "deploy")
        with house.engine.begin() as connection:
            return silences.add_silence(connection, made).silence_id

    silence(project="a")
    house.minute(bad=BAD, project="a")
    house.minute(bad=BAD, project="b")
    assert [got.json["data"]["group"]["project"] for got in receiver.got] == ["b"]
    house.minute(bad=BAD, project="a")
    assert [got.json["data"]["group"]["project"] for got in receiver.got] == ["b", "a"]
    ended = silence(project="b")
    house.minute(bad=0, project="b")
    assert receiver.types[-1] == "alert.resolved"
    with house.engine.begin() as connection:
        silences.end_silence(connection, ended, clock.now)
        assert silences.list_silences(connection, clock.now) == []


def test_a_rule_that_is_disabled_resolves_and_says_why(house, hook, receiver, clock):
    house.rule(hook)
    minutes(house, BAD)
    with house.engine.begin() as connection:
        assert rule_store.set_rule_enabled(connection, "errors", clock.now, house.message_context, enabled=False) == 1
    minutes(house, BAD)
    assert [got.json["data"]["reason"] for got in receiver.got] == ["", "disabled"]
    with house.engine.begin() as connection:
        rule_store.set_rule_enabled(connection, "errors", clock.now, house.message_context, enabled=True)
    minutes(house, BAD)
    assert receiver.types == ["alert.firing", "alert.resolved", "alert.firing"]


def test_the_resolve_goes_to_who_was_told(house, hook, receiver):
    other = house.channel(f"other=webhook:{receiver.url}/other")
    house.rule(hook)
    minutes(house, BAD)
    house.rule(other, over=True)
    minutes(house, 0)
    assert [got.path.endswith("/other") for got in receiver.got] == [False, False]


def test_a_rule_removed_and_made_again_is_told_again(house, hook, receiver, clock):
    for _ in range(2):
        house.rule(hook)
        minutes(house, BAD)
        with house.engine.begin() as connection:
            rule_store.remove_rule(connection, "errors", clock.now, house.message_context)
    assert receiver.types == ["alert.firing", "alert.resolved", "alert.firing"]


def test_equal_questions_are_asked_once_and_quiet_rules_keep_no_state(house, hook):
    for n in range(40):
        house.rule(hook, name=f"r{n}", gt=str(0.5 + n / 100), by=["project"])
        house.rule(hook, name=f"l{n}", metric="latency_p99", gt=str(1000 + n), by=["project"])
    house.rule(hook, name="slow", window="1h", short_window="5m")
    done = house.minute(bad=BAD)
    assert (done.rules, done.queries, done.firing) == (81, 3, 1)
    with house.engine.connect() as connection:
        assert len(connection.execute(STATES.select()).all()) == 1


def test_the_message_names_who_is_behind_it(house, hook, receiver, clock, traffic):
    house.rule(hook, by=["project"])
    clock.pass_(minutes=1)
    traffic.put(clock.now, 90, 0, model="good")
    traffic.put(clock.now, 10, 9, model="bad")
    traffic.put(clock.now, 1, 1, model="ugly")
    house.check()
    house.deliver()
    assert "Top contributor: model bad: 9 of 10 errors (90%)" in receiver.got[0].json["data"]["text"]
