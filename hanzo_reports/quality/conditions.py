"""Row conditions as texts, an older way to write them: ``col("status") == 200`` becomes the mapping that means the same."""

from __future__ import annotations

import re
from typing import Any

from hanzo_reports.errors import SuiteError

_LEGACY = re.compile(
    r"""\s*col\("([^"]+)"\)\s*(?:(?P<null>\.notNull\(\))|(?P<op>[<>=!]=|[<>])\s*(?P<value>.+?))\s*""", re.IGNORECASE
)


def mapping(text: str, where: str) -> dict[str, Any]:
    """A condition given as a text.

    Raises:
        SuiteError: it is of another form.
    """
    found = _LEGACY.fullmatch(text)
    if not found:
        msg = f'{where}: the row_condition {text!r} cannot be read; write it like col("status") == 200, or as a mapping'
        raise SuiteError(msg)
    if found["null"]:
        return {"type": "nullity", "column": {"name": found[1]}, "is_null": False}
    word = re.fullmatch(r"""(?:date\()?(["'])(.*)\1\)?""", found["value"])
    value = word[2] if word else float(found["value"]) if re.search(r"[.eE]", found["value"]) else int(found["value"])
    return {"type": "comparison", "column": {"name": found[1]}, "operator": found["op"], "parameter": value}
