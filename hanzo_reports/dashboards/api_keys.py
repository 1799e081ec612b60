"""Which keys are odd, new or silent: the parts of the notebook api_key_audit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from hanzo_reports.dashboards.base import Desk, Row, cell, table
from hanzo_reports.dashboards.overview_panels import sparkline
from hanzo_reports.dashboards.overview_sums import answer
from hanzo_reports.formats import UNKNOWN, Change, describe_change, format_short
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Unit
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from hanzo_reports.html.components import Part

METRICS = ("requests", "cost", "error_rate", "rate_limited_rate", "active_users")
LOOKED_BACK = timedelta(days=90)
GROWN, FEW, LIMITED = 3.0, 100, 0.05
FLAGS = {
    "new": "first seen in this window", "silent": "asked before, not in this window",
    "grown": "three times the requests of the window before", "failing": "errors past the limit",
    "limited": "over 5 % of its requests were rate limited", "unnamed": "requests without a key",
}  # fmt: skip
SHOWN = 25


@dataclass(frozen=True)
class KeyBoard(Desk):
    """How API keys behave in a window; arguments as `Desk`."""

    @cached_property
    def keys_found(self) -> list[Row]:
        """Every key of the last 90 days: metrics of both windows, first and last seen, flags; flagged ones first."""
        seen = self._seen()
        rows = {row["api_key"]: row for row in self.compared(METRICS, ["api_key"])}
        absent: Row = {f"{name}{side}": None for name in METRICS for side in ("", "_previous", "_change")}
        absent |= {"requests": 0, "requests_previous": 0}
        found = []
        for key, (first, last, projects) in seen.items():
            row = (
                absent
                | rows.get(key, {})
                | {"api_key": key, "first_seen": first, "last_seen": last, "projects": projects}
            )
            found.append(row | {"flags": self._flags(row)})
        return sorted(found, key=lambda row: (-len(row["flags"]), -(row["requests"] or 0), str(row["api_key"])))

    def headline(self) -> Part:
        """How many keys ask, are new, are silent, are odd."""
        if not self.keys_found:
            return self.nothing("No requests in this window")
        whole = self.compared(("active_keys", "requests"))[0]
        counts = Counter(flag for row in self.keys_found for flag in row["flags"])
        odd = sum(1 for row in self.keys_found if {"grown", "failing", "limited"} & set(row["flags"]))
        rows = self.asked(("active_keys",), every=self.grain).to_pylist()
        course = [rows[place]["active_keys"] for place, _ in self.whole_buckets]
        made = [
            self.tile("active_keys", whole, course),
            _tile("new", "New keys", counts["new"], FLAGS["new"]),
            _tile("silent", "Silent keys", counts["silent"], FLAGS["silent"]),
            _tile("odd", "Odd keys", odd, "grown, failing or rate limited"),
        ]
        figures = {"active_keys": whole["active_keys"], "new": counts["new"], "silent": counts["silent"], "odd": odd}
        return self.tiles(made, figures | {"requests": whole["requests"]})

    def keys(self) -> Part:
        """Every key, those with a flag first."""
        cells = []
        for row in self.keys_found[:SHOWN]:
            changed = describe_change(row["requests"], row["requests_previous"], CATALOG["requests"].direction)
            worst = "bad" if {"failing", "limited"} & set(row["flags"]) else "even"
            cells.append([
                cell(row["api_key"] or "no key", row["projects"]),
                cell(format_short(row["requests"], Unit.REQUESTS), changed.text),
                cell(format_short(row["cost"], Unit.USD)), cell(format_short(row["error_rate"], Unit.SHARE)),
                cell(self._when(row["first_seen"])), cell(self._when(row["last_seen"])),
                cell(", ".join(row["flags"]) or "ok", pill=worst if row["flags"] else "good"),
            ])  # fmt: skip
        rest = len(self.keys_found) - SHOWN
        subtitle = f"Flagged ones first{f'; {rest} more are in the download' if rest > 0 else ''}"
        columns = ("Key", "Requests", "Cost", "Errors", "First seen", "Last seen", "Audit")
        return self.grid("Keys", subtitle, columns, cells)

    def odd(self) -> Part:
        """What is odd about which key, in sentences."""
        found = []
        for row in self.keys_found:
            name = row["api_key"] or "Requests without a key"
            if "grown" in row["flags"]:
                before, now = (format_short(row[side], Unit.REQUESTS) for side in ("requests_previous", "requests"))
                found.append((name, f" asked {now} times after {before}.", "bad"))
            if "failing" in row["flags"]:
                found.append((name, f" fails in {format_short(row['error_rate'], Unit.SHARE)} of its requests.", "bad"))
            if "limited" in row["flags"]:
                found.append(
                    (name, f" is rate limited in {format_short(row['rate_limited_rate'], Unit.SHARE)}.", "bad")
                )
            if "new" in row["flags"]:
                found.append((name, f" is new, since {self._when(row['first_seen'])}, in {row['projects']}.", "even"))
            if "silent" in row["flags"]:
                found.append(
                    (name, f" has been silent since {self._when(row['last_seen'])}; should it be revoked?", "even")
                )
            if "unnamed" in row["flags"]:
                found.append((name, f": {row['requests']:,}; whose are they?", "bad"))
        more = len(found) - 10
        shown = found[:10] + ([(f"{more} more", " are in the download.", "even")] if more > 0 else [])
        shown = shown or [("No key is odd, new or silent", ".", "good")]
        return self.notes("What to look at", "Against the window before, and the last 90 days", shown, wide=True)

    def downloads(self, out_dir: str = "") -> Part:
        """Every key with its metrics, first and last seen, and flags, as CSV and JSON."""
        rows = [
            {"api_key": row["api_key"], "projects": row["projects"], **{name: row[name] for name in METRICS},
             "requests_previous": row["requests_previous"], "first_seen": iso(row["first_seen"]),
             "last_seen": iso(row["last_seen"]), "flags": " ".join(row["flags"])}
            for row in self.keys_found
        ]  # fmt: skip
        return self.files({"keys": table(rows)}, out_dir)

    def takeaway(self) -> Part:
        """The audit in a sentence."""
        flagged = [row for row in self.keys_found if row["flags"]]
        counts = Counter(flag for row in flagged for flag in row["flags"])
        said = ", ".join(f"{count} {flag}" for flag, count in counts.most_common())
        asking = sum(1 for row in self.keys_found if row["requests"] and row["api_key"])
        return self.told(f"{asking} keys asked; {f'to look at: {said}' if said else 'none of them is odd'}.")

    def _seen(self) -> dict[str | None, tuple[datetime, datetime, str]]:
        """Each key's first and last instant in the last 90 days, and its projects."""
        start = min(self.span.previous().start, self.span.end - LOOKED_BACK)
        events = self.ws.store.events(start, self.span.end)
        mine = events.filter((events.timestamp >= start) & (events.timestamp < self.span.end))
        if self.project:
            mine = mine.filter(mine.project == self.project)
        by_project = mine.aggregate(first=mine.timestamp.min(), last=mine.timestamp.max(), by=["api_key", "project"])
        found: dict[str | None, tuple[datetime, datetime, list[str]]] = {}
        for row in answer(by_project.order_by("project")).to_pylist():
            first, last, projects = found.get(row["api_key"], (row["first"], row["last"], []))
            pair = (min(first, row["first"]), max(last, row["last"]), [*projects, row["project"]])
            found[row["api_key"]] = pair
        return {key: (first, last, ", ".join(names)) for key, (first, last, names) in found.items()}

    def _flags(self, row: Row) -> list[str]:
        now, before = row["requests"] or 0, row["requests_previous"] or 0
        if row["api_key"] is None:
            return ["unnamed"] if now else []
        enough = now >= FEW
        tests = {
            "new": row["first_seen"] >= self.span.start and self._began < self.span.start,
            "silent": now == 0,
            "grown": enough and before > 0 and now >= GROWN * before and self._began <= self.span.previous().start,
            "failing": enough and bool(CATALOG["error_rate"].breaches_threshold(row["error_rate"])),
            "limited": enough and (row["rate_limited_rate"] or 0) > LIMITED,
        }
        return [flag for flag, holds in tests.items() if holds]

    @cached_property
    def _began(self) -> datetime:
        """The store's first event: what came before it can neither call a key new nor say how much it grew."""
        return self.ws.window("all").start

    def _when(self, instant: datetime) -> str:
        local = self.local(instant)
        return f"{local.day} {local:%b %H:%M}" if instant else UNKNOWN


def _tile(name: str, title: str, value: int, note: str) -> Row:
    return {
        "name": name, "title": title, "meaning": note, "value": f"{value:,}", "exact": f"{value:,}",
        "change": Change("", "", "even"), "note": note, "warning": "", "line": sparkline([]),
    }  # fmt: skip
