"""The page: a report's parts as one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from hanzo_reports.html.templates import PAGE_TEMPLATES, read_asset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAD, FOOT = "takeaway", "downloads"  # the kinds that stand above and below the others
_OPTIONAL = ("events", "window", "run", "quality", "synthetic", "banner", "traceback")


def render_page(parts: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        parts: JSON twins, in the notebook's order. One with `variants` (range -> `html`, `text`, `period`) follows the
            range picker; one of kind ``text`` or ``heading`` has `text` or `title`, which are escaped here.
        meta: `title`, `project` (empty: all), `window`, `ranges` (the first is shown by default; absent: those of the
            parts), `generated` (ISO 8601 in UTC), `events` (their number, or None), `run`, `quality` (`text`, `tone`
            and `suites`, as `hanzo_reports.quality.verdict_history` gives them), `synthetic`, `banner` (why the run
            failed), `traceback`; all but `title` and `generated` may be absent.

    Returns:
        One HTML file; its policy forbids every request.
    """
    ranges = list(meta.get("ranges") or dict.fromkeys(name for part in parts for name in part.get("variants", ())))
    ranges = ranges or [str(meta.get("window") or "")]
    script = read_asset("page.js")
    return PAGE_TEMPLATES.get_template("page.html").render(
        title=meta["title"],
        scope=f"Project {meta['project']}" if meta.get("project") else "All projects",
        ranges=ranges,
        periods={name: _period_of(name, parts) for name in ranges},
        generated=f"{str(meta['generated'])[:19].replace('T', ' ')} UTC",
        first=[part for part in parts if part["kind"] == LEAD],
        body=[part for part in parts if part["kind"] not in {LEAD, FOOT}],
        last=[part for part in parts if part["kind"] == FOOT],
        style=read_asset("part.css"),
        page_style=read_asset("page.css"),
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        **{name: meta.get(name) for name in _OPTIONAL},
    )


def _period_of(range_name: str, parts: Sequence[Mapping[str, Any]]) -> str:
    """The period that a range covers, as the first part that says so words it; else the range's name."""
    variants = (part.get("variants", {}).get(range_name, {}) for part in parts)
    return next((variant["period"] for variant in variants if variant.get("period")), range_name)
