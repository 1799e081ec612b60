"""Can these numbers be trusted: the panels of the notebook data_quality."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards import quality_panels as panels
from hanzo_reports.dashboards.base import Dashboard
from hanzo_reports.dashboards.tables import Row, fetch_rows, fetch_table
from hanzo_reports.html.components import Part
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.daily import daily
from hanzo_reports.quality.quarantine import count_reasons
from hanzo_reports.quality.verdict import Status

if TYPE_CHECKING:
    import pyarrow as pa

    from hanzo_reports.html.components import Panel
    from hanzo_reports.quality.verdict import Verdict

TREND_DAYS = 30
MAX_REASONS = 8
LOOKBACK = timedelta(days=8)  # a day is compared with the same weekday of the week before


@dataclass(frozen=True)
class QualityDashboard(Dashboard):
    """The quality of a store's data: its newest verdicts, its quarantine, and the days of a range.

    Args:
        ws: as for `Dashboard`.
        range_name: the days to show.
        project: show only this project's days; verdicts and quarantine are about the whole store.
    """

    range_name: str = "14d"

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The newest verdict of each suite."""
        return verdict_history.newest_verdicts(self.ws.store)

    @cached_property
    def current_verdicts(self) -> list[Verdict]:
        """Those that say whether the data can be trusted; see `verdict_history.current_verdicts`."""
        return verdict_history.current_verdicts(self.ws.store)

    @cached_property
    def days(self) -> pa.Table:
        """The days of the range; see `hanzo_reports.quality.daily.daily`."""
        events = self.ws.store.events(self.window.start - LOOKBACK, self.window.end)
        return fetch_table(
            daily(events.filter(events.project == self.project) if self.project else events, self.window)
        )

    @cached_property
    def day_rows(self) -> list[Row]:
        """The days of the range as dictionaries."""
        return self.days.to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def reasons(self) -> pa.Table:
        """The quarantined rows by reason."""
        return fetch_table(count_reasons(self.ws.store.quarantine()))

    def tiles(self) -> Part:
        """Whether the numbers can be trusted: checks, freshness, quarantine, prices."""
        (row,) = fetch_rows(self.ws.store.quarantine().aggregate(rows=lambda table: table.count()))
        return self.show(panels.tiles_panel(self.current_verdicts, self.day_rows, row["rows"]))

    def checks(self) -> Part:
        """Every check of the newest verdicts, failed ones first."""
        return self.show(panels.checks_panel("Checks", self.verdicts))

    def freshness(self) -> Part:
        """Each day: requests beside the same weekday a week earlier, silence, duplicates, unpriced requests."""
        return self.show(panels.volume_panel(self.day_rows))

    def quarantine(self) -> Part:
        """Rows in quarantine by reason."""
        return self.show(panels.reasons_panel(self.reasons.to_pylist()[:MAX_REASONS]))

    def unpriced(self) -> Part:
        """The models whose requests have tokens and no price."""
        return self.ranking("model", "unpriced_requests")

    def trend(self) -> Part:
        """Failed checks by day, by each suite's last verdict of the day, and rows that the guard rejected."""
        verdicts = verdict_history.verdicts_since(self.ws.store, self.ws.now - timedelta(days=TREND_DAYS))
        return self.show(panels.trend_panel(verdicts, self.ws.now, self.ws.timezone, TREND_DAYS))

    def downloads(self, out_dir: str = "") -> Part:
        """The checks, the days and the quarantine's reasons as CSV and JSON.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        tables = {"checks": panels.checks_table(self.verdicts), "days": self.days, "quarantine_by_reason": self.reasons}
        return self.offer_files(tables, out_dir)

    def takeaway(self) -> Part:
        """Whether the numbers can be trusted, in a sentence or two."""
        return self.show(panels.takeaway_panel(self.current_verdicts, self.day_rows, self.reasons.to_pylist()))


def render_verdicts(verdicts: list[Verdict], meta: dict[str, Any]) -> str:
    """Verdicts as one HTML page that needs no network.

    Args:
        verdicts: what to show.
        meta: as for `hanzo_reports.html.page.render_page`.
    """
    from hanzo_reports.html.page import render_page  # noqa: PLC0415  # a notebook's parts need no page

    parts = [_show(panels.takeaway_panel(verdicts, [], []), "")]
    parts += [_show(panels.checks_panel(verdict.title, [verdict]), verdict.at) for verdict in verdicts]
    badge = verdict_history.build_badge(verdict for verdict in verdicts if verdict.status is not Status.SKIPPED)
    return render_page(parts, meta | {"quality": badge})


def _show(panel: Panel, period: str) -> dict[str, Any]:
    """The twin of a panel on a page without ranges."""
    return Part(panel.kind, panel.title, {"": {"html": panel.html, "text": panel.text, "period": period}}).twin
