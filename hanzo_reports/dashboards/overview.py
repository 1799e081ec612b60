"""How are we doing: the panels of the notebook dashboard, each for every range of the picker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards import overview_panels as panels
from hanzo_reports.dashboards.base import Dashboard
from hanzo_reports.dashboards.overview_sums import DIMENSIONS, METRICS, WindowSums
from hanzo_reports.dashboards.overview_window import OverviewWindow
from hanzo_reports.dashboards.tables import fetch_table
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.export import tables as export
from hanzo_reports.html.components import Part, join_variants
from hanzo_reports.html.panels import build_empty
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.query import aggregate

if TYPE_CHECKING:
    from collections.abc import Callable

    from hanzo_reports.html.components import Panel

RANGES = ("24h", "7d", "30d")
HOURLY = ("requests", "tokens", "cost", "error_rate", "latency_p50", "latency_p95", "latency_p99")
SUMMARY = ("requests", "tokens", "cost")


@dataclass(frozen=True)
class OverviewDashboard(Dashboard):
    """How a store's traffic, cost and health are; each panel has a variant for every range.

    Args:
        ws: as for `Dashboard`.
        range_name: the range that is shown first; 24h, 7d and 30d bring each other along, another one stands alone.
        project: as for `Dashboard`.
    """

    range_name: str = "24h"

    @cached_property
    def windows(self) -> dict[str, OverviewWindow]:
        """Each range with what is known about it, the first one in front; each opens only the files it needs."""
        name = self.range_name.strip().lower()
        names = (name, *(other for other in RANGES if other != name)) if name in RANGES else (self.range_name,)
        windows = [self.ws.window(each) for each in names]
        sums = WindowSums([side for window in windows for side in (window, window.previous())], self.where)
        overviews = [OverviewWindow(self.ws, each, self.project, sums=sums) for each in names]
        sums.load(min(overviews, key=lambda overview: overview.previous.start).events)  # all of them end at one instant
        with ThreadPoolExecutor(2) as threads:  # each has its own connection; one computes while the other reads
            list(threads.map(OverviewWindow.load, reversed(overviews), range(len(overviews))))
        return {overview.window.name: overview for overview in overviews}

    def takeaway(self) -> Part:
        """The window in two sentences."""
        return self._show_all("takeaway", "", panels.takeaway_panel)

    def tiles(self) -> Part:
        """Requests, tokens, cost and latency: value, change, previous value, sparkline."""

        def build(overview: OverviewWindow) -> Panel:
            panel = overview.build_no_requests() if overview.is_empty else panels.tiles_panel(overview)
            figures = {name: export.manifest_value(value) for name, value in overview.totals.items()}
            return replace(panel, kind="tiles", title="", facts={"kpis": {overview.window.name: figures}})

        return join_variants([overview.show(build(overview)) for overview in self.windows.values()])

    def volume(self) -> Part:
        """Requests over time beside the previous period, with incidents marked."""
        return self._show_all("chart", "Request volume", panels.volume_panel)

    def ranking(self, dimension: str, metric: str) -> Part:
        """The largest groups of a dimension: value, share, change.

        Args:
            dimension: model or project.
            metric: requests, tokens, cost or unpriced_requests.

        Raises:
            UnknownNameError: it is none of these.
        """
        for kind, name, known in (("dimension", dimension, DIMENSIONS), ("metric", metric, METRICS)):
            if name not in known:
                raise UnknownNameError(kind, name, known, "a ranking")
        title = f"Top {dimension}s" if metric == "requests" else f"{CATALOG[metric].title} by {dimension}"

        def build(overview: OverviewWindow) -> Panel:
            return panels.ranking_panel(overview, title, dimension, metric)

        return self._show_all("ranking", title, build, wide=False)

    def changes(self) -> Part:
        """What changed since the previous period, in sentences."""
        return self._show_all("notes", "What changed", panels.changes_panel)

    def latency(self) -> Part:
        """Latency percentiles over time."""
        return self._show_all("chart", "Latency percentiles", panels.latency_panel, wide=False)

    def health(self) -> Part:
        """Errors, availability, latency and saturation against their default thresholds."""
        return self._show_all("health", "Operational health", panels.health_panel, wide=False)

    def downloads(self, out_dir: str = "") -> Part:
        """Usage by hour, and by model and project, of the range that is shown first, as CSV and JSON.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        overview = next(iter(self.windows.values()))
        hours = aggregate(overview.events, overview.window, HOURLY, every="hour", where=self.where)
        groups = aggregate(overview.events, overview.window, METRICS, by=DIMENSIONS, where=self.where)
        tables = {"usage_by_hour": fetch_table(hours), "usage_by_model_project": fetch_table(groups)}
        summary: dict[str, Any] = {f"total_{name}": overview.totals[name] for name in SUMMARY}
        return overview.offer_files(tables, out_dir, summary)

    def _show_all(self, kind: str, title: str, build: Callable[[OverviewWindow], Panel], *, wide: bool = True) -> Part:
        """A panel for every range; in a range without requests it says so."""
        return join_variants([
            overview.show(build_empty(kind, title, wide=wide) if overview.is_empty else build(overview))
            for overview in self.windows.values()
        ])  # fmt: skip
