"""What the board knows about one window: a few small tables, read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards.overview_sums import BY, NAMES, rows
from hanzo_reports.metrics.query import OTHER, aggregate
from hanzo_reports.units import Grain
from hanzo_reports.window import Bucket, Window, zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis

    from hanzo_reports.dashboards.overview_sums import Row, Sums
    from hanzo_reports.metrics.arguments import Where

RATES = (
    "requests", "error_rate", "availability", "rate_limited_rate",
    "latency_p50", "latency_p95", "latency_p99", "saturation", "cost_per_request",
)  # fmt: skip
COMPARED = ("requests", "error_rate", "latency_p99", "cost_per_request")
WATCHED = ("requests", "error_rate")
COURSE = ("requests", "tokens", "cost", "error_rate", "latency_p50", "latency_p95", "latency_p99")
INCIDENT = 0.02  # the error rate from which on a bucket is marked
FAILURES = 10  # and how many failed requests a stretch of such takes: a few unlucky ones by night are no incident
_GRAINS = (
    (0.1, Grain.MINUTE), (0.4, Grain.FIVE_MINUTES), (2, Grain.FIFTEEN_MINUTES), (14, Grain.HOUR),
    (180, Grain.DAY), (1200, Grain.WEEK),
)  # fmt: skip
_FINER = {
    Grain.HOUR: Grain.FIFTEEN_MINUTES, Grain.DAY: Grain.HOUR, Grain.WEEK: Grain.DAY, Grain.MONTH: Grain.DAY,
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """One window of the board.

    Args:
        events: the events of the window and of the one before, at least.
        window: what is looked at.
        where: the filter that holds for all of it.
        sums: those of this window and of the one before, among others.
    """

    events: ibis.Table
    window: Window
    where: Where
    sums: Sums

    @property
    def grain(self) -> Grain:
        """How finely its charts are cut."""
        days = (self.window.end - self.window.start).total_seconds() / 86_400
        return next((grain for most, grain in _GRAINS if days <= most), Grain.MONTH)

    @property
    def watch(self) -> Grain:
        """How finely it is searched for incidents: a bad half hour is lost in the average of a day."""
        return _FINER.get(self.grain, self.grain)

    @cached_property
    def groups(self) -> list[Row]:
        """One row per model x project of this window or the one before: its sums, each with `_previous`."""
        sides, absent = (self.sums.of(self.window), self.sums.of(self.window.previous())), dict.fromkeys(NAMES, 0)
        return [
            dict(zip(BY, key, strict=True))
            | {f"{name}{tail}": value
               for side, tail in zip(sides, ("", "_previous"), strict=True)
               for name, value in side.get(key, absent).items()}
            for key in {**sides[0], **sides[1]}
        ]  # fmt: skip

    @cached_property
    def now(self) -> Row:
        """The whole window: sums and RATES."""
        return self._whole(self.window, RATES, "")

    @cached_property
    def before(self) -> Row:
        """The window before: sums and the rates that are compared."""
        return self._whole(self.window.previous(), COMPARED, "_previous")

    @cached_property
    def course(self) -> list[Row]:
        """One row per whole bucket of the window: COURSE, `bucket`, and `before`, the requests one window earlier."""
        buckets = self.window.buckets(self.grain)
        current = self._cut(self.window, COURSE, self.grain)
        earlier: list[Row | None] = [*self._cut(self.window.previous(), ("requests",), self.grain)]
        earlier += [None] * (len(current) - len(earlier))
        return [
            row | {"bucket": bucket, "before": past and past["requests"]}
            for bucket, row, past in zip(buckets, current, earlier, strict=False)
            if self._is_whole(bucket, self.grain)
        ]

    @cached_property
    def watched(self) -> list[Row]:
        """One row per whole bucket of the grain that is searched for incidents: `requests`, `error_rate`, `bucket`."""
        if self.watch is self.grain:
            return self.course
        found = zip(self.window.buckets(self.watch), self._cut(self.window, WATCHED, self.watch), strict=True)
        return [row | {"bucket": bucket} for bucket, row in found if self._is_whole(bucket, self.watch)]

    def read(self, first: int = 0) -> None:
        """Everything about the window, asked of the store now.

        Args:
            first: where to begin; two threads had better not want the same at once, as Python 3.11 lets one wait.
        """
        names = ("now", "before", "course", "watched")
        for name in names[first:] + names[:first]:
            getattr(self, name)

    @property
    def empty(self) -> bool:
        """Whether there is nothing in the window."""
        return not self.now["requests"]

    def ranked(self, dimension: str, metric: str, top: int = 5) -> list[Row]:
        """The largest groups of a dimension by an additive metric, then ``other``, then those without a name.

        Each with its `name`, and the sum `now` and `before`.
        """
        sides: dict[Any, list[Any]] = {}
        for row in self.groups:
            pair = sides.setdefault(row[dimension], [0, 0])
            pair[:] = (pair[0] + (row[metric] or 0), pair[1] + (row[f"{metric}_previous"] or 0))
        found = [{"name": name, "now": now, "before": before} for name, (now, before) in sides.items()]
        found.sort(key=lambda row: (-row["now"], str(row["name"])))
        known = [row for row in found if row["now"] and row["name"] is not None]
        kept = known if len(known) <= top + 1 else known[:top]
        rest = [row for row in known if row not in kept]
        if rest:
            kept = [*kept, {"name": OTHER, **{side: sum(row[side] for row in rest) for side in ("now", "before")}}]
        return [*kept, *(row for row in found if row["name"] is None and row["now"])]

    @cached_property
    def incidents(self) -> list[tuple[Bucket, Bucket, Row]]:
        """The stretches of too many errors: their first and last bucket, and the worst one's row."""
        found = []
        for bad, stretch in groupby(self.watched, lambda row: (row["error_rate"] or 0) > INCIDENT):
            buckets = list(stretch)
            if bad and sum(round(row["error_rate"] * row["requests"]) for row in buckets) >= FAILURES:
                worst = max(buckets, key=lambda row: row["error_rate"])
                found.append((buckets[0]["bucket"], buckets[-1]["bucket"], worst))
        return found

    @cached_property
    def worst(self) -> Row | None:
        """The worst bucket of all incidents, with its `latency_p99`; None without an incident."""
        if not self.incidents:
            return None
        row = max((worst for *_, worst in self.incidents), key=lambda each: each["error_rate"])
        bucket = replace(self.window, start=row["bucket"].start, end=row["bucket"].end)
        return row | rows(aggregate(self.events, bucket, ("latency_p99",), where=self.where))[0]

    def local(self, instant: datetime) -> datetime:
        """An instant in the window's zone."""
        return instant.astimezone(zone(self.window.timezone))

    def _whole(self, window: Window, rates: Sequence[str], side: str) -> Row:
        """Sums add up from the groups; rates and percentiles cannot, and are computed from the events."""
        row = rows(aggregate(self.events, window, rates, where=self.where))[0]
        for name in NAMES:
            parts = [group[f"{name}{side}"] for group in self.groups if group[f"{name}{side}"] is not None]
            row[name] = sum(parts) if parts or not row["requests"] else None
        return row

    def _cut(self, window: Window, metrics: Sequence[str], every: Grain) -> list[Row]:
        return rows(aggregate(self.events, window, metrics, every=every, where=self.where))

    def _is_whole(self, bucket: Bucket, grain: Grain) -> bool:
        """Whether the window holds all of a bucket; a clipped one would look like a fall."""
        after = replace(self.window, start=bucket.end, end=bucket.end + timedelta(seconds=1))
        return _begins(bucket) and (bucket.end < self.window.end or _begins(after.buckets(grain)[0]))


def _begins(bucket: Bucket) -> bool:
    return datetime.fromisoformat(bucket.label) == bucket.start
