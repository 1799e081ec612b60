"""Accepted events: rows that somebody let into the store in spite of a check, with who, when and why.

An acceptance holds for single events and single checks: the check still fails for every other row, and an accepted
event still fails its other checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from hanzo_reports.quality.suites import Suite
    from hanzo_reports.store.base import Store

MAX_TEXT_LENGTH = 500


@dataclass(frozen=True)
class Acceptance:
    """One decision to accept events in spite of a check.

    Args:
        check: the id of the check.
        because: why, in the words of who decided.
        by: who decided.
        at: when.
        event_ids: the accepted events.
    """

    check: str
    because: str
    by: str
    at: datetime
    event_ids: frozenset[str]

    def as_json(self, rows: int) -> dict[str, object]:
        """What a verdict says about it, with the number of rows of the checked table that it lets pass."""
        return {"rows": rows, "because": self.because, "by": self.by, "at": iso(self.at)}


def load_acceptances(store: Store, suite: Suite) -> list[Acceptance]:
    """The acceptances of a suite's checks, the oldest first."""
    import sqlalchemy  # noqa: PLC0415  # only a suite about events needs it

    from hanzo_reports.state.quality_tables import ACCEPTANCES  # noqa: PLC0415  # as above

    columns = ACCEPTANCES.c
    chosen = sqlalchemy.select(ACCEPTANCES).where(columns.suite == suite_key(suite))
    events: dict[tuple[str, str, str, datetime], set[str]] = {}
    with store.state.connect() as connection:
        for row in connection.execute(chosen.order_by(columns.accepted_at, columns.check_id)):
            key = (row.check_id, row.because, row.accepted_by, row.accepted_at)
            events.setdefault(key, set()).add(row.event_id)
    return [Acceptance(*key, frozenset(ids)) for key, ids in events.items()]


def save_acceptances(store: Store, suite: Suite, acceptances: Iterable[Acceptance]) -> None:
    """Records acceptances; one of the same event and check that is recorded already stays as it is."""
    from hanzo_reports.state.budget_tables import insert_new  # noqa: PLC0415  # only a release needs it
    from hanzo_reports.state.quality_tables import ACCEPTANCES  # noqa: PLC0415  # as above

    with store.state.begin() as connection:
        for one in acceptances:
            for event_id in sorted(one.event_ids):
                row = {"suite": suite_key(suite), "check_id": one.check, "event_id": event_id,
                       "because": one.because, "accepted_by": one.by, "accepted_at": one.at}  # fmt: skip
                insert_new(connection, ACCEPTANCES, row)


def accepted_ids(acceptances: Iterable[Acceptance], check: str) -> Collection[str]:
    """The events that are accepted in spite of a check."""
    return frozenset().union(*(one.event_ids for one in acceptances if one.check == check))


def suite_key(suite: Suite) -> str:
    """What a suite's acceptances are recorded under: its name, or its path where it is a file of the user's own."""
    return suite.name if suite.shipped else str(suite.path)


def clean_text(text: str) -> str:
    """A name or a reason on one line, without blanks at its ends and of a bounded length."""
    return " ".join(text.split())[:MAX_TEXT_LENGTH]
