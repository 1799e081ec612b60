"""Who will overspend, and when: the parts of the notebook budgets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hanzo_reports.budgets.status import statuses
from hanzo_reports.dashboards.base import Desk, Row, cell, table
from hanzo_reports.dashboards.costs import dollars
from hanzo_reports.dashboards.overview_panels import sparkline
from hanzo_reports.forecast import daily_spend, forecasts
from hanzo_reports.forecast.backtest import SHIPPED_COVERAGE
from hanzo_reports.forecast.scorecard import scorecard
from hanzo_reports.formats import UNKNOWN, Change, format_relative_change, format_short, format_value
from hanzo_reports.html.charts import Chart, Line
from hanzo_reports.units import Unit
from hanzo_reports.window import midnight, zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import ibis

    from hanzo_reports.budgets.status import Status
    from hanzo_reports.forecast import Forecast, Panel
    from hanzo_reports.html.components import Part

PILLS = {"ok": "good", "warning": "even", "exceeded": "bad", "blocked": "bad"}
LIKELY, POSSIBLE = 0.5, 0.1
SHOWN = 12
_LEGEND = [("rule", "s1", "Spent"), ("dash", "s2", "Forecast, median"), ("block", "s2", "80 % interval")]


@dataclass(frozen=True)
class BudgetBoard(Desk):
    """How budgets stand in the calendar month of the window's end; arguments as `Desk`."""

    @cached_property
    def at(self) -> datetime:
        """The instant of which is told: now, or the last one of a window that is over."""
        return min(self.ws.now, self.span.end - timedelta(microseconds=1))

    @cached_property
    def recent(self) -> ibis.Table:
        """The events that forecasts look back at."""
        return self.ws.store.events(self.at - timedelta(days=402), self.at)

    @cached_property
    def standing(self) -> list[Status]:
        """Every budget, the likeliest to be passed first."""
        found = statuses(self.ws.budgets, self.recent, self.at)
        mine = [each for each in found if self.project in {"", each.budget.project}]
        return sorted(mine, key=lambda each: (-(each.forecast.p_exceed or 0), -each.share, each.budget.project))

    @cached_property
    def panel(self) -> Panel:
        """The daily spend of each project."""
        return daily_spend(self.recent, self.at, by=["project"], where=self.where, timezone=self.ws.timezone)

    @cached_property
    def whole(self) -> tuple[Panel, Forecast]:
        """All projects together: their daily spend, and how the month ends."""
        panel = daily_spend(self.recent, self.at, where=self.where, timezone=self.ws.timezone)
        limit = sum((each.budget.monthly_limit for each in self.standing), Decimal(0)) or None
        panel = panel if len(panel) else panel.chosen([()])
        return panel, forecasts(panel, [limit if self._all_have_one else None])[0]

    def headline(self) -> Part:
        """Spent, forecast, limits, and how many will be passed."""
        panel, told = self.whole
        likely = [each for each in self.standing if (each.forecast.p_exceed or 0) >= LIKELY]
        limits = sum((each.budget.monthly_limit for each in self.standing), Decimal(0))
        recent = [float(value) for value in np.nan_to_num(panel.amounts[0, -31:-1])]
        band = f"{format_short(told.p10, Unit.USD)} to {format_short(told.p90, Unit.USD)} in 8 of 10 cases"
        first = _first_out(likely)
        made = [
            _tile("spent", "Spent this month", told.spent, f"as of {self.local(told.as_of):%d %b %H:%M}", recent),
            _tile("forecast", "Month end, forecast", told.p50, band if told.p50 is not None else told.basis),
            _tile("limits", "All budgets", limits or None, f"{len(self.standing)} projects have one"),
            _tile("exceeding", "Likely to exceed", None, first)
            | {"value": f"{len(likely)}", "exact": f"{len(likely)}"},
        ]
        figures = {"spent": told.spent, "forecast_p10": told.p10, "forecast_p50": told.p50, "forecast_p90": told.p90,
                   "limits": limits, "likely_to_exceed": len(likely)}  # fmt: skip
        return self.tiles(made, figures)

    def budgets(self) -> Part:
        """Each budget: spent, forecast, probability, the day it runs out."""
        if not self.standing:
            how = "Set one: hanzo-reports budgets set PROJECT --monthly 5000"
            return self.part("notice", "No budgets yet", how, lines=[how, "Forecasts by project are below."])
        cells = []
        for each in self.standing[:SHOWN]:
            told, limit = each.forecast, each.budget.monthly_limit
            width = min(100 * each.share, 100)
            tone = "bad" if each.share >= 1 else "warn" if each.state != "ok" else ""
            day = told.exhaustion[1]
            out = UNKNOWN if day is None else f"{day.day} {day:%b}"
            note = "" if day is None or not told.exhaustion[0] else _between(told.exhaustion)
            cells.append([
                cell(each.budget.project, self._about(each)),
                cell(f"{each.share:.0%} of {format_short(limit, Unit.USD)}", f"{each.share:.0%}", tone=tone,
                     bars=[("s1", f"{width:.1f}")]),
                cell(format_short(told.spent, Unit.USD), f"of {format_short(limit, Unit.USD)}"),
                cell(format_short(told.p50, Unit.USD), _interval(told)),
                cell(_chance(told.p_exceed)),
                cell(out, note),
                cell(each.state, pill=PILLS[each.state]),
            ])  # fmt: skip
        columns = ("Project", "Used", "Spent", "Month end", "Chance to exceed", "Runs out", "State")
        return self.grid("Budgets", self._month_name, columns, cells)

    def _about(self, each: Status) -> str:
        """What happens at the limit; where its months are others than the page's, which one is meant."""
        action = each.budget.on_exceed.replace("_", " ")
        if each.budget.timezone == self.ws.timezone:
            return action
        return f"{action}; {each.forecast.period_start:%B}, {each.budget.timezone}"

    def month(self) -> Part:
        """All spend of the month: what came, and how it may go on."""
        panel, told = self.whole
        return self._course("The month", panel, told, wide=True)

    def burn(self, place: int) -> Part:
        """The budget that is the n-th likeliest to be passed: what is left of it, day by day.

        Args:
            place: 0 is the likeliest.
        """
        if place >= len(self.standing):
            return self.notes("Burn-down", "Fewer budgets than charts", [("No further budget", ".", "even")])
        each = self.standing[place]
        found = daily_spend(self.recent, self.at, by=["project"], where={"project": each.budget.project},
                            timezone=each.budget.timezone)  # fmt: skip
        panel = found.chosen([(each.budget.project,)])
        return self._course(f"Left of {each.budget.project}", panel, each.forecast, wide=False, down=True)

    def forecasts(self) -> Part:
        """Each project's month end with its interval."""
        told = forecasts(self.panel, self._limits)
        cells = [
            [
                cell(each.key[0]), cell(format_short(each.spent, Unit.USD)),
                cell(format_short(each.p50, Unit.USD), _interval(each)),
                cell(" to ".join(format_short(v, Unit.USD) for v in (each.low, each.high)) if each.low else UNKNOWN),
                cell(each.burst or UNKNOWN), cell(each.confidence, each.basis.split(";")[0]),
            ]
            for each in told[:SHOWN]
        ]  # fmt: skip
        columns = ("Project", "Spent", "Month end", "19 of 20 cases", "Spend is", "Confidence")
        return self.grid("Forecast by project", self._month_name, columns, cells)

    def who(self) -> Part:
        """Who will overspend, and when."""
        found = []
        for each in self.standing:
            told, name = each.forecast, each.budget.project
            chance = told.p_exceed
            if each.share >= 1:
                over = format_short(told.spent - each.budget.monthly_limit, Unit.USD)
                found.append((name, f" is over its limit by {over}.", "bad"))
            elif chance is not None and chance >= LIKELY:
                day = told.exhaustion[1]
                when = f", most likely on {day.day} {day:%b}" if day else ""
                limit = format_short(each.budget.monthly_limit, Unit.USD)
                found.append((name, f" will pass {limit} ({_chance(chance)} likely){when}.", "bad"))
            elif chance is not None and chance >= POSSIBLE:
                found.append((name, f" may pass its limit ({_chance(chance)}).", "even"))
            elif chance is None:
                found.append((name, f" cannot be told yet: {told.basis.split(';')[0]}.", "even"))
        safe = len(self.standing) - len(found)
        if safe:
            found.append((f"{safe} of {len(self.standing)}", " budgets are safe: a chance below 10 %.", "good"))
        if not self.standing:
            found.append(("Nobody has a budget", ", so nobody can overspend one.", "even"))
        return self.notes("Who will overspend", "By the chance to exceed", found)

    def trust(self) -> Part:
        """How good the issued forecasts have been."""
        row = scorecard(self.ws.budgets.state, self.ws.events, self.ws.now)[0]
        shipped = ", ".join(f"{share:.0%} on {burst} ones" for burst, share in SHIPPED_COVERAGE.items())
        if not row["forecasts"]:
            found = [
                ("80 % is claimed", f"; of the public series' periods the interval covered {shipped}.", "even"),
                ("Your own record", " begins when a month is over: each forecast issued is kept and judged.", "even"),
            ]
        else:
            wape, rate = row["wape"], row["wape_run_rate"]
            beside = "" if rate is None else f"; run-rate arithmetic was {rate:.1%} off"
            found = [
                (
                    _count(row["forecasts"], "forecast"),
                    f" of {_count(row['months'], 'month')} could be judged.",
                    "even",
                ),
                (f"{wape:.1%} off", f" on average{beside}.", "good" if rate is None or wape <= rate else "bad"),
                (f"{row['coverage_80']:.0%}", " of them held the month's end in their 80 % interval.", "even"),
                (format_relative_change(row["bias"]), " is the bias: above 0, forecasts were too high.", "even"),
            ]
        return self.notes("How far to trust it", row["basis"].capitalize(), found)

    def downloads(self, out_dir: str = "") -> Part:
        """Budget status with the forecast interval, forecasts by project, and the month's path."""
        known = [each.row for each in self.standing]
        told = [{"project": each.key[0], **each.row} for each in forecasts(self.panel, self._limits)]
        path = [vars(day) for day in self.whole[1].path]
        made = {"budgets": known, "forecast_by_project": told, "forecast_path": path}
        return self.files({stem: table(rows) for stem, rows in made.items()}, out_dir)

    def takeaway(self) -> Part:
        """Who will overspend, in two sentences."""
        _, told = self.whole
        likely = [each for each in self.standing if (each.forecast.p_exceed or 0) >= LIKELY]
        ends = (
            f"The month ends at about {format_short(told.p50, Unit.USD)} ({_interval(told)})."
            if told.p50 is not None
            else f"{format_short(told.spent, Unit.USD)} spent so far; {told.basis}."
        )
        if not self.standing:
            return self.told(f"{ends} No project has a budget.")
        names = ", ".join(each.budget.project for each in likely[:3])
        who = f"Likely to exceed: {names}." if likely else "No budget is likely to be exceeded."
        return self.told(f"{ends} {who}")

    @property
    def _limits(self) -> list[Decimal | None]:
        limits = {each.budget.project: each.budget.monthly_limit for each in self.standing}
        return [limits.get(str(key[0])) for key in self.panel.keys]

    @property
    def _all_have_one(self) -> bool:
        """Whether a sum of limits is the limit of the sum."""
        return bool(self.standing) and all(limit is not None for limit in self._limits)

    @property
    def _month_name(self) -> str:
        first, _ = self.panel.month
        return f"{first:%B %Y}, {self.ws.timezone}"

    def _course(self, title: str, panel: Panel, told: Forecast, *, wide: bool, down: bool = False) -> Part:
        """Spend since the month's start with the band ahead; `down`: what is left of the limit."""
        rows = _days(panel, told)
        limit = None if told.limit is None else float(told.limit)
        local = zone(panel.timezone)
        made = []
        for row in rows:
            values: Row = {name: row[name] for name in ("spent", "p10", "p50", "p90")}
            if down and limit is not None:
                values = {name: None if value is None else limit - value for name, value in values.items()}
                values["p10"], values["p90"] = values["p90"], values["p10"]
                values = {name: None if value is None else max(value, 0.0) for name, value in values.items()}
            day = row["day"]
            name = f"{day:%a} {day.day} {day:%b}"
            named = (("spent", "left" if down else "spent"), ("p50", "median"))
            spoken = [
                f"{label} {format_short(values[key], Unit.USD)}" for key, label in named if values[key] is not None
            ]
            if values["p10"] is not None and values["spent"] is None:
                spoken.append(f"{format_short(values['p10'], Unit.USD)} to {format_short(values['p90'], Unit.USD)}")
            made.append({
                "start": midnight(day, local).astimezone(local), "tip": " · ".join([name, *spoken]),
                "end": midnight(day + timedelta(days=1), local).astimezone(local),
                **values, "limit": limit,
                "cells": (name, *(format_value(values[k], Unit.USD, "table") for k in ("spent", "p10", "p50", "p90"))),
            })  # fmt: skip
        lines = [Line("p90", "s2", floor="p10"), Line("p50", "s2", dashed=True), Line("spent", "s1", filled=True)]
        legend = [("rule", "s1", "Left" if down else "Spent"), *_LEGEND[1:]]
        if limit is not None and not down:
            lines.append(Line("limit", "limit", dashed=True))
            legend.append(("dash", "limit", "Limit"))
        sizes = {} if wide else {"sizes": ((470, 262),)}
        chart = Chart(made, tuple(lines), "day", label=dollars, **sizes)  # type: ignore[arg-type]
        subtitle = f"US dollars {'left' if down else 'since the month began'}, {panel.timezone}"
        return self.chart(title, subtitle, chart, legend, ("Day", "Known", "p10", "p50", "p90"), wide=wide)


