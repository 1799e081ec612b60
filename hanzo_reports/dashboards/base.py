"""One window of a store, asked for the parts of a page: tiles, charts, rankings, grids, notes, files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hanzo_reports.dashboards.overview import attached
from hanzo_reports.dashboards.overview_panels import sparkline
from hanzo_reports.dashboards.overview_sums import answer
from hanzo_reports.export import tables as export
from hanzo_reports.formats import describe_change, format_short, format_value
from hanzo_reports.html.charts import Chart, drawn
from hanzo_reports.html.components import Part, fragment
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.compare import comparison
from hanzo_reports.metrics.cost import SPLIT
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.units import Grain, Unit
from hanzo_reports.window import zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis

    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.window import Bucket, Window
    from hanzo_reports.workspace import Workspace

Row = dict[str, Any]
Legend = list[tuple[str, str, str]]
_GRAINS = ((2.1, Grain.HOUR), (190, Grain.DAY), (1300, Grain.WEEK))


def cell(text: object, note: str = "", **look: object) -> Row:
    """A cell of a grid.

    Args:
        text: what it says.
        note: a second line, smaller.
        look: `bars` (pairs of colour and percent), `tone` of the bars, `pill` (its tone), `best` (whether it stands
            out).
    """
    return {"text": str(text), "note": note, "bars": None, "tone": "", "pill": "", "best": False} | look


@dataclass(frozen=True)
class Desk:
    """One window of a store.

    Args:
        ws: the store, the zone and the now.
        window: the range.
        project: only this project; empty: all.

    Raises:
        WindowError: the range cannot be read.
    """

    ws: Workspace
    window: str = "30d"
    project: str = ""

    def __post_init__(self) -> None:
        self.ws.window(self.window)

    @cached_property
    def span(self) -> Window:
        """What is looked at."""
        return self.ws.window(self.window)

    @cached_property
    def events(self) -> ibis.Table:
        """The events of the window and of the one before."""
        return self.ws.store.events(self.span.previous().start, self.span.end)

    @cached_property
    def split(self) -> ibis.Table:
        """The same with what each kind of token cost."""
        from hanzo_reports.pricing.cost_split import split_costs  # noqa: PLC0415  # not every page asks for it

        return split_costs(self.events)

    def source(self, metrics: Sequence[str]) -> ibis.Table:
        """The events that have what these metrics need; prices are looked up only for those that ask for it."""
        return self.split if SPLIT.intersection(metrics) else self.events

    @property
    def where(self) -> Where:
        """The filter that holds for all of it."""
        return {"project": self.project} if self.project else {}

    @property
    def grain(self) -> Grain:
        """How finely charts are cut."""
        days = (self.span.end - self.span.start).total_seconds() / 86_400
        return next((grain for most, grain in _GRAINS if days <= most), Grain.MONTH)

    @cached_property
    def whole_buckets(self) -> list[tuple[int, Bucket]]:
        """The buckets that the window holds all of, with their places; a clipped one would look like a fall."""
        after = replace(self.span, end=self.span.end + timedelta(seconds=1), start=self.span.end)
        sharp = _begins(after.buckets(self.grain)[0])
        return [
            (place, bucket)
            for place, bucket in enumerate(self.span.buckets(self.grain))
            if _begins(bucket) and (bucket.end < self.span.end or sharp)
        ]

    def compared(self, metrics: Sequence[str], by: Sequence[str] = (), top: int | None = None) -> list[Row]:
        """Metrics beside those of the window before: `m`, `m_previous`, `m_change`."""
        table = comparison(self.source(metrics), self.span, metrics, by=by, where=self.where, top=top)
        return answer(table).to_pylist()  # type: ignore[no-any-return]

    def asked(self, metrics: Sequence[str], by: Sequence[str] = (), every: Grain | None = None) -> pa.Table:
        """Metrics by group and bucket, as a small table."""
        return answer(aggregate(self.source(metrics), self.span, metrics, by=by, every=every, where=self.where))

    def part(
        self,
        kind: str,
        title: str,
        text: str,
        *,
        wide: bool = True,
        facts: Row | None = None,
        **given: Any,  # noqa: ANN401  # what the kind's macro takes
    ) -> Part:
        """A part of the page with one variant, the window's."""
        names = {"takeaway": "told"}
        html = fragment(names.get(kind, kind), **({"title": title} if title else {}), **given)
        first, last = self.local(self.span.start), self.local(self.span.end)
        told = f"{first.day} {first:%b %Y %H:%M} – {last.day} {last:%b %Y %H:%M} {self.ws.timezone}"  # noqa: RUF001
        variant = {"html": html, "text": text, "span": told}
        return Part(kind, title, {self.span.name or self.window: variant}, wide, facts or {})

    def tiles(self, made: Sequence[Row], figures: Mapping[str, object]) -> Part:
        """Tiles; the figures go into the manifest."""
        lines = [f"{tile['title']}: {tile['value']} {tile['change'].text} ({tile['note']})" for tile in made]
        kpis = {self.span.name or self.window: {name: export.manifest_value(value) for name, value in figures.items()}}
        return self.part("tiles", "", "\n".join(lines), tiles=made, facts={"kpis": kpis})

    def tile(self, name: str, row: Row, course: Sequence[Any] = (), warning: str = "") -> Row:
        """A metric as a tile: value, change, what was before, course."""
        metric, now, before = CATALOG[name], row[name], row[f"{name}_previous"]
        return {
            "name": name, "title": metric.title, "meaning": metric.meaning, "value": format_short(now, metric.unit),
            "exact": format_value(now, metric.unit, "table"), "change": describe_change(now, before, metric.direction),
            "note": "nothing before" if before is None else f"previous {format_short(before, metric.unit)}",
            "warning": warning, "line": sparkline(list(course)),
        }  # fmt: skip

    def ranking(self, dimension: str, metric: str, title: str = "", top: int = 6) -> Part:
        """The largest groups of a dimension by a sum: value, share, change; those without a name are the last."""
        rows = self.compared([metric], [dimension], top)
        measure, none = CATALOG[metric], f"no {dimension.replace('_', ' ')}"
        known = [row for row in rows if row[metric]]
        total = sum(row[metric] for row in known)
        most = max((row[metric] for row in known), default=0)
        lines = [
            {
                "name": row[dimension] or none, "vague": row[dimension] is None,
                "value": format_short(row[metric], measure.unit),
                "bar": f"{max(100 * float(row[metric] / most), 0):.1f}", "share": f"{float(row[metric] / total):.1%}",
                "exact": format_value(row[metric], measure.unit, "table"),
                "change": describe_change(row[metric], row[f"{metric}_previous"], measure.direction),
            }
            for row in known
        ]  # fmt: skip
        title = title or f"{measure.title} by {dimension.replace('_', ' ').replace('api', 'API')}"
        subtitle = (
            "US dollars, where a price is known" if measure.unit is Unit.USD else f"Share of {measure.title.lower()}"
        )
        text = "\n".join(f"{line['name']}: {line['value']} ({line['share']})" for line in lines)
        return self.part("ranking", title, text or "nothing", wide=False, subtitle=subtitle, rows=lines)

    def chart(  # noqa: PLR0913
        self, title: str, subtitle: str, chart: Chart, legend: Legend, columns: Sequence[str], *, wide: bool = True
    ) -> Part:
        """A chart with its legend and its table; a row's `cells` are the table's."""
        rows = [row["cells"] for row in chart.rows]
        text = f"{subtitle}: {len(rows)} from {rows[0][0]}" if rows else f"{subtitle}: nothing yet"
        drawings = drawn(chart) if rows else []
        return self.part(
            "chart", title, text,
            wide=wide, subtitle=subtitle, legend=legend, drawings=drawings, columns=columns, rows=rows,
        )  # fmt: skip

    def grid(
        self,
        title: str,
        subtitle: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Row]],
        legend: Legend | None = None,
    ) -> Part:
        """A table of cells."""
        text = "\n".join(" · ".join(each["text"] for each in row) for row in rows) or "nothing"
        return self.part("grid", title, text, subtitle=subtitle, legend=legend or [], columns=columns, rows=rows)

    def notes(self, title: str, subtitle: str, found: Iterable[tuple[str, str, str]], *, wide: bool = False) -> Part:
        """Sentences: lead, rest, tone."""
        notes = [{"lead": lead, "rest": rest, "tone": tone} for lead, rest, tone in found]
        text = "\n".join(note["lead"] + note["rest"] for note in notes)
        return self.part("notes", title, text or "nothing to say", wide=wide, subtitle=subtitle, notes=notes)

    def files(self, tables: Mapping[str, pa.Table], out_dir: str) -> Part:
        """Tables offered as CSV and JSON, and written to a folder where one is given."""
        files = [
            attached(f"{stem}.{fmt}", export.format_table(table, fmt, window=self.span), table, out_dir)
            for stem, table in tables.items()
            for fmt in ("csv", "json")
        ]
        text = "\n".join(f"{file['name']}: {file['rows']:,} rows" for file in files)
        facts = [{key: file[key] for key in ("name", "rows", "columns")} for file in files]
        return self.part("downloads", "", text, files=files, facts={"files": facts})

    def told(self, sentence: str) -> Part:
        """The takeaway."""
        return self.part("takeaway", "", sentence, sentence=sentence)

    def nothing(self, title: str) -> Part:
        """What to do where the window has no requests."""
        held = self.ws.window("all")
        if held.start == held.end:
            lines = ["The store has no events yet.", "Load some with hanzo-reports ingest, or try hanzo-reports demo."]
        else:
            first, last = self.local(held.start), self.local(held.end)
            lines = [
                f"The store's events reach from {first:%d %b %Y %H:%M} to {last:%d %b %Y %H:%M} {self.ws.timezone}."
            ]
            lines += [f"Choose another range, for example -p window={first:%Y-%m-%d}..{last:%Y-%m-%d}."]
        return self.part("notice", title, "\n".join([title, *lines]), lines=lines)

    def local(self, instant: datetime) -> datetime:
        """An instant in the window's zone."""
        return instant.astimezone(zone(self.ws.timezone))


def _begins(bucket: Bucket) -> bool:
    return datetime.fromisoformat(bucket.label) == bucket.start


def table(rows: Sequence[Row]) -> pa.Table:
    """Rows as a small table whose money is Decimal; without rows one without columns."""
    return pa.Table.from_pylist(list(rows)) if rows else pa.table({})
