"""Who will overspend, and when: the panels of the notebook budgets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hanzo_reports.budgets.crossings import LIKELY
from hanzo_reports.budgets.status import evaluate_budgets
from hanzo_reports.dashboards import budgets_texts as texts
from hanzo_reports.dashboards.base import Dashboard
from hanzo_reports.dashboards.budgets_chart import build_spend_chart
from hanzo_reports.dashboards.tables import build_table
from hanzo_reports.forecast import daily_spend, forecast_panel
from hanzo_reports.forecast.scorecard import build_scorecard
from hanzo_reports.formats import UNKNOWN, format_short, format_value
from hanzo_reports.html.panels import Cell, Note, Tile, build_grid, build_notes, build_notice
from hanzo_reports.html.sparkline import draw_sparkline
from hanzo_reports.html.text import show_name
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import ibis

    from hanzo_reports.budgets.status import BudgetStatus
    from hanzo_reports.forecast import Forecast, SpendPanel
    from hanzo_reports.html.components import Part

PILLS = {"ok": "good", "warning": "even", "exceeded": "bad", "blocked": "bad"}
MAX_ROWS = 12
LOOKBACK = timedelta(days=402)  # of forecasts


@dataclass(frozen=True)
class BudgetDashboard(Dashboard):
    """How budgets stand in the calendar month in which the window ends; arguments as `Dashboard`."""

    @cached_property
    def as_of(self) -> datetime:
        """The instant to report on: now, or the last instant of a window that is over."""
        return min(self.ws.now, self.window.end - timedelta(microseconds=1))

    @cached_property
    def history(self) -> ibis.Table:
        """The events that forecasts look back at."""
        return self.ws.store.events(self.as_of - LOOKBACK, self.as_of)

    @cached_property
    def statuses(self) -> list[BudgetStatus]:
        """Every budget, the most likely to be exceeded first."""
        every = evaluate_budgets(self.ws.budgets, self.history, self.as_of)
        selected = [status for status in every if self.project in {"", status.budget.project}]
        return sorted(selected, key=lambda status: (-_chance(status), -status.share, status.budget.project))

    @cached_property
    def panel(self) -> SpendPanel:
        """The daily spend of each project."""
        return daily_spend(self.history, self.as_of, by=["project"], where=self.where, timezone=self.ws.timezone)

    @cached_property
    def project_forecasts(self) -> list[Forecast]:
        """How each project's month ends."""
        return forecast_panel(self.panel, self._limits)

    @cached_property
    def total_panel(self) -> SpendPanel:
        """The daily spend of all projects together."""
        panel = daily_spend(self.history, self.as_of, where=self.where, timezone=self.ws.timezone)
        return panel if len(panel) else panel.select([()])

    @cached_property
    def total_forecast(self) -> Forecast:
        """How the month ends for all projects together; with a limit only where every project has one."""
        limited = bool(self.statuses) and all(limit is not None for limit in self._limits)
        return forecast_panel(self.total_panel, [self._total_limit or None if limited else None])[0]

    def tiles(self) -> Part:
        """Spend, forecast, limits, and the number of budgets that will be exceeded."""
        forecast, limits, likely = self.total_forecast, self._total_limit, self._likely
        recent = [float(value) for value in np.nan_to_num(self.total_panel.amounts[0, -31:-1])]
        interval = f"{texts.format_interval(forecast)} (80% interval)"
        first = texts.describe_first(likely)
        tiles = [
            _amount_tile("spent", "Spent this month", forecast.spent,
                         f"as of {self.to_local(forecast.as_of):%d %b %H:%M}", recent),
            _amount_tile("forecast", "Month end, forecast", forecast.p50,
                         forecast.basis if forecast.p50 is None else interval),
            _amount_tile("limits", "All budgets", limits or None, f"{len(self.statuses)} projects have one"),
            Tile("exceeding", "Likely to exceed", f"{len(likely)}", first, meaning="Likely to exceed"),
        ]  # fmt: skip
        figures = {"spent": forecast.spent, "forecast_p10": forecast.p10, "forecast_p50": forecast.p50,
                   "forecast_p90": forecast.p90, "limits": limits, "likely_to_exceed": len(likely)}  # fmt: skip
        return self.show_tiles(tiles, figures)

    def budgets(self) -> Part:
        """Each budget: spend, forecast, the chance to exceed it, the day it runs out."""
        if not self.statuses:
            command = "Set one: hanzo-reports budgets set PROJECT --monthly 5000"
            return self.show(build_notice("No budgets yet", [command, "Forecasts by project are below."]))
        columns = ("Project", "Used", "Spent", "Month end", "Chance to exceed", "Runs out", "State")
        cells = [self._status_cells(status) for status in self.statuses[:MAX_ROWS]]
        return self.show(build_grid("Budgets", self._month_name, columns, cells))

    def month(self) -> Part:
        """The month's spend so far, and its forecast."""
        return self.show(build_spend_chart("The month", self.total_panel, self.total_forecast))

    def burn_down(self, position: int) -> Part:
        """What is left of one budget, day by day.

        Args:
            position: of the budget among those that are likely to be exceeded; 0 is the most likely.
        """
        if position >= len(self.statuses):
            notes = [Note("No further budget", ".")]
            return self.show(build_notes("Burn-down", "Fewer budgets than charts", notes))
        status = self.statuses[position]
        project, timezone = status.budget.project, status.budget.timezone
        panel = daily_spend(
            self.history, self.as_of, by=["project"], where={"project": project}, timezone=timezone
        ).select([(project,)])
        title = f"Budget left: {show_name(project)}"
        return self.show(build_spend_chart(title, panel, status.forecast, remaining=True))

    def forecasts(self) -> Part:
        """Each project's month end with its interval."""
        cells = [
            [
                Cell(show_name(forecast.key[0] or "no project")), Cell(format_short(forecast.spent, Unit.USD)),
                Cell(format_short(forecast.p50, Unit.USD), texts.format_interval(forecast)),
                Cell(texts.format_range(forecast.low, forecast.high) or UNKNOWN),
                Cell(forecast.burst or UNKNOWN), Cell(forecast.confidence, forecast.basis.split(";")[0]),
            ]
            for forecast in self.project_forecasts[:MAX_ROWS]
        ]  # fmt: skip
        columns = ("Project", "Spent", "Month end", "95% interval", "Spend pattern", "Confidence")
        return self.show(build_grid("Forecast by project", self._month_name, columns, cells))

    def overspenders(self) -> Part:
        """Who will overspend, and when."""
        notes = [note for status in self.statuses if (note := texts.describe_risk(status))]
        safe = len(self.statuses) - len(notes)
        if safe:
            rest = f" budgets are safe: their chance to be exceeded is below {texts.POSSIBLE:.0%}."
            notes.append(Note(f"{safe} of {len(self.statuses)}", rest, "good"))
        if not self.statuses:
            notes.append(Note("No project has a budget", ", so none can be exceeded."))
        return self.show(build_notes("Who will overspend", "By the chance to exceed the budget", notes))

    def trust(self) -> Part:
        """How accurate the issued forecasts have been."""
        score = build_scorecard(self.ws.budgets.state, self.ws.events, self.ws.now)[0]
        notes = texts.describe_score(score)
        return self.show(build_notes("Forecast accuracy", score["basis"].capitalize(), notes))

    def downloads(self, out_dir: str = "") -> Part:
        """Budget status with the forecast interval, forecasts by project, and the month's path.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        rows = {
            "budgets": [status.row for status in self.statuses],
            "forecast_by_project": [
                {"project": forecast.key[0], **forecast.row} for forecast in self.project_forecasts
            ],
            "forecast_path": [vars(day) for day in self.total_forecast.path],
        }
        return self.offer_files({stem: build_table(each) for stem, each in rows.items()}, out_dir)

    def takeaway(self) -> Part:
        """Who will overspend, in two sentences."""
        forecast, likely = self.total_forecast, self._likely
        if forecast.p50 is None:
            month_end = f"{format_short(forecast.spent, Unit.USD)} spent so far; {forecast.basis}."
        else:
            amount, interval = format_short(forecast.p50, Unit.USD), texts.format_interval(forecast)
            month_end = f"Spend at the month's end is forecast at {amount} ({interval})."
        if not self.statuses:
            return self.show_takeaway(f"{month_end} No project has a budget.")
        names = ", ".join(show_name(status.budget.project) for status in likely[:3])
        who = f"Likely to exceed: {names}." if likely else "No budget is likely to be exceeded."
        return self.show_takeaway(f"{month_end} {who}")

    @property
    def _likely(self) -> list[BudgetStatus]:
        return [status for status in self.statuses if _chance(status) >= LIKELY]

    @property
    def _limits(self) -> list[Decimal | None]:
        """The limit of each project of the panel."""
        limits = {status.budget.project: status.budget.monthly_limit for status in self.statuses}
        return [limits.get(str(key[0])) for key in self.panel.keys]

    @property
    def _total_limit(self) -> Decimal:
        return sum((status.budget.monthly_limit for status in self.statuses), Decimal(0))

    @property
    def _month_name(self) -> str:
        first, _ = self.panel.month
        return f"{first:%B %Y}, {self.ws.timezone}"

    def _status_cells(self, status: BudgetStatus) -> list[Cell]:
        forecast, limit = status.forecast, format_short(status.budget.monthly_limit, Unit.USD)
        tone = "bad" if status.share >= 1 else "warn" if status.state != "ok" else ""
        early, likely, _ = forecast.exhaustion
        return [
            Cell(show_name(status.budget.project), self._describe_action(status)),
            Cell(f"{status.share:.0%} of {limit}", f"{status.share:.0%}", tone=tone,
                 bars=[("s1", f"{min(100 * status.share, 100):.1f}")]),
            Cell(format_short(forecast.spent, Unit.USD), f"of {limit}"),
            Cell(format_short(forecast.p50, Unit.USD), texts.format_interval(forecast)),
            Cell(texts.format_chance(forecast.p_exceed)),
            Cell(UNKNOWN if likely is None else texts.format_day(likely),
                 "" if likely is None or early is None else texts.format_days(forecast.exhaustion)),
            Cell(status.state, pill=PILLS[status.state]),
        ]  # fmt: skip

    def _describe_action(self, status: BudgetStatus) -> str:
        """What happens at the limit; and which month is meant, where the budget has another time zone than the page."""
        action = status.budget.on_exceed.replace("_", " ")
        if status.budget.timezone == self.ws.timezone:
            return action
        return f"{action}; {status.forecast.period_start:%B}, {status.budget.timezone}"


def _chance(status: BudgetStatus) -> float:
    return status.forecast.p_exceed or 0


def _amount_tile(name: str, title: str, amount: Decimal | None, note: str, series: Sequence[float] = ()) -> Tile:
    return Tile(
        name, title, format_short(amount, Unit.USD), note, meaning=title,
        exact=format_value(amount, Unit.USD, "table"), line=draw_sparkline(series),
    )  # fmt: skip