def _days(panel: Panel, told: Forecast) -> list[dict[str, Any]]:
    """Each day of the month: spent at its end, or the forecast; both meet at the last complete day."""
    first = (told.period_start - panel.first).days
    total = np.nancumsum(panel.paid[0, max(first, 0) :])
    known = {told.period_start + timedelta(days=at - min(first, 0)): float(each) for at, each in enumerate(total[:-1])}
    rows: list[dict[str, Any]] = [
        {"day": day, "spent": spent, "p10": None, "p50": None, "p90": None} for day, spent in known.items()
    ]
    if rows and told.path:
        rows[-1] |= dict.fromkeys(("p10", "p50", "p90"), rows[-1]["spent"])
    rows += [
        {"day": day.day, "spent": None, "p10": float(day.p10), "p50": float(day.p50), "p90": float(day.p90)}
        for day in told.path
    ]
    return rows


def _tile(name: str, title: str, amount: Decimal | None, note: str, course: Sequence[float] = ()) -> Row:
    return {
        "name": name,
        "title": title,
        "meaning": title,
        "value": format_short(amount, Unit.USD),
        "exact": format_value(amount, Unit.USD, "table"),
        "change": Change("", "", "even"),
        "note": note,
        "warning": "",
        "line": sparkline(list(course)),
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _chance(share: float | None) -> str:
    """A probability; never 0 % or 100 %, which no forecast knows."""
    if share is None:
        return UNKNOWN
    return f"{min(max(share, 0.01), 0.99):.0%}" if 0.005 <= share <= 0.995 else "> 99%" if share > LIKELY else "< 1%"  # noqa: PLR2004


def _interval(told: Forecast) -> str:
    return "" if told.p10 is None else f"{format_short(told.p10, Unit.USD)} to {format_short(told.p90, Unit.USD)}"


def _between(days: tuple[date | None, date | None, date | None]) -> str:
    early, _, late = days
    if early is None:
        return ""
    first = f"{early.day} {early:%b}"
    return f"{first} or later" if late is None else first if late == early else f"{first} to {late.day} {late:%b}"


def _first_out(likely: list[Status]) -> str:
    days = [(each.forecast.exhaustion[1], each.budget.project) for each in likely if each.forecast.exhaustion[1]]
    if not days:
        return "no budget is likely to be passed" if not likely else "already passed"
    day, project = min(days, key=lambda each: (each[0] or date.max, each[1]))
    return f"{project} first, on {day.day} {day:%b}" if day else project
