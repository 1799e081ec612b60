"""The retry schedule."""

from __future__ import annotations

from hanzo_reports.delivery.outbox import SCHEDULE, retry_delay


def test_jitter_is_a_tenth_at_most_and_the_same_each_time():
    waits = [retry_delay(f"msg{n}", 3) for n in range(200)]
    assert SCHEDULE[3] <= min(waits) < max(waits) <= SCHEDULE[3] * 1.1
    assert len(set(waits)) > 190
    assert retry_delay("msg1", 3) == waits[1]
