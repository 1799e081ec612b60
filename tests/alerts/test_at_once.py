"""Two passes at once, on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from hanzo_reports.alerts.rule_check import check_rules

BAD = 20


@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("both_late", [False, True])
def test_two_checkers_at_once_tell_everything_once(house, receiver, state_engine, traffic, clock, both_late):
    """`both_late`: both have read what was kept before either writes."""
    house.rule(house.channel(f"hook=webhook:{receiver.url}"), by=["project"])
    barrier = threading.Barrier(2)

    def events(start, end):
        if both_late:
            barrier.wait(10)
        return traffic.store.events(start, end)

    done, failed = [], []

    def run(engine, now):
        try:
            done.append(check_rules(engine, events, now, context=house.message_context).messages)
        except Exception as error:  # noqa: BLE001  # shown below
            failed.append(error)

    for bad in (BAD, BAD, 0):
        clock.pass_(minutes=1)
        for project in ("a", "b", "c"):
            traffic.put(clock.now, 50, bad, project=project)
        instants = (clock.now, clock.now + timedelta(milliseconds=500 if bad else 0))
        threads = [threading.Thread(target=run, args=(state_engine(), now)) for now in instants]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.pass_(seconds=1)
        house.deliver()
    assert failed == []
    assert sum(done) == 6
    assert sorted(receiver.types) == ["alert.firing"] * 3 + ["alert.resolved"] * 3
    assert len(set(receiver.ids)) == 6
