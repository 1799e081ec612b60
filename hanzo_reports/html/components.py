"""Parts of a report: each shows itself in Jupyter, and gives the runner a JSON twin that the page is built from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hanzo_reports.html.templates import PAGE_TEMPLATES, PANEL_TEMPLATES, read_asset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIME = "application/vnd.hanzo.part+json"


@dataclass(frozen=True)
class Panel:
    """One part of a report for one window, before it is known which ranges the report has.

    Args:
        kind: as for `Part`.
        title: its heading; empty for none.
        html: its inner HTML, already escaped.
        text: the same as plain text.
        wide: whether it takes the page's full width.
        facts: as for `Part`.
    """

    kind: str
    title: str
    html: str
    text: str
    wide: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One part of a report, in as many variants as the report has ranges.

    Args:
        kind: ``tiles``, ``chart``, ``ranking``, ``grid``, ``notes``, ``health``, ``downloads``, ``takeaway`` or
            ``notice``.
        title: its heading; empty for none.
        variants: for each range its inner `html` (already escaped), its plain `text` and, in words, the `period`
            that it covers; the first one is shown by default.
        wide: whether it takes the page's full width.
        facts: raw numbers for whoever reads the twin, for example the manifest.
    """

    kind: str
    title: str
    variants: Mapping[str, Mapping[str, str]]
    wide: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def twin(self) -> dict[str, Any]:
        """All that the page needs, as JSON."""
        variants = {name: dict(variant) for name, variant in self.variants.items()}
        width = "full" if self.wide else "half"
        return {"kind": self.kind, "title": self.title, "width": width, "variants": variants, **self.facts}

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        name = next(iter(self.variants))
        body = PAGE_TEMPLATES.get_template("cell.html").render(part=self.twin, range=name, style=read_asset("part.css"))
        return {"text/html": body, "text/plain": repr(self), MIME: self.twin}

    def __repr__(self) -> str:
        text = next(iter(self.variants.values()))["text"]
        return f"{self.title}\n{text}" if self.title else text


def join_variants(parts: Sequence[Part]) -> Part:
    """One part with the variants and the key figures of several, which show the same for different ranges.

    Args:
        parts: at least one; kind, title, width and facts other than `kpis` are those of the first.
    """
    first = parts[0]
    kpis = {name: figures for part in parts for name, figures in part.facts.get("kpis", {}).items()}
    facts = {**first.facts, "kpis": kpis} if kpis else first.facts
    variants = {name: variant for part in parts for name, variant in part.variants.items()}
    return Part(first.kind, first.title, variants, first.wide, facts)


def render_fragment(kind: str, **values: object) -> str:
    """The inner HTML of a part: the macro of that kind in panels.html; all values are escaped.

    Args:
        kind: the macro's name.
        values: the macro's arguments.
    """
    macro = getattr(PANEL_TEMPLATES.get_template("panels.html").module, kind)
    return str(macro(**values))
