"""The base of all dashboards: one window of a store, its questions, and its panels as parts of a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from hanzo_reports.dashboards.downloads import offer_files
from hanzo_reports.dashboards.tables import Row, fetch_rows, fetch_table
from hanzo_reports.export import tables as export
from hanzo_reports.html import panels
from hanzo_reports.html.components import Part
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.compare import comparison
from hanzo_reports.metrics.cost import SPLIT
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.units import Grain
from hanzo_reports.window import zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis
    import pyarrow as pa

    from hanzo_reports.html.components import Panel
    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.window import Bucket, Window
    from hanzo_reports.workspace import Workspace

RANKING_SIZE = 6  # groups of a ranking; all others together are one more


@dataclass(frozen=True)
class Dashboard:
    """One window of a store, compared with the previous period.

    Args:
        ws: the store, the time zone and the present instant.
        range_name: the range to show.
        project: show only this project; empty: all.

    Raises:
        WindowError: the range cannot be read.
    """

    GRAIN_LIMITS: ClassVar[Sequence[tuple[float, Grain]]] = ((2.1, Grain.HOUR), (190, Grain.DAY), (1300, Grain.WEEK))

    ws: Workspace
    range_name: str = "30d"
    project: str = ""

    def __post_init__(self) -> None:
        self.ws.window(self.range_name)

    @cached_property
    def window(self) -> Window:
        """The range as a window."""
        return self.ws.window(self.range_name)

    @cached_property
    def previous(self) -> Window:
        """The window it is compared with."""
        return self.window.previous()

    @cached_property
    def events(self) -> ibis.Table:
        """The events of both windows."""
        return self.ws.store.events(self.previous.start, self.window.end)

    @cached_property
    def split_events(self) -> ibis.Table:
        """The same with the cost of each kind of token."""
        from hanzo_reports.pricing.cost_split import split_costs  # noqa: PLC0415  # not every page needs it

        return split_costs(self.events)

    @property
    def where(self) -> Where:
        """The filter of all questions."""
        return {"project": self.project} if self.project else {}

    @property
    def grain(self) -> Grain:
        """The length of the buckets of charts: `GRAIN_LIMITS` has the longest window, in days, for each grain."""
        days = (self.window.end - self.window.start).total_seconds() / 86_400
        return next((grain for longest, grain in self.GRAIN_LIMITS if days <= longest), Grain.MONTH)

    def complete_buckets(self, grain: Grain | None = None) -> list[tuple[int, Bucket]]:
        """The buckets that lie in the window as a whole, with their positions; a clipped one would look like a fall.

        Args:
            grain: their length; None: the dashboard's.
        """
        grain = grain or self.grain
        after = replace(self.window, start=self.window.end, end=self.window.end + timedelta(seconds=1))
        ends_on_edge = _starts_on_edge(after.buckets(grain)[0])
        return [
            (position, bucket)
            for position, bucket in enumerate(self.window.buckets(grain))
            if _starts_on_edge(bucket) and (bucket.end < self.window.end or ends_on_edge)
        ]

    def query(self, metrics: Sequence[str], by: Sequence[str] = (), every: Grain | None = None) -> pa.Table:
        """Metrics of the window by group and bucket, as `hanzo_reports.metrics.query.aggregate` gives them."""
        return fetch_table(
            aggregate(self.events_with(metrics), self.window, metrics, by=by, every=every, where=self.where)
        )

    def query_series(self, metrics: Sequence[str]) -> list[Row]:
        """Metrics of each complete bucket of the window, in order."""
        rows = self.query(metrics, every=self.grain).to_pylist()
        return [rows[position] for position, _ in self.complete_buckets()]

    def compare(self, metrics: Sequence[str], by: Sequence[str] = (), top: int | None = None) -> list[Row]:
        """Metrics beside those of the previous period: `m`, `m_previous`, `m_change`."""
        return fetch_rows(comparison(self.events_with(metrics), self.window, metrics, by=by, where=self.where, top=top))

    def events_with(self, metrics: Sequence[str]) -> ibis.Table:
        """The events with the columns that these metrics need; prices are looked up only for those that need them."""
        return self.split_events if SPLIT.intersection(metrics) else self.events

    def to_local(self, instant: datetime) -> datetime:
        """An instant in the dashboard's time zone."""
        return instant.astimezone(zone(self.ws.timezone))

    def bucket_label(self, bucket: Bucket, grain: Grain | None = None) -> str:
        """The start of a bucket as a person writes it; of buckets of days or more, the day."""
        start = self.to_local(bucket.start)
        return f"{start:%a} {start.day} {start:%b}" + (f" {start:%H:%M}" if (grain or self.grain).seconds else "")

    def describe_period(self, start: datetime, end: datetime) -> str:
        """A period in the dashboard's time zone, as a person writes it."""
        first, last = self.to_local(start), self.to_local(end)
        return f"{first.day} {first:%b %Y %H:%M} – {last.day} {last:%b %Y %H:%M}"  # noqa: RUF001  # from-to takes an en dash

    def show(self, panel: Panel) -> Part:
        """A panel as a part of the report, with one variant: the window's."""
        period = f"{self.describe_period(self.window.start, self.window.end)} {self.ws.timezone}"
        variant = {"html": panel.html, "text": panel.text, "period": period}
        name = self.window.name or self.range_name
        return Part(panel.kind, panel.title, {name: variant}, panel.wide, panel.facts)

    def show_tiles(self, tiles: Sequence[panels.Tile], figures: Mapping[str, object]) -> Part:
        """Key figures as tiles; `figures` go into the manifest."""
        values = {name: export.manifest_value(value) for name, value in figures.items()}
        return self.show(panels.build_tiles(tiles, {"kpis": {self.window.name or self.range_name: values}}))

    def metric_tiles(
        self, names: Sequence[str], row: Row, series: Sequence[Row], warnings: Mapping[str, str] | None = None
    ) -> list[panels.Tile]:
        """Metrics as tiles.

        Args:
            names: of the metrics.
            row: their values, and those of the previous period.
            series: their values by bucket.
            warnings: a line to highlight, by metric.
        """
        return [
            panels.metric_tile(
                CATALOG[name], row[name], row[f"{name}_previous"], [each[name] for each in series],
                (warnings or {}).get(name, ""),
            )
            for name in names
        ]  # fmt: skip

    def ranking(self, dimension: str, metric: str) -> Part:
        """The largest groups of a dimension: value, share, change.

        Args:
            dimension: what to group by.
            metric: an additive metric.
        """
        measure, name = CATALOG[metric], dimension.replace("_", " ").replace("api", "API")
        rows = self.compare([metric], [dimension], RANKING_SIZE)
        groups = ((row[dimension], row[metric], row[f"{metric}_previous"]) for row in rows)
        ranked = panels.rank_groups(groups, dimension, measure)
        return self.show(panels.build_ranking(f"{measure.title} by {name}", panels.describe_ranking(measure), ranked))

    def show_takeaway(self, sentence: str) -> Part:
        """The report in a sentence or two."""
        return self.show(panels.build_takeaway(sentence))

    def offer_files(
        self, tables: Mapping[str, pa.Table], out_dir: str, summary: Mapping[str, Any] | None = None
    ) -> Part:
        """Tables as CSV and JSON files to download; see `hanzo_reports.dashboards.downloads.offer_files`."""
        return self.show(offer_files(tables, self.window, out_dir, summary))

    def build_no_requests(self) -> Panel:
        """What to do about a window without requests."""
        everything = self.ws.window("all")
        if everything.start == everything.end:
            lines = ["The store has no events yet.", "Load some with hanzo-reports ingest, or try hanzo-reports demo."]
            return panels.build_notice(panels.NO_REQUESTS, lines)
        first, last = self.to_local(everything.start), self.to_local(everything.end)
        owner = f" of the project {self.project!r}" if self.project else ""
        extent = f"from {first:%d %b %Y %H:%M} to {last:%d %b %Y %H:%M} {self.ws.timezone}"
        return panels.build_notice(panels.NO_REQUESTS, [
            f"The store's events reach {extent}; none{owner} is in the window.",
            f"Choose another range, for example -p window={first:%Y-%m-%d}..{last:%Y-%m-%d}, or load newer events.",
        ])  # fmt: skip


def _starts_on_edge(bucket: Bucket) -> bool:
    return datetime.fromisoformat(bucket.label) == bucket.start


def format_axis_dollars(value: float) -> str:
    """A label of an axis of money.

    >>> format_axis_dollars(1500), format_axis_dollars(0.25)
    ('$1.5K', '$0.25')
    """
    return f"${value / 1000:g}K" if value >= 1000 else f"${value:g}"  # noqa: PLR2004
