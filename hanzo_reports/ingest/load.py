"""Read, map, check, price, append: every row of a load counted, each event in the store once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb
import ibis

from hanzo_reports.errors import StoreError, UnreadableError
from hanzo_reports.events import SCHEMA, TIMESTAMP
from hanzo_reports.ingest import mapping, readers
from hanzo_reports.ingest.files import files
from hanzo_reports.ingest.progress import Progress
from hanzo_reports.ingest.staging import Counts, checked, named, reasons, rejected, staged, unique
from hanzo_reports.ingest.validate import GUARD, REJECTED, expected, judged, unheld, withheld
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.pricing.price_list import price_events
from hanzo_reports.store.duckdb_session import open_load_session
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from hanzo_reports.ingest.files import File
    from hanzo_reports.ingest.source import Source
    from hanzo_reports.quality.acceptance import Acceptance
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.store.base import Store

FLAGS = ("unpriced", "price_differences")
_CHECKED, _STAGED, _GUARDED = 0.2, 0.6, 0.7


@dataclass(frozen=True)
class Loaded:
    """What one load did; read == accepted + duplicates + quarantined.

    Args:
        load_id: its name, also on its quarantined rows.
        source: the source it was read as.
        files: the number of files.
        read: rows found in them.
        accepted: rows that are new in the store.
        duplicates: rows whose id the store, or an earlier row of the load, has.
        quarantined: rows that no event could be made of, or that fail the guard; the quarantine has their reasons.
        unpriced: accepted rows that have tokens and no cost.
        price_differences: accepted rows whose reported cost is more than 1 % off the price list.
        version: the store's version after the load.
        reasons: how often each reason for quarantine was given; a row may have several.
        verdict: what the guard says; None: it was not asked.
        failed: of rows that came out of the quarantine, the numbers of those that stay there.
    """

    load_id: str
    source: str
    files: int
    read: int
    accepted: int
    duplicates: int
    quarantined: int
    unpriced: int
    price_differences: int
    version: str
    reasons: dict[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None
    failed: tuple[int, ...] = ()


def ingest(  # noqa: PLR0913  # a load has these many sides, all but three with a default
    store: Store,
    source: str,
    paths: Sequence[Path],
    *,
    now: datetime,
    mapping_file: Path | None = None,
    constants: Mapping[str, str] | None = None,
    progress: Callable[[float], None] | None = None,
    suite: str = GUARD,
    again: bool = False,
    acceptances: Sequence[Acceptance] = (),
) -> Loaded:
    """Files loaded into a store, each event once; a load killed at any moment can just be done again.

    Args:
        store: where to.
        source: the name of a mapping that comes with the package, or of the one in `mapping_file`.
        paths: files and folders: CSV, JSON lines, Parquet, also gzipped.
        now: when the rows are accepted; with a UTC offset.
        mapping_file: a user's own mapping.
        constants: columns set to one value for all rows, for example `{"project": "search"}`.
        progress: called with the share done, 0 to 1.
        suite: the expectations that the rows must meet, by name or as a path; empty: none.
        again: whether the rows come out of the quarantine, so that those that fail again need not be put there.
        acceptances: events that pass in spite of a check.

    Raises:
        UnknownNameError: no such source.
        UnreadableError: a file is missing, empty or not of its format; nothing has changed.
        ColumnError: a file lacks a column that the source needs; nothing has changed.
        SuiteError: the suite cannot be read; nothing has changed.
        QualityError: the rows as a whole cannot be trusted; nothing but the verdicts has changed.
        StoreError: the store cannot be written; nothing but the quarantine has changed.
    """
    described = mapping.load_source(source, mapping_file, constants or {})
    asked = expected(suite, now) if suite else None
    names = ", ".join(map(str, paths))
    with store.scratch() as temporary, _reading(names):
        con = open_load_session(temporary)
        steps = Progress(con, progress)
        found = files(described, paths)
        mapped = named(mapping.project(readers.read(con, described, paths), described))
        place = None if _cheap(described, found) else temporary / "rows.parquet"
        rows, counts = _checked(mapped, now, steps, place)
        if place is None and (counts.bad or counts.repeats):
            rows, counts = _checked(mapped, now, steps, temporary / "rows.parquet")
        if not counts.read:
            msg = f"{names}: no rows; give a file that has some"
            raise UnreadableError(msg)
        load_id, bad, good = uuid4().hex, rows.filter(rows["_reason"].notnull()), rows
        if counts.bad:
            good = rows.filter(rows["_reason"].isnull())
        copies = good if counts.repeats else None
        if counts.repeats:
            good = unique(good, described.newest)
        kept = good.count().to_pyarrow().as_py() if counts.repeats else counts.good.rows
        verdict, held = None, 0
        if asked and kept:
            with steps.until(_GUARDED):
                about = {"load": load_id, "source": source, "files": names}
                verdict = judged(store, good, kept, asked, now, about, copies, acceptances)
            held = verdict.quarantined
        passed = kept - held
        if verdict:
            good = unheld(verdict)
        if counts.repeats and held:
            good = unique(good, described.newest)
            passed = good.count().to_pyarrow().as_py()
        if asked and verdict and held:
            bad = bad.select(*REJECTED).union(withheld(verdict, asked))
        quarantined = counts.bad + held
        if quarantined and not again:
            store.add_to_quarantine(rejected(bad, load_id=load_id, source=source, now=now))
        said = {
            "load_id": load_id, "source": source, "paths": names, "at": iso(now), "read": counts.read,
            "quarantined": quarantined, "repeated": counts.good.rows - held - passed,
        }  # fmt: skip
        with steps.until(1):
            seen = None if counts.repeats or held else counts.good
            appended = store.append(good.select(*SCHEMA, *FLAGS), said, seen)
        return Loaded(
            load_id=load_id,
            source=source,
            files=len(found),
            read=counts.read,
            accepted=appended.accepted,
            duplicates=counts.read - quarantined - appended.accepted,
            quarantined=quarantined,
            unpriced=appended.flagged["unpriced"],
            price_differences=appended.flagged["price_differences"],
            version=appended.version,
            reasons=reasons(bad) if quarantined else {},
            verdict=verdict,
            failed=tuple(bad.select("_row").to_pyarrow()["_row"].to_pylist()) if again and quarantined else (),
        )


def _cheap(source: Source, found: Sequence[File]) -> bool:
    """Whether reading the files again costs no more than reading a copy: Parquet, without ids made by hashing rows."""
    hashes = any(way.hash for ways in source.columns.values() for way in ways)
    return not hashes and all(file.kind == "parquet" for file in found)


def _checked(mapped: ibis.Table, now: datetime, progress: Progress, stage: Path | None) -> tuple[ibis.Table, Counts]:
    """The rows as priced events, and what a look over all of them finds.

    Args:
        mapped: what `mapping.project` gave.
        now: when they are accepted.
        progress: told of it.
        stage: a file to put the mapped rows into, so that their source is read once; None: read it again.
    """
    with progress.until(_CHECKED if stage is None else _STAGED):
        rows = _event(price_events(mapped if stage is None else staged(mapped, stage)), now)
        return rows, checked(rows, FLAGS)


def _event(priced: ibis.Table, now: datetime) -> ibis.Table:
    """The rows with all columns of the event, and a flag for each thing that is counted over the accepted ones."""
    counted = {"unpriced": "unpriced_requests", "price_differences": "price_differences"}
    flags = {flag: CATALOG[name].counts(priced) for flag, name in counted.items()}  # type: ignore[misc]  # a count has it
    return priced.mutate(ingested_at=ibis.literal(now, TIMESTAMP), **flags)


@contextmanager
def _reading(names: str) -> Iterator[None]:
    """What DuckDB says about files it cannot read, as an error of ours."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        msg = f"{names}: too little memory or disk to load them; {error}"
        raise StoreError(msg) from error
    except duckdb.Error as error:
        msg = f"{names}: cannot be loaded; {str(error).splitlines()[0]}"
        raise UnreadableError(msg) from error
