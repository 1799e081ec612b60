"""What an executed notebook produced: its parts, and where and why it failed."""

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
    """Why a notebook did not run to its end.

    Args:
        cell: the number of the code cell, counted from 1, as in ``In [1]``; None: before the first one.
        line: the line in it; None: not known.
        code: that line's text.
        error: kind and message.
        traceback: as Python printed it, without colours; may be empty.
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


def collect_parts(notebook: NotebookNode) -> list[dict[str, Any]]:
    """The parts that cells displayed, in order; any other result becomes a text part."""
    return [
        dict(data[MIME]) if MIME in data else {"kind": "text", "title": "", "width": "full", "text": data["text/plain"]}
        for cell in _code(notebook)
        for output in cell.outputs
        if (data := output.get("data", {})) and (MIME in data or "text/plain" in data)
    ]


def find_failure(notebook: NotebookNode, interruption: Exception | None) -> Failure | None:
    """Finds where and why a notebook failed; None if every cell ran to its end.

    Args:
        notebook: executed by papermill.
        interruption: what ended its execution, other than an exception in a cell.
    """
    cells = list(_code(notebook))
    number = sum(1 for cell in cells if cell.metadata.papermill.get("start_time"))  # cells start in order
    if interruption is not None:
        if not number:
            return Failure(None, None, "", f"the kernel did not start: {interruption}", "")
        return _at(cells, number, "the kernel died; a cell killed it, or memory ran out", "")
    for position, cell in enumerate(cells, 1):
        if cell.metadata.papermill.get("exception"):
            output = next((each for each in cell.outputs if each.output_type == "error"), None)
            return _raised(cells, position, output or {})
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
    match = _LINE.search(traceback)
    line = int(match[1]) if match and 0 < int(match[1]) <= len(lines) else 1 if len(lines) == 1 else None
    return Failure(position, line, lines[line - 1].strip() if line else "", error, traceback)


def _code(notebook: NotebookNode) -> Iterator[NotebookNode]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")
