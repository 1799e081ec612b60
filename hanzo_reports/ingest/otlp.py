"""OTLP JSON: export requests flattened to one row per span.

Source: OpenTelemetry protocol, JSON encoding of ExportTraceServiceRequest; one document, or one per line as the
collector's file exporter writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanzo_reports.ingest.source import split_path
from hanzo_reports.ingest.text_files import quote_name
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCOPED = '[{"spans": ["JSON"]}]'
_SHAPE = (
    '[{"resource": {"attributes": [{"key": "VARCHAR", "value": "JSON"}]}, '
    f'"scopeSpans": {_SCOPED}, "instrumentationLibrarySpans": {_SCOPED}}}]'
)
_ATTRIBUTES = '[{"key": "VARCHAR", "value": "JSON"}]'
_TYPES = ("stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue")


def spans_sql(documents: str, paths: Sequence[str]) -> str:
    """SQL for the spans of documents, one row each.

    Args:
        documents: SQL with `_line` (JSON), `_row`, `_raw`, `_fault`, `_file`, `_ok` (whether it is a JSON object).
        paths: the values to read from each span: "attributes.KEY", "resource.KEY" for the resource's attributes, or a
            path into the span itself.

    Returns:
        SQL with a text column for each path, and `_raw` (the span), `_row` (its number in the file), `_fault`, `_file`.
    """
    columns = ", ".join(f"{_value_at(path)} AS {quote_name(path)}" for path in paths)
    values = ", ".join(f"json_extract_string(a.value, '$.{kind}')" for kind in _TYPES)
    return f"""
        WITH resources AS (
            SELECT _file, unnest(from_json(json_extract(_line, '$.resourceSpans'), '{_SHAPE}')) AS r
            FROM ({documents}) WHERE _ok
        ), scopes AS (
            SELECT _file, r.resource.attributes AS about,
                unnest(coalesce(r."scopeSpans", r."instrumentationLibrarySpans")) AS s
            FROM resources
        ), spans AS (SELECT _file, about, unnest(s.spans) AS span FROM scopes), numbered AS (
            SELECT _file, span, about, from_json(json_extract(span, '$.attributes'), '{_ATTRIBUTES}') AS own,
                row_number() OVER () AS _row
            FROM spans
        ), flat AS (
            SELECT _file, _row, span,
                list_transform(about, lambda a: a.key) AS resource_keys,
                list_transform(about, lambda a: coalesce({values})) AS resource_values,
                list_transform(own, lambda a: a.key) AS own_keys,
                list_transform(own, lambda a: coalesce({values})) AS own_values
            FROM numbered
        )
        SELECT {columns}, span::VARCHAR AS _raw, _row, NULL::VARCHAR AS _fault, _file FROM flat
        UNION ALL BY NAME
        SELECT coalesce(_raw, _line) AS _raw, _row, coalesce(_fault, 'not a JSON object') AS _fault, _file
        FROM ({documents}) WHERE NOT _ok"""


def _value_at(path: str) -> str:
    first, *keys = split_path(path)
    if first in ("attributes", "resource"):
        kind = "own" if first == "attributes" else "resource"
        return f"{kind}_values[list_position({kind}_keys, {sql_literal('.'.join(keys))})]"
    return f"json_extract_string(span, {sql_literal('$' + ''.join('.' + quote_name(key) for key in (first, *keys)))})"
