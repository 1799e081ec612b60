"""The answer to a question: a table that is computed when it is first read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports.escapes import escape_cell
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis
    import pandas as pd
    import pyarrow as pa
    from rich.table import Table

    from hanzo_reports.window import Window

MAX_DISPLAY_ROWS = 40
_SUFFIXES = ("_previous", "_change")  # of a comparison's columns
_STYLE = "text-align:{};padding:2px 12px;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Result:
    """A question's answer; its rows are computed when they are first read, and only once.

    Args:
        table: the answer as an Ibis table, for further work.
        window: the window that the question is about.
        summarised: computes the summary.
        metric: the metric that `current`, `previous` and `contribution` measure, for movers.
    """

    table: ibis.Table
    window: Window
    summarised: Callable[[], Mapping[str, Any]]
    metric: str = ""

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """`total_requests`, `total_tokens`, `total_cost` and `unpriced_requests`, over all rows that match."""
        return self.summarised()

    @cached_property
    def _rows(self) -> pa.Table:
        return self.table.to_pyarrow()

    def to_pyarrow(self) -> pa.Table:
        """The rows as an Arrow table; money is decimal128(38, 9) or narrower."""
        return self._rows

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a DataFrame; money stays Decimal."""
        return self._rows.to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dictionaries; money is Decimal, NULL is None."""
        rows: list[dict[str, Any]] = self._rows.to_pylist()
        return rows

    def to_csv(self, path: str | Path | None = None, *, spreadsheet: bool = False) -> str | None:
        """The rows as CSV with exact money.

        Args:
            path: the file to write; None: the text is returned.
            spreadsheet: whether text that a spreadsheet would take for a formula gets an apostrophe in front.
        """
        return self._export("csv", path, spreadsheet=spreadsheet)

    def to_json(self, path: str | Path | None = None) -> str | None:
        """Rows, summary and window as JSON with exact money.

        Args:
            path: the file to write; None: the text is returned.
        """
        return self._export("json", path)

    def _export(self, fmt: str, path: str | Path | None, *, spreadsheet: bool = False) -> str | None:
        from hanzo_reports.export.tables import format_table, write_table

        options: dict[str, Any] = {"window": self.window, "summary": self.summary, "spreadsheet": spreadsheet}
        if path is None:
            return format_table(self._rows, fmt, **options)
        write_table(self.table, Path(path), fmt, **options)
        return None

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __repr__(self) -> str:
        from rich.console import Console

        console = Console(width=240, color_system=None)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip("\n")

    def __rich__(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, caption=Text(self._caption()), caption_justify="left", pad_edge=False)
        for name, unit in self._units().items():
            table.add_column(Text(escape_cell(name)), justify="right" if unit else "left", overflow="fold")
        for cells in self._display_rows():
            table.add_row(*map(Text, cells))  # a string would be read as Rich markup
        return table

    def _repr_html_(self) -> str:
        sides = ["right" if unit else "left" for unit in self._units().values()]

        def format_row(tag: str, cells: list[str]) -> str:
            pairs = zip(cells, sides, strict=True)
            inner = "".join(f'<{tag} style="{_STYLE.format(side)}">{escape(cell)}</{tag}>' for cell, side in pairs)
            return f"<tr>{inner}</tr>"

        head = format_row("th", [escape_cell(name) for name in self._units()])
        body = "".join(format_row("td", cells) for cells in self._display_rows())
        caption = f'<caption style="caption-side:bottom;text-align:left">{escape(self._caption())}</caption>'
        return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"

    def _display_rows(self) -> list[list[str]]:
        """The first rows as texts without a control or invisible character."""
        units, first = self._units(), self._rows.slice(0, MAX_DISPLAY_ROWS)
        return [[_format_cell(row[name], unit) for name, unit in units.items()] for row in first.to_pylist()]

    def _caption(self) -> str:
        from hanzo_reports.window import iso

        more = f"first {MAX_DISPLAY_ROWS} of {len(self):,} rows · " if len(self) > MAX_DISPLAY_ROWS else ""
        return f"{more}{iso(self.window.start)} to {iso(self.window.end)} · {self.window.timezone}"

    def _units(self) -> dict[str, Unit | None]:
        """Each column with the unit of its numbers; None for text."""
        return {name: self._unit(name) for name in self.table.columns}

    def _unit(self, column: str) -> Unit | None:
        from hanzo_reports.metrics.catalog import CATALOG

        if self.metric and column in {"current", "previous", "contribution"}:
            return CATALOG[self.metric].unit
        if column == "cost_share":
            return Unit.SHARE
        name = next((column.removesuffix(suffix) for suffix in _SUFFIXES if column.endswith(suffix)), column)
        return CATALOG[name].unit if name in CATALOG else None


def _format_cell(value: Any, unit: Unit | None) -> str:  # noqa: ANN401  # a cell of any type
    if unit is None:
        return "-" if value is None else escape_cell(str(value))
    return format_value(value, unit, "terminal")
