"""Where the money goes: the panels of the notebook cost_breakdown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hanzo_reports.dashboards.base import Dashboard, format_axis_dollars
from hanzo_reports.dashboards.tables import Row, fetch_rows, fetch_table
from hanzo_reports.formats import (
    UNKNOWN,
    describe_change,
    format_difference,
    format_relative_change,
    format_short,
    format_value,
    relative_change,
)
from hanzo_reports.html.charts import Chart, Line
from hanzo_reports.html.panels import Cell, Note, build_chart, build_grid, build_notes
from hanzo_reports.html.text import show_name
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.compare import movers
from hanzo_reports.metrics.cost import BY_MODEL, METRICS, PARTS, costs
from hanzo_reports.metrics.usage import usage
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hanzo_reports.html.components import Part

TILES = ("cost", "cost_per_request", "cost_per_million_tokens", "cache_savings")
DIMENSIONS = ("model", "project", "api_key", "endpoint", "service", "user", "team")
COLORS = dict(zip(PARTS, ("s1", "s2", "s5", "s4", "s3"), strict=True))
NAMES = dict(zip(PARTS, ("Input", "Output", "Cache reads", "Cache writes", "Not split"), strict=True))
MAX_MODELS = 8  # rows of the grid; all other models together are one more
_TOTALS = (*TILES, *PARTS, "requests", "unpriced_requests", "unpriced_share", "cost_over_list", "price_differences")


@dataclass(frozen=True)
class CostDashboard(Dashboard):
    """Where the money of a window goes; arguments as `Dashboard`."""

    @cached_property
    def totals(self) -> Row:
        """The window in one row, beside the previous period."""
        return self.compare(_TOTALS)[0]

    @cached_property
    def series(self) -> list[Row]:
        """The metrics of the tiles by complete bucket."""
        return self.query_series((*TILES, "requests"))

    def tiles(self) -> Part:
        """Cost, unit costs and cache savings, each with a sparkline."""
        if not self.totals["requests"]:
            return self.show(self.build_no_requests())
        unpriced = self.totals["unpriced_requests"]
        warnings = {"cost": f"{unpriced:,} requests unpriced"} if unpriced else {}
        figures = {name: self.totals[name] for name in (*TILES, *PARTS, "requests", "unpriced_requests")}
        return self.show_tiles(self.metric_tiles(TILES, self.totals, self.series, warnings), figures)

    def over_time(self) -> Part:
        """Cost by bucket beside the previous period."""
        previous_costs = self._query_previous_costs()
        rows = []
        for (position, bucket), row in zip(self.complete_buckets(), self.series, strict=True):
            previous = previous_costs[position] if position < len(previous_costs) else None
            label = self.bucket_label(bucket)
            current_text, previous_text = (format_value(value, Unit.USD, "table") for value in (row["cost"], previous))
            rows.append({
                "start": self.to_local(bucket.start), "end": self.to_local(bucket.end), "cost": row["cost"],
                "previous": previous, "tip": f"{label} · {current_text} · previous {previous_text}",
                "cells": (label, current_text, previous_text, format_value(row["cost_per_request"], Unit.USD, "table")),
            })  # fmt: skip
        lines = (Line("previous", "s3", dashed=True), Line("cost", "s1", filled=True))
        chart = Chart(rows, lines, self.grain.value, label=format_axis_dollars)
        legend = [("rule", "s1", "This period"), ("dash", "s3", "Previous period")]
        subtitle = f"US dollars per {self.grain.value}, {self.ws.timezone}"
        columns = ("From", "Cost", "Previous period", "Per request")
        return self.show(build_chart("Cost over time", subtitle, chart, legend, columns))

    def by_model(self) -> Part:
        """Each model with the cost of its input, output, cache reads and cache writes."""
        rows = [row for row in self.compare(BY_MODEL, ["model"], MAX_MODELS) if row["cost"]]
        largest = max((row["cost"] for row in rows), default=1)
        cells = [self._model_cells(row, largest) for row in rows]
        legend = [("block", COLORS[part], NAMES[part]) for part in PARTS if any(row[part] for row in rows)]
        columns = ("Model", "By kind of token", "Cost", "Share", "Per 1M tokens", "Cache saved", "Change")
        return self.show(build_grid("Cost by model", "US dollars, by kind of token", columns, cells, legend))

    def by(self, dimension: str) -> Part:
        """The largest groups of a dimension by cost."""
        return self.ranking(dimension, "cost")

    def reasons(self) -> Part:
        """What moved the cost, which requests have no price, and which costs differ from the price list."""
        notes = [*self._describe_change(), *self._describe_cache(), *self._describe_prices()]
        return self.show(build_notes("Why", "Compared with the previous period and the price list", notes, wide=True))

    def downloads(self, out_dir: str = "") -> Part:
        """Cost by each dimension, and by time, as CSV and JSON.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        questions: list[tuple[str, dict[str, Any]]] = [
            (f"cost_by_{name}", {"by": [name], "metrics": BY_MODEL if name == "model" else METRICS})
            for name in DIMENSIONS
        ]
        questions.append((f"cost_by_{self.grain.value}", {"every": self.grain, "metrics": METRICS}))
        tables = {
            stem: fetch_table(costs(self.events_with(question["metrics"]), self.window, where=self.where, **question))
            for stem, question in questions
        }
        return self.offer_files(tables, out_dir)

    def takeaway(self) -> Part:
        """The window in two sentences."""
        totals = self.totals
        if totals["cost"] is None:
            return self.show_takeaway("No request in this window has a known price.")
        biggest = max(PARTS, key=lambda part: totals[part] or 0)
        share = float((totals[biggest] or 0) / totals["cost"]) if totals["cost"] else 0
        per_thousand = format_short((totals["cost_per_request"] or 0) * 1000, Unit.USD)
        cost, requests = (format_short(totals[name], CATALOG[name].unit) for name in ("cost", "requests"))
        return self.show_takeaway(
            f"{cost} for {requests} requests, {per_thousand} per 1,000. {NAMES[biggest]} is {share:.0%} of it."
        )

    @cached_property
    def _reported_requests(self) -> int:
        """The requests whose cost was reported, not computed from the price list."""
        where = {**self.where, "cost_source": "reported"}
        return fetch_rows(usage(self.events, self.window, ["requests"], where=where))[0]["requests"]  # type: ignore[no-any-return]

    def _query_previous_costs(self) -> list[Any]:
        table = costs(self.events, self.previous, ["cost"], every=self.grain, where=self.where)
        return fetch_table(table)["cost"].to_pylist()  # type: ignore[no-any-return]

    def _model_cells(self, row: Row, largest: Any) -> list[Cell]:  # noqa: ANN401  # Decimal, or 1 without any row
        bars = [(COLORS[part], f"{max(100 * float((row[part] or 0) / largest), 0):.2f}") for part in PARTS]
        change = describe_change(row["cost"], row["cost_previous"], CATALOG["cost"].direction)
        split = ", ".join(f"{NAMES[part]} {format_short(row[part], Unit.USD)}" for part in PARTS if row[part])
        amounts = [format_short(row[name], Unit.USD) for name in ("cost_per_million_tokens", "cache_savings")]
        return [
            Cell(show_name(row["model"] or "no model")), Cell(split, bars=bars),
            Cell(format_short(row["cost"], Unit.USD)),
            Cell(f"{float(row['cost'] / (self.totals['cost'] or 1)):.1%}"), *map(Cell, amounts),
            Cell(change.text or UNKNOWN, pill=change.tone),
        ]  # fmt: skip

    def _describe_change(self) -> Iterator[Note]:
        """How the cost changed, and the group that moved it most."""
        totals = self.totals
        if totals["cost"] is None or not totals["cost_previous"]:
            return
        difference = totals["cost"] - totals["cost_previous"]
        table = movers(self.events, self.window, "cost", ["model", "project"], where=self.where, top=2)
        mover = fetch_rows(table)[0]
        name = f"{show_name(mover['model'] or 'no model')} in {show_name(mover['project'] or 'no project')}"
        share = format_relative_change(relative_change(totals["cost"], totals["cost_previous"]) or 0)
        yield Note(
            f"Cost {'rose' if difference > 0 else 'fell'} {format_short(abs(difference), Unit.USD)}",
            f" ({share}); the largest mover is {name} ({format_difference(mover['contribution'], Unit.USD)}).",
            "bad" if difference > 0 else "good",
        )

    def _describe_cache(self) -> Iterator[Note]:
        savings = self.totals["cache_savings"]
        if not savings:
            return
        amount = format_short(abs(savings), Unit.USD)
        if savings > 0:
            yield Note(f"Prompt caching saved {amount}", ", net of the cost of writing the cache.", "good")
        else:
            rest = " more than it saved: the cache is written, but rarely read."
            yield Note(f"Prompt caching cost {amount}", rest, "bad")

    def _describe_prices(self) -> Iterator[Note]:
        """Requests without a price, and reported costs that differ from the price list."""
        totals = self.totals
        if totals["unpriced_requests"]:
            share = format_short(totals["unpriced_share"], Unit.SHARE)
            rest = f" ({share} of those with tokens) have no known price."
            yield Note(f"{totals['unpriced_requests']:,} requests", rest, "bad")
        if totals["price_differences"]:
            over = totals["cost_over_list"]
            rest = f" report a cost more than 1% off the price list, {format_difference(over, Unit.USD)} in total."
            yield Note(f"{totals['price_differences']:,} requests", rest, "bad" if over > 0 else "even")
        elif self._reported_requests:
            rest = (
                f" of {self._reported_requests:,} requests is more than 1% off the price list, where it has the model."
            )
            yield Note("No reported cost", rest, "good")
