"""Where the money goes: the parts of the notebook cost_breakdown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards.base import Desk, Row, cell
from hanzo_reports.dashboards.overview_sums import answer
from hanzo_reports.formats import (
    describe_change,
    format_difference,
    format_relative_change,
    format_short,
    format_value,
    relative_change,
)
from hanzo_reports.html.charts import Chart, Line
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.compare import movers
from hanzo_reports.metrics.cost import BY_MODEL, METRICS, PARTS, costs
from hanzo_reports.metrics.usage import usage
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from hanzo_reports.html.components import Part

TILES = ("cost", "cost_per_request", "cost_per_million_tokens", "cache_savings")
DIMENSIONS = ("model", "project", "api_key", "endpoint", "service", "user", "team")
COLORS = dict(zip(PARTS, ("s1", "s2", "s5", "s4", "s3"), strict=True))
NAMES = dict(zip(PARTS, ("Input", "Output", "Cache reads", "Cache writes", "Not split"), strict=True))
TOP = 8


@dataclass(frozen=True)
class CostBoard(Desk):
    """Where the money of a window goes; arguments as `Desk`."""

    @cached_property
    def whole(self) -> Row:
        """The window in one row, beside the one before."""
        names = (
            *TILES,
            *PARTS,
            "requests",
            "unpriced_requests",
            "unpriced_share",
            "cost_over_list",
            "price_differences",
        )
        return self.compared(names)[0]

    @cached_property
    def course(self) -> list[Row]:
        """The tiles' metrics by whole bucket."""
        rows = self.asked((*TILES, "requests"), every=self.grain).to_pylist()
        return [rows[place] for place, _ in self.whole_buckets]

    def headline(self) -> Part:
        """Cost, unit costs and cache savings, with their course."""
        if not self.whole["requests"]:
            return self.nothing("No requests in this window")
        missing = self.whole["unpriced_requests"]
        warning = {"cost": f"{missing:,} requests unpriced" if missing else ""}
        made = [self.tile(n, self.whole, [row[n] for row in self.course], warning.get(n, "")) for n in TILES]
        return self.tiles(made, {name: self.whole[name] for name in (*TILES, *PARTS, "requests", "unpriced_requests")})

    def over_time(self) -> Part:
        """Cost by bucket beside the window before."""
        earlier = self._cut_before()
        rows = []
        for (place, bucket), row in zip(self.whole_buckets, self.course, strict=True):
            past = earlier[place] if place < len(earlier) else None
            start = self.local(bucket.start)
            name = f"{start:%a} {start.day} {start:%b}" + (f" {start:%H:%M}" if self.grain.seconds else "")
            shown = [format_value(value, Unit.USD, "table") for value in (row["cost"], past)]
            tip = f"{name} · {shown[0]} · {shown[1]} before"
            rows.append({
                "start": start, "end": self.local(bucket.end), "cost": row["cost"], "before": past, "tip": tip,
                "cells": (name, *shown, format_value(row["cost_per_request"], Unit.USD, "table")),
            })  # fmt: skip
        chart = Chart(
            rows, (Line("before", "s3", dashed=True), Line("cost", "s1", filled=True)), self.grain.value, label=dollars
        )
        legend = [("rule", "s1", "This window"), ("dash", "s3", "Window before")]
        subtitle = f"US dollars per {self.grain.value}, {self.ws.timezone}"
        return self.chart("Cost over time", subtitle, chart, legend, ("From", "Cost", "Window before", "Per request"))

    def by_model(self) -> Part:
        """Each model with what its input, output, cache reads and cache writes cost."""
        rows = [row for row in self.compared(BY_MODEL, ["model"], TOP) if row["cost"]]
        most = max((row["cost"] for row in rows), default=1)
        total = self.whole["cost"] or 1
        cells = []
        for row in rows:
            bars = [(COLORS[part], f"{max(100 * float((row[part] or 0) / most), 0):.2f}") for part in PARTS]
            changed = describe_change(row["cost"], row["cost_previous"], CATALOG["cost"].direction)
            split = ", ".join(f"{NAMES[part]} {format_short(row[part], Unit.USD)}" for part in PARTS if row[part])
            cells.append([
                cell(row["model"] or "no model"), cell(split, bars=bars), cell(format_short(row["cost"], Unit.USD)),
                cell(f"{float(row['cost'] / total):.1%}"), cell(format_short(row["cost_per_million_tokens"], Unit.USD)),
                cell(format_short(row["cache_savings"], Unit.USD)), cell(changed.text or "–", pill=changed.tone),  # noqa: RUF001
            ])  # fmt: skip
        legend = [("block", COLORS[part], NAMES[part]) for part in PARTS if any(row[part] for row in rows)]
        columns = ("Model", "By kind of token", "Cost", "Share", "Per 1M tokens", "Cache saved", "Change")
        return self.grid("Cost by model", "US dollars, by kind of token", columns, cells, legend)

    def by(self, dimension: str) -> Part:
        """The largest groups of a dimension by cost."""
        return self.ranking(dimension, "cost")

    def reasons(self) -> Part:
        """What moved the cost, what has no price, what differs from the list."""
        whole, found = self.whole, []
        if whole["cost"] is not None and whole["cost_previous"]:
            difference = whole["cost"] - whole["cost_previous"]
            moved = movers(self.events, self.span, "cost", ["model", "project"], where=self.where, top=2)
            first = answer(moved).to_pylist()[0]
            word = "rose" if difference > 0 else "fell"
            who = f"{first['model'] or 'no model'} in {first['project']}"
            share = format_relative_change(relative_change(whole["cost"], whole["cost_previous"]) or 0)
            moved = format_difference(first["contribution"], Unit.USD)
            found.append((
                f"Cost {word} {format_short(abs(difference), Unit.USD)}",
                f" ({share}); the largest single mover is {who} ({moved}).",
                "bad" if difference > 0 else "good",
            ))  # fmt: skip
        if whole["cache_savings"]:
            saved = whole["cache_savings"]
            lead = f"Prompt caching {'saved' if saved > 0 else 'cost'} {format_short(abs(saved), Unit.USD)}"
            rest = (
                ", writing the cache included." if saved > 0 else " more than it saved: it is written, and hardly read."
            )
            found.append((lead, rest, "good" if saved > 0 else "bad"))
        if whole["unpriced_requests"]:
            rest = f" ({format_short(whole['unpriced_share'], Unit.SHARE)} of those with tokens) have no known price."
            found.append((f"{whole['unpriced_requests']:,} requests", rest, "bad"))
        if whole["price_differences"]:
            over = whole["cost_over_list"]
            rest = f" report a cost more than 1 % off the price list, {format_difference(over, Unit.USD)} together."
            found.append((f"{whole['price_differences']:,} requests", rest, "bad" if over > 0 else "even"))
        elif self._reported:
            rest = f" of {self._reported:,} requests is more than 1 % off the price list, where that has the model."
            found.append(("No reported cost", rest, "good"))
        return self.notes("Why", "Against the window before, and the price list", found, wide=True)

    def downloads(self, out_dir: str = "") -> Part:
        """Cost by each dimension, and by time, as CSV and JSON."""
        asked: list[tuple[str, dict[str, Any]]] = [
            (f"cost_by_{name}", {"by": [name], "metrics": BY_MODEL if name == "model" else METRICS})
            for name in DIMENSIONS
        ]
        asked.append((f"cost_by_{self.grain.value}", {"every": self.grain, "metrics": METRICS}))
        found = {
            stem: answer(costs(self.source(given["metrics"]), self.span, where=self.where, **given))
            for stem, given in asked
        }
        return self.files(found, out_dir)

    def takeaway(self) -> Part:
        """The window in two sentences."""
        whole = self.whole
        if whole["cost"] is None:
            return self.told("No request of this window has a known price.")
        biggest = max(PARTS, key=lambda part: whole[part] or 0)
        share = float((whole[biggest] or 0) / whole["cost"]) if whole["cost"] else 0
        each = format_short((whole["cost_per_request"] or 0) * 1000, Unit.USD)
        cost, requests = format_short(whole["cost"], Unit.USD), format_short(whole["requests"], Unit.REQUESTS)
        first = f"{cost} for {requests} requests, {each} per 1,000."
        return self.told(f"{first} {NAMES[biggest]} is {share:.0%} of it.")

    @cached_property
    def _reported(self) -> int:
        """The requests whose cost was reported, not computed from the list."""
        where = {**self.where, "cost_source": "reported"}
        return answer(usage(self.events, self.span, ["requests"], where=where))["requests"][0].as_py()  # type: ignore[no-any-return]

    def _cut_before(self) -> list[Any]:
        table = costs(self.events, self.span.previous(), ["cost"], every=self.grain, where=self.where)
        return answer(table)["cost"].to_pylist()  # type: ignore[no-any-return]


def dollars(value: float) -> str:
    """A label of an axis of money.

    >>> dollars(1500), dollars(0.25)
    ('$1.5K', '$0.25')
    """
    return f"${value / 1000:g}K" if value >= 1000 else f"${value:g}"  # noqa: PLR2004
