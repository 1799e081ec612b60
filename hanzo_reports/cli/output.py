"""What a command prints: the answer on stdout, everything else on stderr, and nothing that a terminal would obey."""

from __future__ import annotations

import csv
import io
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hanzo_reports.escapes import escape_cell, escape_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hanzo_reports.result import Result

PROGRESS_DELAY = 1.0  # seconds before a progress bar appears
PIPE_WIDTH = 240  # columns of a table that goes into a file or a pipe


def print_note(text: str) -> None:
    """Prints one line on stderr."""
    sys.stderr.write(f"{escape_terminal(text)}\n")


def print_error(error: object) -> None:
    """Prints an error in one line on stderr."""
    print_note(f"hanzo-reports: {error}")


def print_usage_error(error: Any) -> int:  # noqa: ANN401  # an error of Typer, whose class is private
    """Prints an error of Typer on stderr, as Typer words it, and returns its exit code."""
    message = io.StringIO()
    error.show(file=message)
    sys.stderr.write(escape_terminal(message.getvalue(), keep_line_breaks=True))
    return int(error.exit_code)


def print_traceback(error: BaseException) -> None:
    """Prints the traceback of an unexpected error on stderr."""
    import traceback

    text = "".join(traceback.format_exception(error))
    sys.stderr.write(escape_terminal(text, keep_line_breaks=True))


def print_text(text: str) -> None:
    """Prints text on stdout: exactly into a file or a pipe, escaped on a terminal."""
    sys.stdout.write(escape_terminal(text, keep_line_breaks=True) if sys.stdout.isatty() else text)
    if not text.endswith("\n"):
        sys.stdout.write("\n")


def print_json(text: str) -> None:
    """Prints a JSON document on stdout; on a terminal, what it would obey is written as JSON escapes."""
    is_safe = not sys.stdout.isatty() or escape_terminal(text, keep_line_breaks=True) == text
    print_text(text if is_safe else re.sub(r"[^\n]", _escape_json, text))


def print_csv(text: str) -> None:
    """Prints a CSV document on stdout; on a terminal, each cell is escaped."""
    if sys.stdout.isatty():
        lines = io.StringIO()
        rows = csv.reader(io.StringIO(text, newline=""))
        csv.writer(lines, lineterminator="\n").writerows([escape_terminal(cell) for cell in row] for row in rows)
        text = lines.getvalue()
    print_text(text)


def print_result(result: Result, fmt: str) -> None:
    """Prints the answer to a question."""
    if fmt == "json":
        print_json(str(result.to_json()))
    elif fmt == "csv":
        print_csv(str(result.to_csv()))
    else:
        _draw(result)


def print_rows(rows: Sequence[Mapping[str, Any]], fmt: str, columns: Sequence[str]) -> None:
    """Prints rows that are not metrics.

    Args:
        rows: one dictionary per row; a list in a cell of a table has a line for each item.
        fmt: table, json or csv.
        columns: the columns of a table or of CSV.
    """
    if fmt == "json":
        import json

        print_json(json.dumps(rows, indent=2, default=str))
    elif fmt == "csv":
        lines = io.StringIO()
        writer = csv.DictWriter(lines, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        print_csv(lines.getvalue())
    else:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(_format_cell(row[name]), overflow="fold") for name in columns))
        _draw(table)


def print_money_rows(rows: Sequence[Mapping[str, Any]], fmt: str) -> None:
    """Prints rows with amounts: exact in JSON (a number with its own digits) and CSV, rounded in a table."""
    from decimal import Decimal

    from hanzo_reports.export.tables import format_json_row
    from hanzo_reports.formats import format_decimal, format_value
    from hanzo_reports.units import Unit

    columns = tuple(rows[0]) if rows else ()
    if fmt == "json":
        lines = ",\n ".join(format_json_row(dict(row)) for row in rows)
        print_json(f"[{lines}]")
    elif fmt == "csv":
        exact = [{n: format_decimal(v) if isinstance(v, Decimal) else v for n, v in row.items()} for row in rows]
        print_rows(exact, fmt, columns)
    elif rows:

        def cell(value: object) -> object:
            if isinstance(value, Decimal):
                return format_value(value, Unit.USD, "terminal")
            return f"{value:.3g}" if isinstance(value, float) else value

        print_rows([{name: cell(value) for name, value in row.items()} for row in rows], fmt, columns)


@contextmanager
def show_progress(title: str) -> Iterator[Callable[[float], None]]:
    """Shows a progress bar on a terminal, after a second; yields a function that takes the finished share, 0 to 1."""
    from tqdm import tqdm

    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}"
    with tqdm(
        desc=title, total=1.0, bar_format=form, delay=PROGRESS_DELAY, leave=False, disable=None, file=sys.stderr
    ) as bar:
        yield lambda share: bar.update(share - bar.n)


def _format_cell(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(escape_cell(str(item)) for item in value) or "-"
    return "-" if value is None else escape_cell(str(value))


def _escape_json(character: re.Match[str]) -> str:
    safe = escape_terminal(character[0])
    return safe if safe == character[0] else "".join(f"\\u{unit:04x}" for unit in _utf16_units(character[0]))


def _utf16_units(character: str) -> list[int]:
    octets = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(octets[n : n + 2]) for n in range(0, len(octets), 2)]


def _draw(renderable: object) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(renderable)
