"""Row conditions in Great Expectations' older text form: ``col("status") == 200`` becomes the mapping it stands for."""

from __future__ import annotations

import re
from typing import Any

from hanzo_reports.errors import SuiteError

_CONDITION = re.compile(
    r"""\s*col\("(?P<column>[^"]+)"\)\s*
    (?:(?P<not_null>\.notNull\(\))
     |(?P<op>[<>=!]=|[<>])\s*(?:(?P<number>[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)|(?:date\()?(["'])(?P<text>.*)\5\)?))\s*""",
    re.IGNORECASE | re.VERBOSE,
)


def parse_condition(text: str, where: str) -> dict[str, Any]:
    """A row condition as a mapping.

    >>> parse_condition('col("status") >= 500', "own.yaml")
    {'type': 'comparison', 'column': {'name': 'status'}, 'operator': '>=', 'parameter': 500}

    Raises:
        SuiteError: the text has another form.
    """
    match = _CONDITION.fullmatch(text)
    if not match:
        msg = f'{where}: cannot read the row_condition {text!r}; write it like col("status") == 200, or as a mapping'
        raise SuiteError(msg)
    column = {"name": match["column"]}
    if match["not_null"]:
        return {"type": "nullity", "column": column, "is_null": False}
    number = match["number"]
    value = match["text"] if number is None else int(number) if number.lstrip("+-").isdigit() else float(number)
    return {"type": "comparison", "column": column, "operator": match["op"], "parameter": value}
