"""The files that a page offers: exact in the report's folder, safe for spreadsheets in the page."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from hanzo_reports.atomic_write import write_bytes
from hanzo_reports.export import tables as export
from hanzo_reports.html.panels import build_downloads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from hanzo_reports.html.components import Panel
    from hanzo_reports.window import Window

EMBED_LIMIT = 90_000  # bytes of a file that the page carries; for a larger one it links to the file beside the page
_MEDIA_TYPES = {"csv": "text/csv", "json": "application/json"}


def offer_files(
    tables: Mapping[str, pa.Table], window: Window, out_dir: str, summary: Mapping[str, Any] | None = None
) -> Panel:
    """Tables offered as CSV and JSON.

    The CSV that the page offers is neutralised against spreadsheet formulas; the file in the folder holds the exact
    values. A page that links to a large CSV whose neutralised form differs gets a file ``<name>.spreadsheet.csv``.

    Args:
        tables: by the files' name without suffix.
        window: what was looked at, for the JSON files.
        out_dir: the folder to write the files to; empty: the page alone has them.
        summary: totals for the JSON files.
    """
    return build_downloads([
        file
        for stem, table in tables.items()
        for fmt in _MEDIA_TYPES
        for file in _offer_file(stem, fmt, table, window, out_dir, summary)
    ])  # fmt: skip


def _offer_file(  # noqa: PLR0913, PLR0917  # one call, right above
    stem: str, fmt: str, table: pa.Table, window: Window, out_dir: str, summary: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    name = f"{stem}.{fmt}"
    exact = export.format_table(table, fmt, window=window, summary=summary).encode()
    safe = export.format_table(table, fmt, spreadsheet=True).encode() if fmt == "csv" else exact
    if out_dir:
        write_bytes(Path(out_dir) / name, exact)
    if len(safe) <= EMBED_LIMIT or not out_dir:
        href = f"data:{_MEDIA_TYPES[fmt]};base64,{b64encode(safe).decode()}"
    elif safe == exact:
        href = name
    else:
        name = href = f"{stem}.spreadsheet.{fmt}"
        write_bytes(Path(out_dir) / name, safe)
        yield {"name": f"{stem}.{fmt}", "rows": table.num_rows, "columns": table.column_names}
    yield {"name": name, "rows": table.num_rows, "columns": table.column_names, "href": Markup(href)}  # noqa: S704  # ours
