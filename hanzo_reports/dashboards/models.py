"""Which model is the best value: the parts of the notebook model_comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hanzo_reports.dashboards.base import Desk, Row, cell
from hanzo_reports.dashboards.costs import dollars
from hanzo_reports.dashboards.overview_sums import answer
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.formats import describe_change, format_short, format_value
from hanzo_reports.html.charts import Chart, Line
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.usage import usage
from hanzo_reports.units import Unit

if TYPE_CHECKING:
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
FEW = 50  # requests below which a model is not called the best
TILES = ("requests", "cost", "cost_per_million_tokens", "latency_p50")


@dataclass(frozen=True)
class ModelBoard(Desk):
    """How models compare in a window; arguments as `Desk`."""

    @cached_property
    def rows(self) -> list[Row]:
        """Each model with its metrics beside those of the window before, the most asked first."""
        found = [row for row in self.compared(METRICS, ["model"]) if row["model"] is not None and row["requests"]]
        return [row | ({"cost": None} if row["unpriced_requests"] * 2 > row["requests"] else {}) for row in found]

    @cached_property
    def able(self) -> list[Row]:
        """The models that can be compared: they write, were asked often enough, and have a price."""
        return [
            row
            for row in self.rows
            if row["requests"] >= FEW and row["cost_per_million_tokens"] is not None and row["output_tokens"]
        ]

    def headline(self) -> Part:
        """What models were asked, together."""
        whole = self.compared(TILES)[0]
        if not whole["requests"]:
            return self.nothing("No requests in this window")
        rows = self.asked(TILES, every=self.grain).to_pylist()
        course = [rows[place] for place, _ in self.whole_buckets]
        return self.tiles(
            [self.tile(n, whole, [row[n] for row in course]) for n in TILES], {n: whole[n] for n in TILES}
        )

    def models(self) -> Part:
        """Every model beside the others; the best of each column stands out."""
        best = {n: pick((row[n] for row in self.able if row[n] is not None), default=None) for n, pick in BEST.items()}
        cells = []
        for row in self.rows:
            changed = describe_change(row["requests"], row["requests_previous"], CATALOG["requests"].direction)
            cells.append([
                cell(row["model"]), cell(format_short(row["requests"], Unit.REQUESTS), changed.text),
                cell(format_short(row["cost"], Unit.USD)),
                *(cell(format_short(row[n], CATALOG[n].unit), best=self._is_best(row, n, best[n])) for n in GRID),
            ])  # fmt: skip
        subtitle = f"The best of each column in green, among models that write and have {FEW} requests or more"
        return self.grid("Models", subtitle, ("Model", "Requests", "Cost", *GRID.values()), cells)

    def courses(self) -> Part:
        """Cost per million tokens of the three most asked models over time."""
        named = [row["model"] for row in self.able][:3]
        table = usage(self.events, self.span, ["cost_per_million_tokens"], by=["model"], every=self.grain,
                      where={**self.where, "model": named or [""]})  # fmt: skip
        found = {(row["period"], row["model"]): row["cost_per_million_tokens"] for row in answer(table).to_pylist()}
        rows = []
        for _, bucket in self.whole_buckets:
            start = self.local(bucket.start)
            name = f"{start:%a} {start.day} {start:%b}" + (f" {start:%H:%M}" if self.grain.seconds else "")
            values = [found.get((bucket.label, model)) for model in named]
            shown = [format_value(value, Unit.USD, "table") for value in values]
            tip = " · ".join([name, *(f"{model} {text}" for model, text in zip(named, shown, strict=True))])
            rows.append({
                "start": start, "end": self.local(bucket.end), "tip": tip, "cells": (name, *shown),
                **{f"m{place}": value for place, value in enumerate(values)},
            })  # fmt: skip
        lines = tuple(
            Line(f"m{place}", color) for place, color in zip(range(len(named)), ("s1", "s2", "s3"), strict=False)
        )
        chart = Chart(rows if named else [], lines, self.grain.value, label=dollars)
        legend = [("rule", color, model) for model, color in zip(named, ("s1", "s2", "s3"), strict=False)]
        subtitle = f"US dollars per {self.grain.value}, the three most asked, {self.ws.timezone}"
        return self.chart("Cost per 1M tokens", subtitle, chart, legend, ("From", *named))

    def by(self, metric: str) -> Part:
        """Models by one metric, the best first.

        Args:
            metric: a cost, a latency or the error rate.

        Raises:
            UnknownNameError: it is none of these.
        """
        if metric not in RANKED:
            raise UnknownNameError("metric", metric, RANKED, "a comparison")
        known = sorted(
            (row for row in self.rows if row[metric] is not None), key=lambda row: (row[metric], row["model"])
        )
        most, measure = max((row[metric] for row in known), default=0), CATALOG[metric]
        lines = [
            {
                "name": row["model"], "vague": False, "bar": f"{100 * float(row[metric] / most) if most else 0:.1f}",
                "value": format_short(row[metric], measure.unit),
                "exact": format_value(row[metric], measure.unit, "table"),
                "share": f"{format_short(row['requests'], Unit.REQUESTS)} requests",
                "change": describe_change(row[metric], row[f"{metric}_previous"], measure.direction),
            }
            for row in known[:8]
        ]  # fmt: skip
        text = "\n".join(f"{line['name']}: {line['value']}" for line in lines) or "nothing"
        subtitle = measure.meaning[0].upper() + measure.meaning[1:]
        return self.part("ranking", measure.title, text, wide=False, subtitle=subtitle, rows=lines)

    def value(self) -> Part:
        """Which model is the best for what, in sentences."""
        found = []
        able = self.able
        sound = [row for row in able if not CATALOG["error_rate"].breaches_threshold(row["error_rate"])]
        if cheap := min(sound, key=lambda row: row["cost_per_million_tokens"], default=None):
            each = format_short(cheap["cost_per_million_tokens"], Unit.USD)
            found.append(
                (cheap["model"], f" is the cheapest that keeps the error limit: {each} per 1M tokens.", "good")
            )
        if fast := min((r for r in sound if r["latency_p50"]), key=lambda row: row["latency_p50"], default=None):
            found.append(
                (
                    fast["model"],
                    f" answers fastest: {format_short(fast['latency_p50'], Unit.MILLISECONDS)} median.",
                    "good",
                )
            )
        if dear := max(able, key=lambda row: row["cost"] or 0, default=None):
            found.append((dear["model"], f" costs the most in all: {format_short(dear['cost'], Unit.USD)}.", "even"))
        failing = (row for row in able if CATALOG["error_rate"].breaches_threshold(row["error_rate"]))
        found += [
            (r["model"], f" fails too often: {format_short(r['error_rate'], Unit.SHARE)} errors.", "bad")
            for r in failing
        ]
        unpriced = [row["model"] for row in self.rows if row["cost"] is None]
        if unpriced:
            found.append((", ".join(unpriced[:3]), " cannot be compared: no price is known.", "bad"))
        return self.notes("Best value", "Price, speed and errors; quality is yours to judge", found)

    def downloads(self, out_dir: str = "") -> Part:
        """Every model's metrics as CSV and JSON."""
        return self.files({"models": self.asked(METRICS, by=["model"])}, out_dir)

    def takeaway(self) -> Part:
        """The comparison in a sentence."""
        able = self.able
        if not able:
            return self.told("No model of this window has enough requests and a known price.")
        cheap = min(able, key=lambda row: row["cost_per_million_tokens"])
        dear = max(able, key=lambda row: row["cost_per_million_tokens"])
        least, most = (row["cost_per_million_tokens"] for row in (cheap, dear))
        said = f"{len(able)} models compared: {cheap['model']} costs {format_short(least, Unit.USD)} per 1M tokens"
        if not least and most:
            return self.told(f"{said}, {dear['model']} {format_short(most, Unit.USD)}.")
        times = float(most / least) if least else 1.0
        return self.told(f"{said}, {dear['model']} {times:,.0f} times as much." if times >= 2 else f"{said}.")  # noqa: PLR2004

    def _is_best(self, row: Row, name: str, best: float | None) -> bool:
        return row in self.able and best is not None and row[name] == best
