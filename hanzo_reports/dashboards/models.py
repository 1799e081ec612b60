"""Which model is the best value: the panels of the notebook model_comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hanzo_reports.dashboards.base import Dashboard, format_axis_dollars
from hanzo_reports.dashboards.tables import Row, fetch_rows
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.formats import describe_change, format_short, format_value
from hanzo_reports.html.charts import Chart, Line
from hanzo_reports.html.panels import Cell, Note, RankingRow, build_chart, build_grid, build_notes, build_ranking
from hanzo_reports.html.text import MAX_LABEL_LENGTH, show_name
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.usage import usage
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hanzo_reports.html.components import Part

METRICS = (
    "requests", "cost", "cost_per_request", "cost_per_million_tokens", "latency_p50", "latency_p95", "ttft_p50",
    "error_rate", "cache_hit_ratio", "output_tokens", "tokens", "unpriced_requests",
)  # fmt: skip
GRID = {
    "cost_per_million_tokens": "Per 1M tokens", "latency_p50": "Latency p50", "latency_p95": "p95",
    "ttft_p50": "First token", "error_rate": "Errors", "cache_hit_ratio": "Cache hits",
}  # fmt: skip
RANKED = ("cost_per_million_tokens", "cost_per_request", "latency_p50", "latency_p95", "ttft_p50", "error_rate")
BEST = {name: max if name == "cache_hit_ratio" else min for name in GRID}
MIN_REQUESTS = 50  # a model with fewer is not compared
MAX_RANKED = 8  # models of a ranking
TILES = ("requests", "cost", "cost_per_million_tokens", "latency_p50")
LINE_COLORS = ("s1", "s2", "s3")
CLEAR_MULTIPLE = 2  # a smaller difference in price is not worded as a multiple


@dataclass(frozen=True)
class ModelDashboard(Dashboard):
    """How models compare in a window; arguments as `Dashboard`."""

    @cached_property
    def rows(self) -> list[Row]:
        """Each model with its metrics beside those of the previous period, the most requests first."""
        rows = [row for row in self.compare(METRICS, ["model"]) if row["model"] is not None and row["requests"]]
        return [row | ({"cost": None} if row["unpriced_requests"] * 2 > row["requests"] else {}) for row in rows]

    @cached_property
    def comparable_rows(self) -> list[Row]:
        """The models that can be compared: they write text, have enough requests, and have a price."""
        return [
            row
            for row in self.rows
            if row["requests"] >= MIN_REQUESTS and row["cost_per_million_tokens"] is not None and row["output_tokens"]
        ]

    def tiles(self) -> Part:
        """All models together."""
        totals = self.compare(TILES)[0]
        if not totals["requests"]:
            return self.show(self.build_no_requests())
        tiles = self.metric_tiles(TILES, totals, self.query_series(TILES))
        return self.show_tiles(tiles, {name: totals[name] for name in TILES})

    def models(self) -> Part:
        """Every model beside the others; the best of each column stands out."""
        best = {
            name: pick((row[name] for row in self.comparable_rows if row[name] is not None), default=None)
            for name, pick in BEST.items()
        }
        cells = []
        for row in self.rows:
            change = describe_change(row["requests"], row["requests_previous"], CATALOG["requests"].direction)
            cells.append([
                Cell(show_name(row["model"])),
                Cell(format_short(row["requests"], Unit.REQUESTS), change.text),
                Cell(format_short(row["cost"], Unit.USD)),
                *(Cell(_format(row, name), best=self._is_best(row, name, best[name])) for name in GRID),
            ])  # fmt: skip
        subtitle = f"The best of each column in green, among models with output and at least {MIN_REQUESTS} requests"
        return self.show(build_grid("Models", subtitle, ("Model", "Requests", "Cost", *GRID.values()), cells))

    def unit_cost_over_time(self) -> Part:
        """Cost per million tokens by bucket, of the three models with the most requests."""
        models = [row["model"] for row in self.comparable_rows[: len(LINE_COLORS)]]
        table = usage(self.events, self.window, ["cost_per_million_tokens"], by=["model"], every=self.grain,
                      where={**self.where, "model": models or [""]})  # fmt: skip
        costs = {(row["period"], row["model"]): row["cost_per_million_tokens"] for row in fetch_rows(table)}
        labels = [show_name(model, MAX_LABEL_LENGTH) for model in models]
        rows = []
        for _, bucket in self.complete_buckets():
            start = self.bucket_label(bucket)
            values = [costs.get((bucket.label, model)) for model in models]
            texts = [format_value(value, Unit.USD, "table") for value in values]
            tip = " · ".join([start, *(f"{label} {text}" for label, text in zip(labels, texts, strict=True))])
            rows.append({
                "start": self.to_local(bucket.start), "end": self.to_local(bucket.end), "tip": tip,
                "cells": (start, *texts), **{f"m{position}": value for position, value in enumerate(values)},
            })  # fmt: skip
        lines = tuple(Line(f"m{position}", color) for position, color in enumerate(LINE_COLORS[: len(models)]))
        chart = Chart(rows if models else [], lines, self.grain.value, label=format_axis_dollars)
        legend = [("rule", color, label) for label, color in zip(labels, LINE_COLORS, strict=False)]
        subtitle = f"US dollars per {self.grain.value}, the three models with the most requests, {self.ws.timezone}"
        return self.show(build_chart("Cost per 1M tokens", subtitle, chart, legend, ("From", *labels)))

    def by(self, metric: str) -> Part:
        """Models by one metric, the best first.

        Args:
            metric: a cost, a latency or the error rate.

        Raises:
            UnknownNameError: it is none of these.
        """
        if metric not in RANKED:
            raise UnknownNameError("metric", metric, RANKED, "a comparison")
        rows = sorted(
            (row for row in self.rows if row[metric] is not None), key=lambda row: (row[metric], row["model"])
        )
        largest, measure = max((row[metric] for row in rows), default=0), CATALOG[metric]
        ranking = [
            RankingRow(
                name=show_name(row["model"]),
                value=_format(row, metric),
                share=f"{format_short(row['requests'], Unit.REQUESTS)} requests",
                bar=f"{100 * float(row[metric] / largest) if largest else 0:.1f}",
                exact=format_value(row[metric], measure.unit, "table"),
                change=describe_change(row[metric], row[f"{metric}_previous"], measure.direction),
            )
            for row in rows[:MAX_RANKED]
        ]
        subtitle = measure.meaning[0].upper() + measure.meaning[1:]
        return self.show(build_ranking(measure.title, subtitle, ranking))

    def value(self) -> Part:
        """Which model is the best for what, in sentences."""
        notes = [*self._describe_best(), *self._describe_failing()]
        unpriced = [show_name(row["model"]) for row in self.rows if row["cost"] is None]
        if unpriced:
            notes.append(Note(", ".join(unpriced[:3]), " cannot be compared: no price is known.", "bad"))
        return self.show(build_notes("Best value", "Price, speed and errors; answer quality is not measured", notes))

    def downloads(self, out_dir: str = "") -> Part:
        """Every model's metrics as CSV and JSON.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        return self.offer_files({"models": self.query(METRICS, by=["model"])}, out_dir)

    def takeaway(self) -> Part:
        """The comparison in a sentence."""
        rows = self.comparable_rows
        if not rows:
            return self.show_takeaway("No model in this window has enough requests and a known price.")
        cheapest, dearest = (pick(rows, key=lambda row: row["cost_per_million_tokens"]) for pick in (min, max))
        lowest, highest = (row["cost_per_million_tokens"] for row in (cheapest, dearest))
        names = show_name(cheapest["model"]), show_name(dearest["model"])
        sentence = f"{len(rows)} models compared: {names[0]} costs {format_short(lowest, Unit.USD)} per 1M tokens"
        if not lowest and highest:
            return self.show_takeaway(f"{sentence}, {names[1]} {format_short(highest, Unit.USD)}.")
        multiple = float(highest / lowest) if lowest else 1.0
        if multiple < CLEAR_MULTIPLE:
            return self.show_takeaway(f"{sentence}.")
        return self.show_takeaway(f"{sentence}, {names[1]} {multiple:,.0f} times as much.")

    def _is_best(self, row: Row, name: str, best: float | None) -> bool:
        return row in self.comparable_rows and best is not None and row[name] == best

    def _describe_best(self) -> Iterator[Note]:
        """The cheapest and the fastest model that is reliable, and the one with the highest cost."""
        rows = self.comparable_rows
        reliable = [row for row in rows if not CATALOG["error_rate"].breaches_threshold(row["error_rate"])]
        if cheapest := min(reliable, key=lambda row: row["cost_per_million_tokens"], default=None):
            cost = _format(cheapest, "cost_per_million_tokens")
            rest = f" is the cheapest with an acceptable error rate: {cost} per 1M tokens."
            yield Note(show_name(cheapest["model"]), rest, "good")
        with_latency = [row for row in reliable if row["latency_p50"]]
        if fastest := min(with_latency, key=lambda row: row["latency_p50"], default=None):
            rest = f" is the fastest: {_format(fastest, 'latency_p50')} median latency."
            yield Note(show_name(fastest["model"]), rest, "good")
        if largest := max(rows, key=lambda row: row["cost"] or 0, default=None):
            yield Note(show_name(largest["model"]), f" has the highest total cost: {_format(largest, 'cost')}.")

    def _describe_failing(self) -> Iterator[Note]:
        for row in self.comparable_rows:
            if CATALOG["error_rate"].breaches_threshold(row["error_rate"]):
                rest = f" fails too often: {_format(row, 'error_rate')} errors."
                yield Note(show_name(row["model"]), rest, "bad")


def _format(row: Row, metric: str) -> str:
    return format_short(row[metric], CATALOG[metric].unit)
