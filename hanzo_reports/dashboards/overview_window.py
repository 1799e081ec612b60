"""What the overview knows about one window: a few small tables, each read once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from hanzo_reports.dashboards.base import Dashboard
from hanzo_reports.dashboards.overview_sums import DIMENSIONS, METRICS
from hanzo_reports.dashboards.tables import fetch_rows
from hanzo_reports.metrics.query import OTHER, aggregate
from hanzo_reports.units import Grain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.dashboards.overview_sums import WindowSums
    from hanzo_reports.dashboards.tables import Row
    from hanzo_reports.window import Bucket, Window

RATES = (
    "requests", "error_rate", "availability", "rate_limited_rate",
    "latency_p50", "latency_p95", "latency_p99", "saturation", "cost_per_request",
)  # fmt: skip
COMPARED_RATES = ("requests", "error_rate", "latency_p99", "cost_per_request")
SERIES = ("requests", "tokens", "cost", "error_rate", "latency_p50", "latency_p95", "latency_p99")
INCIDENT_SERIES = ("requests", "error_rate")
INCIDENT_ERROR_RATE = 0.02  # a bucket with a higher error rate belongs to an incident
INCIDENT_MIN_ERRORS = 10  # of the whole incident, as a few failed requests at night are none
RANKING_SIZE = 5
_FINER_GRAINS = {
    Grain.HOUR: Grain.FIFTEEN_MINUTES, Grain.DAY: Grain.HOUR, Grain.WEEK: Grain.DAY, Grain.MONTH: Grain.DAY,
}  # fmt: skip


@dataclass(frozen=True)
class OverviewWindow(Dashboard):
    """One window of the overview; arguments as `Dashboard`.

    Args:
        sums: the sums of this window and of the previous period, among others.
    """

    GRAIN_LIMITS: ClassVar[Sequence[tuple[float, Grain]]] = (
        (0.1, Grain.MINUTE), (0.4, Grain.FIVE_MINUTES), (2.1, Grain.FIFTEEN_MINUTES), (14, Grain.HOUR),
        (190, Grain.DAY), (1300, Grain.WEEK),
    )  # fmt: skip

    sums: WindowSums = field(kw_only=True)

    @property
    def incident_grain(self) -> Grain:
        """The length of the buckets that are searched for incidents; the average of a day hides a bad half hour."""
        return _FINER_GRAINS.get(self.grain, self.grain)

    @cached_property
    def groups(self) -> list[Row]:
        """One row per model and project of either window: its sums, each with `_previous`."""
        current, previous = self.sums.by_group(self.window), self.sums.by_group(self.previous)
        absent = dict.fromkeys(METRICS, 0)
        return [
            dict(zip(DIMENSIONS, key, strict=True))
            | current.get(key, absent)
            | {f"{name}_previous": value for name, value in previous.get(key, absent).items()}
            for key in {**current, **previous}
        ]

    @cached_property
    def totals(self) -> Row:
        """The whole window: sums and RATES."""
        return self._query_totals(self.window, RATES, "")

    @cached_property
    def previous_totals(self) -> Row:
        """The previous period: sums and COMPARED_RATES."""
        return self._query_totals(self.previous, COMPARED_RATES, "_previous")

    @cached_property
    def series(self) -> list[Row]:
        """One row per complete bucket: SERIES, `bucket`, and `previous`: the requests one period earlier."""
        current = self._query_series(self.window, SERIES, self.grain)
        earlier = [row["requests"] for row in self._query_series(self.previous, ("requests",), self.grain)]
        earlier += [None] * (len(current) - len(earlier))
        return [
            current[position] | {"bucket": bucket, "previous": earlier[position]}
            for position, bucket in self.complete_buckets()
        ]

    @cached_property
    def incident_series(self) -> list[Row]:
        """One row per complete bucket of `incident_grain`: INCIDENT_SERIES and `bucket`."""
        if self.incident_grain is self.grain:
            return self.series
        rows = self._query_series(self.window, INCIDENT_SERIES, self.incident_grain)
        return [rows[position] | {"bucket": bucket} for position, bucket in self.complete_buckets(self.incident_grain)]

    def load(self, first: int = 0) -> None:
        """Read everything about the window now.

        Args:
            first: the number of the table to begin with. Two threads that begin with the same one would wait for each
                other, as `cached_property` has one lock for all instances in Python 3.11.
        """
        names = ("totals", "previous_totals", "series", "incident_series")
        for name in names[first:] + names[:first]:
            getattr(self, name)

    @property
    def is_empty(self) -> bool:
        """Whether the window has no requests."""
        return not self.totals["requests"]

    def rank(self, dimension: str, metric: str, top: int = RANKING_SIZE) -> list[Row]:
        """The largest groups of a dimension by an additive metric, then ``other``, then those without a name.

        Returns:
            One row per group: its `name`, and the sums `current` and `previous`.
        """
        sums: dict[str | None, list[Any]] = {}
        for row in self.groups:
            pair = sums.setdefault(row[dimension], [0, 0])
            pair[:] = (pair[0] + (row[metric] or 0), pair[1] + (row[f"{metric}_previous"] or 0))
        rows = [{"name": name, "current": current, "previous": previous} for name, (current, previous) in sums.items()]
        rows = [row for row in sorted(rows, key=lambda row: (-row["current"], str(row["name"]))) if row["current"]]
        named, unnamed = ([row for row in rows if (row["name"] is None) is missing] for missing in (False, True))
        if len(named) > top + 1:
            rest = named[top:]
            other = {side: sum(row[side] for row in rest) for side in ("current", "previous")}
            named = [*named[:top], {"name": OTHER, **other}]
        return [*named, *unnamed]

    @cached_property
    def incidents(self) -> list[tuple[Bucket, Bucket, Row]]:
        """The periods of many errors: the first and the last bucket of each, and the row of the worst one."""
        incidents = []
        for is_bad, rows in groupby(self.incident_series, lambda row: (row["error_rate"] or 0) > INCIDENT_ERROR_RATE):
            run = list(rows)
            if is_bad and sum(round(row["error_rate"] * row["requests"]) for row in run) >= INCIDENT_MIN_ERRORS:
                worst = max(run, key=lambda row: row["error_rate"])
                incidents.append((run[0]["bucket"], run[-1]["bucket"], worst))
        return incidents

    @cached_property
    def worst_bucket(self) -> Row | None:
        """The worst bucket of all incidents, with its `latency_p99`; None without an incident."""
        if not self.incidents:
            return None
        row = max((worst for *_, worst in self.incidents), key=lambda worst: worst["error_rate"])
        window = replace(self.window, start=row["bucket"].start, end=row["bucket"].end)
        return row | fetch_rows(aggregate(self.events, window, ("latency_p99",), where=self.where))[0]

    def _query_totals(self, window: Window, rates: Sequence[str], suffix: str) -> Row:
        """Sums add up from the groups; rates and percentiles do not, and are computed from the events."""
        row = fetch_rows(aggregate(self.events, window, rates, where=self.where))[0]
        for name in METRICS:
            parts = [group[f"{name}{suffix}"] for group in self.groups if group[f"{name}{suffix}"] is not None]
            row[name] = sum(parts) if parts or not row["requests"] else None
        return row

    def _query_series(self, window: Window, metrics: Sequence[str], grain: Grain) -> list[Row]:
        return fetch_rows(aggregate(self.events, window, metrics, every=grain, where=self.where))
