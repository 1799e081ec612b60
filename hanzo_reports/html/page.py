"""The page: a report's parts as one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
TEMPLATES = Environment(
    loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
LEAD, FOOT = "takeaway", "downloads"  # the kinds that stand above and below the others


@cache
def asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (HERE / name).read_text(encoding="utf-8").strip()


def render(parts: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        parts: JSON twins, in the notebook's order. One with `variants` (range -> `html`, `text`, `span`) follows the
            range picker; one of kind ``text`` or ``heading`` has `text` or `title`, which are escaped here.
        meta: `title`, `project` (empty: all), `window`, `ranges` (the first is shown by default; absent: those of the
            parts), `generated` (ISO 8601 in UTC), `events` (how many, or None), `run`, `quality` (`text`, `tone` and
            `suites`, as `hanzo_reports.quality.verdict_history.build_badge` gives them), `synthetic`,
            `banner` (why
            the run failed), `traceback`; all but `title` and `generated` may be absent.

    Returns:
        One HTML file; its policy forbids every request.
    """
    ranges = list(meta.get("ranges") or dict.fromkeys(name for part in parts for name in part.get("variants", ())))
    ranges = ranges or [str(meta.get("window") or "")]
    spans = {
        name: next((found for part in parts if (found := part.get("variants", {}).get(name, {}).get("span"))), name)
        for name in ranges
    }
    script = asset("page.js")
    page = TEMPLATES.get_template("page.html")
    return page.render(
        title=meta["title"],
        scope=f"Project {meta['project']}" if meta.get("project") else "All projects",
        ranges=ranges,
        spans=spans,
        generated=f"{str(meta['generated'])[:19].replace('T', ' ')} UTC",
        first=[part for part in parts if part["kind"] == LEAD],
        body=[part for part in parts if part["kind"] not in {LEAD, FOOT}],
        last=[part for part in parts if part["kind"] == FOOT],
        style=asset("part.css"),
        page_style=asset("page.css"),
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        **{name: meta.get(name) for name in ("events", "window", "run", "quality", "synthetic", "banner", "traceback")},
    )
