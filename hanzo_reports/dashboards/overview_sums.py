"""Sums by model and project of several windows, from one scan of the events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.dashboards.tables import Row, fetch_rows
from hanzo_reports.events import TIMESTAMP
from hanzo_reports.metrics.catalog import select_metrics
from hanzo_reports.metrics.query import aggregate_groups, filter_events, required_columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.window import Window

METRICS = ("requests", "tokens", "cost", "unpriced_requests")  # all of them are additive
DIMENSIONS = ("model", "project")
Key = tuple[str | None, ...]
_INTERVAL = "_interval"


@dataclass
class WindowSums:
    """METRICS by DIMENSIONS for each of some windows.

    The windows overlap, so the intervals between their edges are summed once, and a window adds up its intervals.

    Args:
        windows: those that will be asked for.
        where: the filter of all questions.
    """

    windows: Sequence[Window]
    where: Where
    _rows: list[Row] = field(default_factory=list)

    def load(self, events: ibis.Table) -> None:
        """Read the sums.

        Args:
            events: the events of all windows, at least.
        """
        edges, metrics = self._edges, select_metrics(METRICS)
        whole = replace(self.windows[0], start=edges[0], end=edges[-1])
        rows = filter_events(events, whole, self.where, required_columns(metrics, DIMENSIONS))
        passed = [(rows.timestamp >= ibis.literal(edge, TIMESTAMP)).ifelse(1, 0) for edge in edges]
        numbered = rows.mutate(**{_INTERVAL: sum(passed[1:], passed[0])})
        self._rows = fetch_rows(aggregate_groups(numbered, whole, metrics, [_INTERVAL, *DIMENSIONS]))

    def by_group(self, window: Window) -> dict[Key, Row]:
        """One window's sums by model and project; None only where no event of the group has a value."""
        first, last = self._edges.index(window.start), self._edges.index(window.end)
        groups: dict[Key, Row] = {}
        for row in self._rows:
            if first < row[_INTERVAL] <= last:
                sums = groups.setdefault(tuple(row[name] for name in DIMENSIONS), dict.fromkeys(METRICS))
                for name in METRICS:
                    if row[name] is not None:
                        sums[name] = row[name] + (sums[name] or 0)
        return groups

    @property
    def _edges(self) -> list[datetime]:
        """The starts and ends of the windows; an event lies in the interval that is numbered by the edges before it."""
        return sorted({edge for window in self.windows for edge in (window.start, window.end)})
