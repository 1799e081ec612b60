"""The first line of a CSV file: its delimiter and the names of its columns."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING

from hanzo_reports.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DELIMITERS = ",;\t|"


def parse_header(head: str, path: Path) -> tuple[str, ...]:
    """Parse the delimiter of a CSV file, and the names of its columns.

    Args:
        head: the text that the file begins with.
        path: the file, for errors.

    Raises:
        UnreadableError: it does not begin with a header.
    """
    text = head.lstrip("\r\n")
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    try:
        columns = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    except csv.Error as error:
        msg = f"{path}: its first line is not a CSV header; {error}"
        raise UnreadableError(msg) from error
    return (delimiter, *(column.strip() for column in columns))


def hash_header(header: Sequence[str]) -> str:
    """A short hash of what `parse_header` returns, by which a header is recognised."""
    return hashlib.sha256("\x1f".join(header).encode()).hexdigest()[:8]
