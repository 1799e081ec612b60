"""Text of logs and errors made safe for a message: visible, on one line, and of a limited length."""

from __future__ import annotations

import json
from typing import Any

from hanzo_reports.escapes import escape_terminal

MAX_NAME_LENGTH = 200
UNKNOWN = "unknown"  # what a message shows for NULL


def clean_text(text: str, max_length: int = MAX_NAME_LENGTH) -> str:
    r"""A text with control, bidirectional and invisible characters written out, cut to a length.

    Notices are built of such text only; each channel adds the escapes of its own format.

    >>> clean_text("search\nRESOLVED everything"), clean_text("x" * 300, 10)
    ('search\\nRESOLVED everything', 'xxxxxxxxx…')
    """
    text = escape_terminal(text[: max_length + 1])
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def clean_name(value: object) -> str:
    """The name of a group as a message shows it; None is unknown."""
    return UNKNOWN if value is None else clean_text(str(value))


def describe_group(group: str) -> str:
    """The dimensions of a group's key as a message shows them.

    >>> describe_group('{"model":null,"project":"search"}')
    'model=unknown, project=search'
    """
    return ", ".join(f"{name}={clean_name(value)}" for name, value in parse_group(group).items())


def parse_group(group: str) -> dict[str, Any]:
    """The dimensions of a group's key; none for a rule as a whole."""
    dimensions: dict[str, Any] = json.loads(group or "{}")
    return dimensions
