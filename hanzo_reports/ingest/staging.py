"""A load's rows on their way in: staged in one file, told apart into good, repeated and bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
from ibis.util import gen_name

from hanzo_reports.store.base import QUARANTINE, RowSummary, summary_aggregates
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from ibis.backends.duckdb import Backend

_PLACE = ["_file", "_row"]
HEADED, UNIQUE = "-", 55  # in an id, what stands before a header's hash, and the digits before that


def named(rows: ibis.Table) -> ibis.Table:
    """The rows as a view: how they are made is translated once, and all that follows is said in short."""
    con: Backend = rows.get_backend()
    return con.create_view(gen_name("mapped"), rows)


def staged(rows: ibis.Table, path: Path) -> ibis.Table:
    """The rows in a temporary Parquet file, so that the source is read once."""
    con: Backend = rows.get_backend()
    con.con.execute(f"COPY ({con.compile(rows)}) TO {sql_literal(path)} (FORMAT parquet, COMPRESSION lz4)")
    return con.read_parquet(path)


@dataclass(frozen=True)
class Counts:
    """What a look over all rows of a load finds.

    Args:
        read: rows.
        bad: rows with a reason to reject them.
        repeats: whether some rows without a reason share an id. Ids are compared by a 64-bit hash, so once in a great
            while this is True though none do.
        good: the rows without a reason.
    """

    read: int
    bad: int
    repeats: bool
    good: RowSummary


def checked(rows: ibis.Table, flags: Sequence[str]) -> Counts:
    """The rows counted, in one scan; in a second one, where bad rows could hide or feign that ids repeat.

    Args:
        rows: events with `_reason`, `_file` and `_row`.
        flags: boolean columns to count.
    """
    bad, ids, all_ = _counted(rows, flags)
    if not bad:
        return Counts(all_.rows, bad, ids < all_.rows, all_)
    _, ids, good = _counted(rows.filter(rows["_reason"].isnull()), flags)
    return Counts(all_.rows, bad, ids < good.rows, good)


def _counted(rows: ibis.Table, flags: Sequence[str]) -> tuple[int, int, RowSummary]:
    """Rows with a reason, different ids, and the measures of all rows; a time that is none would not fit into one."""
    rows = rows.mutate(timestamp=rows["_reason"].isnull().ifelse(rows["timestamp"], ibis.null()))
    measures = {
        "bad": rows["_reason"].notnull().sum().fill_null(0),
        "ids": rows["event_id"].hash().nunique(),
        **summary_aggregates(rows, "timestamp", flags),
    }
    bad, ids, *found = rows.aggregate(**measures).to_pyarrow().to_pylist()[0].values()
    return bad, ids, RowSummary.from_values(found, flags)


def unique(good: ibis.Table, newest: str | None) -> ibis.Table:
    """The rows without those whose id another row of the load has: the first one stays, by file and row.

    Args:
        good: rows with `event_id`, `_file` and `_row`.
        newest: a column; where it is given, the row that has the highest value there stays.
    """
    con: Backend = good.get_backend()
    repeated = good.group_by("event_id").having(good.count() > 1).select("event_id")
    copies = good.semi_join(repeated, "event_id")
    order = [copies[name] for name in _PLACE]
    if newest:
        order.insert(0, copies[newest].desc(nulls_first=False))
    rank = ibis.row_number().over(group_by="event_id", order_by=order)
    ranked = copies.select(*_PLACE, rank=rank)
    later = con.create_table(gen_name("later"), ranked.filter(ranked["rank"] > 0).select(_PLACE), temp=True)
    return good.anti_join(later, _PLACE)


def rejected(bad: ibis.Table, *, load_id: str, source: str, now: datetime) -> ibis.Table:
    """The bad rows as the quarantine keeps them.

    A row's id is made of the source, its text and its number among equal texts of the load, so that the same row is
    quarantined once however often its file is loaded, and two equal rows of a file are two. A row of a CSV file has
    the hash of the file's first line at the end of its id, since the row means nothing under another one.
    """
    text = bad["_raw"].fill_null("")
    number = ibis.row_number().over(group_by=text, order_by=[bad[name] for name in _PLACE])
    identity = ibis.literal(source) + "\n" + number.cast("string") + "\n" + text
    own = identity.hexdigest("sha256")
    under = own.substr(0, UNIQUE) + HEADED + bad["_header"]
    return bad.select(
        quarantine_id=under.coalesce(own),
        load_id=ibis.literal(load_id),
        source=ibis.literal(source),
        file=bad["_file"],
        row=bad["_row"],
        reason=bad["_reason"],
        raw=bad["_raw"],
        quarantined_at=ibis.literal(now),
    ).select(list(QUARANTINE))


def reasons(bad: ibis.Table) -> dict[str, int]:
    """How often each reason was given, most frequent first; a row may have several."""
    each = bad.select(reason=bad["_reason"].split("; ").unnest())
    counted = each.group_by("reason").aggregate(rows=each.count()).order_by(ibis.desc("rows"), "reason")
    return {row["reason"]: row["rows"] for row in counted.to_pyarrow().to_pylist()}
