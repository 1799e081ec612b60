"""The templates, style sheets and scripts of this folder; every text that enters a template is made visible."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hanzo_reports.html.text import MAX_TEXT_LENGTH, reveal_hidden, shorten

FOLDER = Path(__file__).parent


@cache
def read_asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8").strip()


def _show_page_text(value: object) -> object:
    """Write out the hidden characters of a text of the page, such as a traceback, and keep its line breaks."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else reveal_hidden(value, keep_lines=True)


def _show_panel_text(value: object) -> object:
    """Write out the hidden characters of a text of a panel, and bound its length."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return reveal_hidden(shorten(value, MAX_TEXT_LENGTH))


PAGE_TEMPLATES, PANEL_TEMPLATES = (
    Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=show,
    )
    for show in (_show_page_text, _show_panel_text)
)  # fmt: skip
