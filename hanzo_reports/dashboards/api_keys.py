"""Which keys are odd, new or silent: the panels of the notebook api_key_audit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from hanzo_reports.dashboards.base import Dashboard
from hanzo_reports.dashboards.tables import Row, build_table, fetch_rows
from hanzo_reports.formats import UNKNOWN, describe_change, format_short
from hanzo_reports.html.panels import Cell, Note, Tile, build_grid, build_notes
from hanzo_reports.html.text import show_name
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Unit
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hanzo_reports.html.components import Part

METRICS = ("requests", "cost", "error_rate", "rate_limited_rate", "active_users")
LOOKBACK = timedelta(days=90)
GROWTH_FACTOR, MIN_REQUESTS, MAX_RATE_LIMITED = 3.0, 100, 0.05  # a key is odd from here on, if it has enough requests
FLAGS = {
    "new": "first seen in this window", "silent": "seen before, but not in this window",
    "grown": "three times the requests of the previous period", "failing": "error rate over the threshold",
    "limited": "over 5% of its requests were rate limited", "unnamed": "requests without a key",
}  # fmt: skip
ODD = {"grown", "failing", "limited"}
MAX_KEYS, MAX_NOTES = 25, 10


@dataclass(frozen=True)
class ApiKeyDashboard(Dashboard):
    """How API keys behave in a window; arguments as `Dashboard`."""

    @cached_property
    def key_rows(self) -> list[Row]:
        """Every key of the last 90 days: metrics of both windows, first and last seen, flags; flagged ones first."""
        compared = {row["api_key"]: row for row in self.compare(METRICS, ["api_key"])}
        absent: Row = {f"{name}{suffix}": None for name in METRICS for suffix in ("", "_previous", "_change")}
        absent |= {"requests": 0, "requests_previous": 0}
        rows = []
        for sighting in self._query_sightings():
            row = absent | compared.get(sighting["api_key"], {}) | sighting
            rows.append(row | {"flags": self._flag(row)})
        return sorted(rows, key=lambda row: (-len(row["flags"]), -(row["requests"] or 0), str(row["api_key"])))

    def tiles(self) -> Part:
        """The number of keys that are active, new, silent and odd."""
        if not self.key_rows:
            return self.show(self.build_no_requests())
        totals = self.compare(("active_keys", "requests"))[0]
        counts = Counter(flag for row in self.key_rows for flag in row["flags"])
        odd = sum(1 for row in self.key_rows if ODD & set(row["flags"]))
        tiles = [
            *self.metric_tiles(["active_keys"], totals, self.query_series(("active_keys",))),
            _count_tile("new", "New keys", counts["new"], FLAGS["new"]),
            _count_tile("silent", "Silent keys", counts["silent"], FLAGS["silent"]),
            _count_tile("odd", "Odd keys", odd, "grown, failing or rate limited"),
        ]
        figures = {"active_keys": totals["active_keys"], "new": counts["new"], "silent": counts["silent"], "odd": odd}
        return self.show_tiles(tiles, figures | {"requests": totals["requests"]})

    def keys(self) -> Part:
        """Every key, those with a flag first."""
        hidden = len(self.key_rows) - MAX_KEYS
        subtitle = f"Flagged keys first{f'; {hidden} more are in the download' if hidden > 0 else ''}"
        columns = ("Key", "Requests", "Cost", "Errors", "First seen", "Last seen", "Audit")
        cells = [self._key_cells(row) for row in self.key_rows[:MAX_KEYS]]
        return self.show(build_grid("Keys", subtitle, columns, cells))

    def findings(self) -> Part:
        """What is odd about which key, in sentences."""
        findings = [note for row in self.key_rows for note in self._describe_flags(row)]
        notes, hidden = findings[:MAX_NOTES], len(findings) - MAX_NOTES
        if hidden > 0:
            notes.append(Note(f"{hidden} more", " are in the download."))
        notes = notes or [Note("No key is odd, new or silent", ".", "good")]
        subtitle = "Compared with the previous period and the last 90 days"
        return self.show(build_notes("What to look at", subtitle, notes, wide=True))

    def downloads(self, out_dir: str = "") -> Part:
        """Every key with its metrics, first and last seen, and flags, as CSV and JSON.

        Args:
            out_dir: the folder to write the files to; empty: the page alone has them.
        """
        rows = [
            {"api_key": row["api_key"], "projects": row["projects"], **{name: row[name] for name in METRICS},
             "requests_previous": row["requests_previous"], "first_seen": iso(row["first_seen"]),
             "last_seen": iso(row["last_seen"]), "flags": " ".join(row["flags"])}
            for row in self.key_rows
        ]  # fmt: skip
        return self.offer_files({"keys": build_table(rows)}, out_dir)

    def takeaway(self) -> Part:
        """The audit in a sentence."""
        counts = Counter(flag for row in self.key_rows for flag in row["flags"])
        flagged = ", ".join(f"{count} {flag}" for flag, count in counts.most_common())
        active = sum(1 for row in self.key_rows if row["requests"] and row["api_key"])
        verb = "key was active" if active == 1 else "keys were active"
        return self.show_takeaway(f"{active} {verb}; {f'to look at: {flagged}' if flagged else 'none of them is odd'}.")

    def _query_sightings(self) -> list[Row]:
        """Each key of the last 90 days with its first and last instant and its projects."""
        start = min(self.previous.start, self.window.end - LOOKBACK)
        events = self.ws.store.events(start, self.window.end)
        events = events.filter((events.timestamp >= start) & (events.timestamp < self.window.end))
        if self.project:
            events = events.filter(events.project == self.project)
        grouped = events.aggregate(first=events.timestamp.min(), last=events.timestamp.max(), by=["api_key", "project"])
        sightings: dict[str | None, Row] = {}
        for row in fetch_rows(grouped.order_by("project")):
            first = {"api_key": row["api_key"], "first_seen": row["first"], "last_seen": row["last"], "projects": []}
            sighting = sightings.setdefault(row["api_key"], first)
            sighting["first_seen"] = min(sighting["first_seen"], row["first"])
            sighting["last_seen"] = max(sighting["last_seen"], row["last"])
            sighting["projects"].append(row["project"])
        return [sighting | {"projects": ", ".join(sighting["projects"])} for sighting in sightings.values()]

    def _flag(self, row: Row) -> list[str]:
        current, previous = row["requests"] or 0, row["requests_previous"] or 0
        if row["api_key"] is None:
            return ["unnamed"] if current else []
        enough = current >= MIN_REQUESTS
        comparable = previous > 0 and self._first_event <= self.previous.start
        flags = {
            "new": row["first_seen"] >= self.window.start and self._first_event < self.window.start,
            "silent": current == 0,
            "grown": enough and comparable and current >= GROWTH_FACTOR * previous,
            "failing": enough and bool(CATALOG["error_rate"].breaches_threshold(row["error_rate"])),
            "limited": enough and (row["rate_limited_rate"] or 0) > MAX_RATE_LIMITED,
        }
        return [flag for flag, applies in flags.items() if applies]

    @cached_property
    def _first_event(self) -> datetime:
        """The store's first event: nothing before it can show that a key is new, or by how much it has grown."""
        return self.ws.window("all").start

    def _key_cells(self, row: Row) -> list[Cell]:
        change = describe_change(row["requests"], row["requests_previous"], CATALOG["requests"].direction)
        tone = "bad" if {"failing", "limited"} & set(row["flags"]) else "even"
        return [
            Cell(show_name(row["api_key"] or "no key"), show_name(row["projects"])),
            Cell(format_short(row["requests"], Unit.REQUESTS), change.text),
            Cell(format_short(row["cost"], Unit.USD)),
            Cell(format_short(row["error_rate"], Unit.SHARE)),
            Cell(self._format_instant(row["first_seen"])), Cell(self._format_instant(row["last_seen"])),
            Cell(", ".join(row["flags"]) or "ok", pill=tone if row["flags"] else "good"),
        ]  # fmt: skip

    def _describe_flags(self, row: Row) -> Iterator[Note]:
        name, flags = show_name(row["api_key"] or "Requests without a key"), row["flags"]
        if "grown" in flags:
            previous, current = (
                format_short(row[column], Unit.REQUESTS) for column in ("requests_previous", "requests")
            )
            yield Note(name, f" sent {current} requests, up from {previous}.", "bad")
        if "failing" in flags:
            yield Note(name, f" fails in {format_short(row['error_rate'], Unit.SHARE)} of its requests.", "bad")
        if "limited" in flags:
            share = format_short(row["rate_limited_rate"], Unit.SHARE)
            yield Note(name, f" is rate limited in {share} of its requests.", "bad")
        if "new" in flags:
            first = self._format_instant(row["first_seen"])
            yield Note(name, f" is new: first seen on {first}, in {show_name(row['projects'])}.")
        if "silent" in flags:
            last = self._format_instant(row["last_seen"])
            yield Note(name, f" has been silent since {last}. Revoke it if it is no longer used.")
        if "unnamed" in flags:
            yield Note(name, f": {row['requests']:,}. Find out who sends them.", "bad")

    def _format_instant(self, instant: datetime | None) -> str:
        if instant is None:
            return UNKNOWN
        local = self.to_local(instant)
        return f"{local.day} {local:%b %H:%M}"


def _count_tile(name: str, title: str, count: int, note: str) -> Tile:
    return Tile(name, title, f"{count:,}", note, meaning=note)
