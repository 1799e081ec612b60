"""What an executed notebook says: its parts, and where and why it stopped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbformat import NotebookNode

MIME = "application/vnd.hanzo.part+json"
SKIPPED = "skip-execution"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LINE = re.compile(r"(?:Cell In\[\d+\], line |<cell line: |File <ipython-input[^>]*>:)(\d+)")


@dataclass(frozen=True)
class Failure:
    """Why a notebook did not reach its end.

    Args:
        cell: the number of the code cell, counted from 1, as in ``In [1]``; None: before the first one.
        line: the line in it; None: not known.
        code: that line's text.
        error: kind and message.
        traceback: as Python printed it, without colours; empty: there is none.
    """

    cell: int | None
    line: int | None
    code: str
    error: str
    traceback: str

    def __str__(self) -> str:
        if self.cell is None:
            return self.error
        line = "" if self.line is None else f", line {self.line}"
        code = f" `{self.code}`" if self.code else ""
        return f"cell {self.cell}{line}{code}: {self.error}"

    def as_json(self) -> dict[str, Any]:
        """The failure as the manifest carries it."""
        return {"cell": self.cell, "line": self.line, "code": self.code, "error": self.error}


def parts(notebook: NotebookNode) -> list[dict[str, Any]]:
    """The parts that cells gave out, in order; the text of any other result is a part of its own."""
    return [
        dict(data[MIME]) if MIME in data else {"kind": "text", "title": "", "width": "full", "text": data["text/plain"]}
        for cell in _code(notebook)
        for output in cell.outputs
        if (data := output.get("data", {})) and (MIME in data or "text/plain" in data)
    ]


def failure(notebook: NotebookNode, stopped: Exception | None) -> Failure | None:
    """Where and why it stopped, or None: each cell ran, and to its end.

    Args:
        notebook: executed by papermill.
        stopped: what kept its execution from going on, other than an exception in a cell.
    """
    cells = list(_code(notebook))
    number = sum(1 for cell in cells if cell.metadata.papermill.get("start_time"))  # cells start in order
    if stopped is not None:
        error = (
            "the kernel died; a cell killed it, or memory ran out" if number else f"the kernel did not start: {stopped}"
        )
        return _at(cells, number, error, "") if number else Failure(None, None, "", error, "")
    for position, cell in enumerate(cells, 1):
        if cell.metadata.papermill.get("exception"):
            found = next((output for output in cell.outputs if output.output_type == "error"), None)
            return _raised(cells, position, found or {})
    for position, cell in enumerate(cells, 1):
        if cell.execution_count is None and cell.source.strip() and SKIPPED not in cell.metadata.get("tags", ()):
            return _at(cells, position, "it never ran", "")
    return None


def _raised(cells: list[NotebookNode], position: int, output: Mapping[str, Any]) -> Failure:
    name, value = output.get("ename", "the cell failed"), output.get("evalue", "")
    if name == "SystemExit":
        value = f"{value or 0}, but a report has to run to its end"
    traceback = _ANSI.sub("", "\n".join(output.get("traceback", ())))
    return _at(cells, position, f"{name}: {value}" if value else name, traceback)


def _at(cells: list[NotebookNode], position: int, error: str, traceback: str) -> Failure:
    lines = cells[position - 1].source.splitlines()
    found = _LINE.search(traceback)
    line = int(found[1]) if found and 0 < int(found[1]) <= len(lines) else 1 if len(lines) == 1 else None
    return Failure(position, line, lines[line - 1].strip() if line else "", error, traceback)


def _code(notebook: NotebookNode) -> Iterator[NotebookNode]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")
