"""The texts of events before they are stored: secrets are hidden, and long texts are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from hanzo_reports.ingest.redaction import (
    KEY,
    MIN_SECRET_LENGTH,
    SECRET,
    has_secret,
    hash_secret,
    looks_like_key,
    redact,
)
from hanzo_reports.ingest.staging import name_rows
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

MAX_TEXT_LENGTH = 1_000  # characters of a text of an event
SHORTENED = "shortened"  # the flag of rows in which a text was cut
_HASH_DIGITS = 16
_UNIQUE = ("event_id",)  # columns of which nearly every value is another


def clean_texts(rows: ibis.Table, texts: ibis.Table) -> ibis.Table:
    """Hide the secrets in the events' texts, and cut texts that are too long.

    The texts are searched once, each different one, so that rows without secrets cost nothing afterwards.

    Args:
        rows: mapped rows.
        texts: the text columns that the source maps, of the same rows.

    Returns:
        The rows, and `shortened`: whether one of a row's texts was cut.
    """
    secret, long = _search(texts)
    values = {name: _hide(rows[name], name) for name in secret}
    too_long = [(values.get(name, rows[name])).length() > MAX_TEXT_LENGTH for name in long]
    values |= {name: shorten(values.get(name, rows[name])) for name in long}
    shortened = ibis.or_(*too_long).fill_null(False) if too_long else ibis.literal(False)  # noqa: FBT003
    return rows.mutate(**values, **{SHORTENED: shortened})


def shorten(text: ir.StringValue) -> ir.StringValue:
    """Cut a text to `MAX_TEXT_LENGTH` characters; it then ends in "~" and a part of its hash, to stay distinct."""
    start = text.substr(0, MAX_TEXT_LENGTH - _HASH_DIGITS - 1)
    cut = start + "~" + text.hexdigest("sha256").substr(0, _HASH_DIGITS)
    return ibis.ifelse(text.length() > MAX_TEXT_LENGTH, cut, text)


def _hide(text: ir.StringValue, name: str) -> ir.StringValue:
    """A column's text without secrets; an id with one is hashed as a whole, so that two ids stay two."""
    if name == "api_key":
        return ibis.ifelse(looks_like_key(text), hash_secret(text), redact(text))
    return ibis.ifelse(has_secret(text), hash_secret(text), text) if name == "event_id" else redact(text)


def _search(texts: ibis.Table) -> tuple[list[str], list[str]]:
    """The columns in which some text may hold a secret, and those in which some text is too long."""
    con: Backend = texts.get_backend()
    view = name_rows(texts).get_name()
    queries = [_search_query(view, name) for name in texts.columns]
    answers = con.con.execute(" UNION ALL ".join(queries)).fetchall() if queries else []
    return [name for name, secret, _ in answers if secret], [name for name, _, long in answers if long]


def _search_query(table: str, column: str) -> str:
    pattern = f"{KEY}|{SECRET}" if column == "api_key" else SECRET
    distinct = "" if column in _UNIQUE else "DISTINCT"
    return (
        f"SELECT {sql_literal(column)}, bool_or(regexp_matches(text, {sql_literal(pattern)})), "
        f"bool_or(length(text) > {MAX_TEXT_LENGTH}) "
        f'FROM (SELECT {distinct} "{column}" AS text FROM "{table}" WHERE strlen("{column}") >= {MIN_SECRET_LENGTH})'
    )
