"""The data's quality as parts: what was checked, how fresh it is, what is in quarantine, and how that went on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards import quality_panels as views
from hanzo_reports.dashboards.overview import Board, attached
from hanzo_reports.dashboards.overview_sums import answer
from hanzo_reports.export import tables as export
from hanzo_reports.html.charts import drawn
from hanzo_reports.html.components import Part
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.daily import daily
from hanzo_reports.quality.quarantine import count_reasons
from hanzo_reports.quality.verdict import Status
from hanzo_reports.window import zone

if TYPE_CHECKING:
    import pyarrow as pa

    from hanzo_reports.dashboards.overview_panels import View
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.window import Window
    from hanzo_reports.workspace import Workspace

TREND_DAYS = 30
REASONS = 8


@dataclass(frozen=True)
class QualityBoard:
    """The quality of one store's data, as the last verdicts and the days of a range tell it.

    Args:
        ws: the store, the zone and the now.
        window: the days to look at.
        project: only this project's days; verdicts and quarantine are about the whole store.

    Raises:
        WindowError: the range cannot be read.
    """

    ws: Workspace
    window: str = "14d"
    project: str = ""

    @cached_property
    def span(self) -> Window:
        """The range as a window."""
        return self.ws.window(self.window)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The newest verdict of each suite."""
        return verdict_history.newest_verdicts(self.ws.store)

    @cached_property
    def current(self) -> list[Verdict]:
        """Those of them that other pages show too; see `verdict_history.current_verdicts`."""
        return verdict_history.current_verdicts(self.ws.store)

    @cached_property
    def days(self) -> pa.Table:
        """The days of the range; see `hanzo_reports.quality.daily.daily`."""
        events = self.ws.store.events(self.span.start - timedelta(days=8), self.span.end)
        chosen = events.filter(events.project == self.project) if self.project else events
        return answer(daily(chosen, self.span))

    @cached_property
    def reasons(self) -> pa.Table:
        """The quarantine by reason."""
        return answer(count_reasons(self.ws.store.quarantine()))

    def tiles(self) -> Part:
        """Whether the numbers can be trusted: checks, freshness, quarantine, prices."""
        days = self.days.to_pylist()
        held = answer(self.ws.store.quarantine().aggregate(rows=lambda t: t.count())).to_pylist()[0]["rows"]
        return self._part("tiles", "", views.tiles(self.current, days, held))

    def checks(self) -> Part:
        """Every check of the newest verdicts, what failed first."""
        return self._part("health", "Checks", views.checks(self.verdicts))

    def freshness(self) -> Part:
        """Each day: requests beside the same weekday before, silence, duplicates, unpriced requests."""
        chart = views.volume_chart(self.days.to_pylist())
        drawings = drawn(chart) if chart.rows else []
        return self._part("chart", "Volume and freshness", views.volume(self.days.to_pylist(), drawings))

    def quarantine(self) -> Part:
        """Rows in quarantine by reason."""
        return self._part("ranking", "Quarantine", views.reasons(self.reasons.to_pylist()[:REASONS]), wide=False)

    def unpriced(self) -> Part:
        """The models whose requests have tokens and no price."""
        return Board(self.ws, self.window, self.project).ranking("model", "unpriced_requests")

    def trend(self) -> Part:
        """Failed checks by day, as each suite's last verdict of the day tells, and rows that the guard held back."""
        since = self.ws.now - timedelta(days=TREND_DAYS)
        kept = verdict_history.verdicts_since(self.ws.store, since)
        chart = views.trend_chart(kept, self.ws.now, self.ws.timezone, TREND_DAYS)
        drawings = drawn(chart) if kept else []
        return self._part("chart", "Failures over time", views.trend(chart, drawings))

    def downloads(self, out_dir: str = "") -> Part:
        """The checks, the days and the quarantine's reasons as CSV and JSON.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        tables = {"checks": views.checks_table(self.verdicts), "days": self.days, "quarantine_by_reason": self.reasons}
        files = [
            attached(f"{stem}.{fmt}", export.format_table(table, fmt, window=self.span), table, out_dir)
            for stem, table in tables.items()
            for fmt in ("csv", "json")
        ]
        return self._part("downloads", "", views.downloads(files), facts={
            "files": [{key: one[key] for key in ("name", "rows", "columns")} for one in files]
        })  # fmt: skip

    def takeaway(self) -> Part:
        """Whether these numbers can be trusted, in a sentence or two."""
        return self._part("takeaway", "", views.takeaway(self.current, self.days.to_pylist(), self.reasons.to_pylist()))

    def _part(
        self, kind: str, title: str, view: View, *, wide: bool = True, facts: dict[str, Any] | None = None
    ) -> Part:
        first, last = (side.astimezone(zone(self.ws.timezone)) for side in (self.span.start, self.span.end))
        span = f"{first.day} {first:%b %Y %H:%M} – {last.day} {last:%b %Y %H:%M} {self.ws.timezone}"  # noqa: RUF001  # from-to
        return Part(kind, title, {self.span.name: view | {"span": span}}, wide, facts or {})


def page(verdicts: list[Verdict], meta: dict[str, Any]) -> str:
    """Verdicts as one HTML page that needs no network.

    Args:
        verdicts: what to show.
        meta: as `hanzo_reports.html.page.render` takes it.
    """
    from hanzo_reports.html.page import render  # noqa: PLC0415  # a notebook's parts need no page

    parts = [
        Part("health", verdict.title, {"": views.checks([verdict]) | {"span": verdict.at}}).twin for verdict in verdicts
    ]
    told = Part("takeaway", "", {"": views.takeaway(verdicts, [], [])}).twin
    return render(
        [told, *parts],
        meta | {"quality": verdict_history.build_badge(v for v in verdicts if v.status is not Status.SKIPPED)},
    )
