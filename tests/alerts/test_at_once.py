"""Two checks at once, on each state database."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from hanzo_reports.alerts.rule_check import check_rules

BAD = 20
WAIT_LIMIT = 300  # seconds; only a thread that hangs reaches it


@pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("both_read_first", [False, True])
def test_two_checks_at_once_send_each_message_once(alerting, receiver, state_engine, traffic, clock, both_read_first):
    """`both_read_first`: both have read the states before either writes."""
    alerting.rule(alerting.channel(f"hook=webhook:{receiver.url}"), by=["project"])
    barrier = threading.Barrier(2)

    def events(start, end):
        if both_read_first:
            barrier.wait(WAIT_LIMIT)
        return traffic.store.events(start, end)

    message_counts, failures = [], []

    def run(engine, now):
        try:
            message_counts.append(check_rules(engine, events, now, context=alerting.message_context).messages)
        except Exception as error:  # noqa: BLE001  # shown below
            failures.append(error)

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
        alerting.deliver()
    assert failures == []
    assert sum(message_counts) == 6
    assert sorted(receiver.types) == ["alert.firing"] * 3 + ["alert.resolved"] * 3
    assert len(set(receiver.ids)) == 6
