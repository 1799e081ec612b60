"""The dashboard as parts: each method is one cell of the notebook, and holds every range of the picker."""

from __future__ import annotations

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports.atomic_write import write_bytes
from hanzo_reports.dashboards import overview_panels as views
from hanzo_reports.dashboards.overview_sums import BY, NAMES, Sums, answer
from hanzo_reports.dashboards.overview_window import Span
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.export import tables as export
from hanzo_reports.formats import format_decimal
from hanzo_reports.html.components import Part, fragment
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.metrics.dialect import earliest, latest
from hanzo_reports.metrics.query import aggregate

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from hanzo_reports.dashboards.overview_panels import View
    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.workspace import Workspace

RANGES = ("24h", "7d", "30d")
HOURLY = ("requests", "tokens", "cost", "error_rate", "latency_p50", "latency_p95", "latency_p99")
TOTALS = ("requests", "tokens", "cost")
EMBEDDED = 90_000  # bytes of a file that the page carries; a larger one is linked to beside the page
_TYPES = {"csv": "text/csv", "json": "application/json"}


@dataclass(frozen=True)
class Board:
    """A dashboard of one store.

    Args:
        ws: the store, the zone and the now.
        window: the range that is shown first; 24h, 7d and 30d bring each other along, another stands alone.
        project: only this project; empty: all.

    Raises:
        WindowError: the range cannot be read.
    """

    ws: Workspace
    window: str = "24h"
    project: str = ""

    def __post_init__(self) -> None:
        self.ws.window(self.window)

    @cached_property
    def spans(self) -> dict[str, Span]:
        """What is known about each range, the one shown first in front; each opens no more files than it needs."""
        name = self.window.strip().lower()
        names = (name, *(other for other in RANGES if other != name)) if name in RANGES else (self.window,)
        windows = [self.ws.window(name) for name in names]
        sides = [side for window in windows for side in (window, window.previous())]
        events = [self.ws.store.events(window.previous().start, window.end) for window in windows]
        widest = min(range(len(windows)), key=lambda place: sides[2 * place + 1].start)  # they have one end
        sums = Sums(events[widest], sides, self._where)
        spans = [Span(rows, window, self._where, sums) for window, rows in zip(windows, events, strict=True)]
        sums.read()
        with ThreadPoolExecutor(2) as threads:  # each has its connection, and one can think while the other's works
            list(threads.map(Span.read, reversed(spans), range(len(spans))))
        return {span.window.name: span for span in spans}

    def takeaway(self) -> Part:
        """The window in two sentences."""
        return self._part("takeaway", "", views.takeaway)

    def tiles(self) -> Part:
        """Requests, tokens, cost and latency: value, change, what was before, and their course."""
        part = self._part("tiles", "", views.tiles)
        return replace(part, facts={"kpis": self._kpis()})

    def volume(self) -> Part:
        """Requests over time beside those of the window before, with the stretches of many errors marked."""
        return self._part("chart", "Request volume", views.volume)

    def ranking(self, dimension: str, metric: str) -> Part:
        """The largest groups of a dimension: value, share, change.

        Args:
            dimension: model or project.
            metric: requests, tokens, cost or unpriced_requests.

        Raises:
            UnknownNameError: it is none of these.
        """
        for kind, name, known in (("dimension", dimension, BY), ("metric", metric, NAMES)):
            if name not in known:
                raise UnknownNameError(kind, name, known, "a ranking")
        title = f"Top {dimension}s" if metric == "requests" else f"{CATALOG[metric].title} by {dimension}"
        made = partial(views.ranking, title=title, dimension=dimension, metric=metric)
        return self._part("ranking", title, made, wide=False)

    def changes(self) -> Part:
        """What changed since the window before, in sentences."""
        return self._part("notes", "What changed", views.notes)

    def latency(self) -> Part:
        """Latency percentiles over time."""
        return self._part("chart", "Latency percentiles", views.latency, wide=False)

    def health(self) -> Part:
        """Errors, availability, latency and saturation against their limits."""
        return self._part("health", "Operational health", views.health, wide=False)

    def downloads(self, out_dir: str = "") -> Part:
        """Usage by hour, and by model and project, of the range shown first, as CSV and JSON.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        name, span = next(iter(self.spans.items()))
        hours = aggregate(span.events, span.window, HOURLY, every="hour", where=self._where)
        groups = aggregate(span.events, span.window, NAMES, by=BY, where=self._where)
        tables = {"usage_by_hour": answer(hours), "usage_by_model_project": answer(groups)}
        totals = {f"total_{metric}": span.now[metric] for metric in TOTALS}
        files = []
        for stem, found in tables.items():
            for fmt in _TYPES:
                text = export.format_table(found, fmt, window=span.window, summary=totals)
                files.append(attached(f"{stem}.{fmt}", text, found, out_dir))
        html = fragment("downloads", files=files)
        text = "\n".join(f"{file['name']}: {file['rows']:,} rows" for file in files)
        facts = [{key: file[key] for key in ("name", "rows", "columns")} for file in files]
        return Part("downloads", "", {name: {"html": html, "text": text}}, facts={"files": facts})

    @property
    def _where(self) -> Where:
        return {"project": self.project} if self.project else {}

    def _part(self, kind: str, title: str, made: Callable[[Span], View], *, wide: bool = True) -> Part:
        variants = {}
        for name, span in self.spans.items():
            view = self._nothing(kind, title) if span.empty else made(span)
            variants[name] = view | {
                "span": f"{views.stretch(span, span.window.start, span.window.end)} {self.ws.timezone}"
            }
        return Part(kind, title, variants, wide)

    def _nothing(self, kind: str, title: str) -> View:
        if kind == "tiles":
            return views.notice("No requests in this window", self._advice)
        return views.nothing(title) if title else {"html": "", "text": ""}

    @cached_property
    def _advice(self) -> list[str]:
        """What to do about a window without requests."""
        events = self.ws.store.events()
        at = events.timestamp
        first, last = events.aggregate(first=earliest(at), last=latest(at)).to_pyarrow().to_pylist()[0].values()
        if first is None:
            return ["The store has no events yet.", "Load some with hanzo-reports ingest, or try hanzo-reports demo."]
        of = f" of the project {self.project!r}" if self.project else ""
        reach = f"from {first:%d %b %Y %H:%M} to {last:%d %b %Y %H:%M} UTC"
        other = f"-p window={first:%Y-%m-%d}..{last:%Y-%m-%d}"
        return [
            f"The store's events reach {reach}; none{of} is in the window.",
            f"Choose another range, for example {other}, or load newer events.",
        ]

    def _kpis(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                key: format_decimal(value) if isinstance(value, Decimal) else value for key, value in span.now.items()
            }
            for name, span in self.spans.items()
        }


def attached(name: str, text: str, rows: pa.Table, out_dir: str) -> dict[str, Any]:
    """A file written where it is wanted, and the address by which the page offers it."""
    data = text.encode()
    if out_dir:
        write_bytes(Path(out_dir) / name, data)
    small = len(data) <= EMBEDDED or not out_dir
    href = f"data:{_TYPES[name.rpartition('.')[2]]};base64,{b64encode(data).decode()}" if small else name
    return {"name": name, "rows": rows.num_rows, "columns": rows.column_names, "href": href}
