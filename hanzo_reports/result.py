"""The answer to a question: a table that is computed when it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis
    import pandas as pd
    import pyarrow as pa
    from rich.table import Table

    from hanzo_reports.window import Window

SHOWN = 40
_SIDES = ("_previous", "_change")
_STYLE = "text-align:{};padding:2px 12px;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Result:
    """A question's answer; nothing is computed before its rows are asked for, and then once.

    Args:
        table: the answer as an Ibis table, to be worked on further.
        window: what was looked at.
        summarised: computes the summary.
        metric: the metric that `current`, `previous` and `contribution` are of, for movers.
    """

    table: ibis.Table
    window: Window
    summarised: Callable[[], Mapping[str, Any]]
    metric: str = ""

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """`total_requests`, `total_tokens`, `total_cost` and `unpriced_requests`, over all rows that pass."""
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
        """The rows as dictionaries; money is Decimal, what is not known None."""
        rows: list[dict[str, Any]] = self._rows.to_pylist()
        return rows

    def to_csv(self, path: str | Path | None = None) -> str | None:
        """The rows as CSV, money printed exactly: into a file, or as a text where no path is given."""
        return self._exported("csv", path)

    def to_json(self, path: str | Path | None = None) -> str | None:
        """Rows, summary and window as JSON, money printed exactly: into a file, or as a text without a path."""
        return self._exported("json", path)

    def _exported(self, fmt: str, path: str | Path | None) -> str | None:
        from hanzo_reports.export import tables as export

        if path is None:
            return export.text(self._rows, fmt, window=self.window, summary=self.summary)
        export.write(self.table, Path(path), fmt, window=self.window, summary=self.summary)
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

        table = Table(box=box.SIMPLE_HEAD, caption=self._caption(), caption_justify="left", pad_edge=False)
        for name, unit in self._units().items():
            table.add_column(name, justify="right" if unit else "left", overflow="fold")
        for row in self._shown():
            table.add_row(*row)
        return table

    def _repr_html_(self) -> str:
        sides = ["right" if unit else "left" for unit in self._units().values()]
        head = "".join(
            f'<th style="{_STYLE.format(side)}">{escape(name)}</th>'
            for name, side in zip(self._units(), sides, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="{_STYLE.format(side)}">{escape(cell)}</td>' for cell, side in zip(row, sides, strict=True)
            )
            + "</tr>"
            for row in self._shown()
        )
        caption = f'<caption style="caption-side:bottom;text-align:left">{escape(self._caption())}</caption>'
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _shown(self) -> list[list[str]]:
        units = self._units()
        return [
            [_format_cell(row[name], unit) for name, unit in units.items()]
            for row in self._rows.slice(0, SHOWN).to_pylist()
        ]

    def _caption(self) -> str:
        from hanzo_reports.window import iso

        more = f"first {SHOWN} of {len(self):,} rows · " if len(self) > SHOWN else ""
        return f"{more}{iso(self.window.start)} to {iso(self.window.end)} · {self.window.timezone}"

    def _units(self) -> dict[str, Unit | None]:
        """Each column with the unit of its numbers; None: a word."""
        return {name: self._unit(name) for name in self.table.columns}

    def _unit(self, column: str) -> Unit | None:
        from hanzo_reports.metrics.catalog import CATALOG

        if self.metric and column in {"current", "previous", "contribution"}:
            return CATALOG[self.metric].unit
        if column == "cost_share":
            return Unit.SHARE
        name = next((column.removesuffix(side) for side in _SIDES if column.endswith(side)), column)
        return CATALOG[name].unit if name in CATALOG else None


def _format_cell(value: Any, unit: Unit | None) -> str:  # noqa: ANN401  # a cell holds what it holds
    if unit is None:
        return "-" if value is None else str(value)
    return format_value(value, unit, "terminal")
