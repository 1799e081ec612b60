"""Splits a table into the rows without a critical fault, and the others with the ids of the checks they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir

    from hanzo_reports.quality.row_tests import RowTest

REASONS = "_reasons"
_ORDER = ("_file", "_row", "ingested_at", "timestamp")  # of rows with one key the first is clean


def split_rows(
    table: ir.Table, failed: Mapping[str, tuple[RowTest, str]], columns: Sequence[str]
) -> tuple[ir.Table, ir.Table]:
    """The clean rows and the others, as expressions.

    Args:
        table: all rows, with the flags that the tests need.
        failed: for each critical row expectation that failed, its test and its description.
        columns: the columns to keep.

    Returns:
        The rows that pass all of them, and the rows that fail any, with `_reasons`: ``id: description``, joined by
        ``; ``. Of rows that share a key, the first is clean.
    """
    why: ir.StringValue = ibis.literal("")
    for number, (test, _) in enumerate(failed.values()):
        if test.keys:
            table = _mark_copies(table, test, f"_repeat_{number}")
    for number, (name, (test, description)) in enumerate(failed.items()):
        bad = table[f"_repeat_{number}"] if test.keys else test.bad(table).fill_null(False)
        why += ibis.ifelse(bad, f"{name}: {description.replace('; ', ', ')}; ", "")
    rows = table.mutate(**{REASONS: why.substr(0, ibis.greatest(why.length() - 2, 0))})
    clean = rows.filter(rows[REASONS] == "").select(*columns)
    return clean, rows.filter(rows[REASONS] != "").select(*columns, REASONS)


def _mark_copies(table: ir.Table, test: RowTest, mark: str) -> ir.Table:
    """The rows with a mark on each copy but the first; where the key is one column, only the copies are sorted."""
    inside, keys = test.inside(table), list(test.keys)
    order = [name for name in _ORDER if name in table.columns] or keys
    rank = ibis.row_number().over(group_by=keys, order_by=order)
    if test.value is None:  # to a window function missing values are equal, to a join they are not
        parts = [inside.mutate(**{mark: rank > 0})]
    else:
        groups = test.keyed(table).group_by(keys).aggregate(_n=ibis._.count())
        shared = groups.filter(groups["_n"] > 1).select(keys)
        copies, others = inside.semi_join(shared, keys), inside.anti_join(shared, keys)
        parts = [copies.mutate(**{mark: rank > 0}), others.mutate(**{mark: False})]
    if test.within is not None:
        outside = table.filter(~test.within(table).fill_null(False))
        parts.append(outside.mutate(**{mark: False}))
    return ibis.union(*parts)
