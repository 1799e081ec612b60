"""Row conditions as texts, an older way to write them: ``col("status") == 200`` becomes the mapping it means."""

from __future__ import annotations

import re
from typing import Any

from hanzo_reports.errors import SuiteError

_CONDITION = re.compile(
    r"""\s*col\("(?P<column>[^"]+)"\)\s*
    (?:(?P<known>\.notNull\(\))
     |(?P<op>[<>=!]=|[<>])\s*(?:(?P<number>[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)|(?:date\()?(["'])(?P<text>.*)\5\)?))\s*""",
    re.IGNORECASE | re.VERBOSE,
)


def mapping(text: str, where: str) -> dict[str, Any]:
    """A condition given as a text.

    >>> mapping('col("status") >= 500', "own.yaml")
    {'type': 'comparison', 'column': {'name': 'status'}, 'operator': '>=', 'parameter': 500}

    Raises:
        SuiteError: it is of another form.
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        msg = f'{where}: the row_condition {text!r} cannot be read; write it like col("status") == 200, or as a mapping'
        raise SuiteError(msg)
    column = {"name": found["column"]}
    if found["known"]:
        return {"type": "nullity", "column": column, "is_null": False}
    number = found["number"]
    value = found["text"] if number is None else int(number) if number.lstrip("+-").isdigit() else float(number)
    return {"type": "comparison", "column": column, "operator": found["op"], "parameter": value}
