"""Parts of a report: each shows itself in Jupyter, and hands the runner a JSON twin that the page is built from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hanzo_reports.html.page import TEMPLATES, asset

if TYPE_CHECKING:
    from collections.abc import Mapping

MIME = "application/vnd.hanzo.part+json"


@dataclass(frozen=True)
class Part:
    """One part of a report, in as many variants as the report has ranges.

    Args:
        kind: ``tiles``, ``chart``, ``ranking``, ``grid``, ``notes``, ``health``, ``downloads``, ``takeaway`` or
            ``notice``.
        title: its heading; empty for none.
        variants: for each range the inner HTML (already escaped) and its plain text; the first one is shown by default.
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
        body = TEMPLATES.get_template("cell.html").render(part=self.twin, range=name, style=asset("part.css"))
        return {"text/html": body, "text/plain": repr(self), MIME: self.twin}

    def __repr__(self) -> str:
        text = next(iter(self.variants.values()))["text"]
        return f"{self.title}\n{text}" if self.title else text


def fragment(kind: str, **given: object) -> str:
    """The inner HTML of a part: the macro of that kind in panels.html, everything given to it escaped."""
    macro = getattr(TEMPLATES.get_template("panels.html").module, kind)
    return str(macro(**given))
