"""Sums by model and project of several windows, from one look at the events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

from hanzo_reports.events import TIMESTAMP
from hanzo_reports.metrics.catalog import select_metrics
from hanzo_reports.metrics.query import aggregate_groups, filter_events, required_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.window import Window

NAMES = ("requests", "tokens", "cost", "unpriced_requests")  # additive, all of them
BY = ("model", "project")
Row = dict[str, Any]
Key = tuple[str | None, ...]


@dataclass(frozen=True)
class Sums:
    """NAMES by BY for each of some windows: they overlap, so the stretches between their edges are read, once.

    Args:
        events: the events of all windows, at least.
        windows: those that will be asked for.
        where: the filter that holds for all of it.
    """

    events: ibis.Table
    windows: Sequence[Window]
    where: Where

    def of(self, window: Window) -> dict[Key, Row]:
        """One window's sums by model and project; NULL only where none of the events has a value."""
        first, last = self._edges.index(window.start), self._edges.index(window.end)
        found: dict[Key, Row] = {}
        for row in self._stretches:
            if first < row["_edges"] <= last:
                sums = found.setdefault(tuple(row[name] for name in BY), dict.fromkeys(NAMES))
                for name in NAMES:
                    if row[name] is not None:
                        sums[name] = row[name] + (sums[name] or 0)
        return found

    def read(self) -> None:
        """The events, looked at now."""
        _ = self._stretches

    @cached_property
    def _edges(self) -> list[Any]:
        return sorted({edge for window in self.windows for edge in (window.start, window.end)})

    @cached_property
    def _stretches(self) -> list[Row]:
        """One row per stretch x model x project; a stretch is known by the number of edges that it lies behind."""
        whole, asked = replace(self.windows[0], start=self._edges[0], end=self._edges[-1]), select_metrics(NAMES)
        events = filter_events(self.events, whole, self.where, required_columns(asked, BY))
        passed = [(events.timestamp >= ibis.literal(edge, TIMESTAMP)).ifelse(1, 0) for edge in self._edges]
        marked = events.mutate(_edges=sum(passed[1:], passed[0]))
        return rows(aggregate_groups(marked, whole, asked, ["_edges", *BY]))


def answer(table: ibis.Table) -> pa.Table:
    """A small table's rows, streamed: Ibis' other way imports pandas, which takes half a second."""
    reader = table.to_pyarrow_batches()
    batches = list(reader)  # of DuckDB's types, whose sums of integers are wider than Ibis says
    return pa.Table.from_batches(batches).cast(reader.schema) if batches else reader.schema.empty_table()


def rows(table: ibis.Table) -> list[Row]:
    """A small table's rows as dictionaries."""
    found: list[Row] = answer(table).to_pylist()
    return found
