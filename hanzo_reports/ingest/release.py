"""Out of the quarantine: rows checked again after a fix of a mapping, a limit or a clock; what passes is loaded, once.

The rows are appended before they leave the quarantine, and an event whose id is known is not added again: a release
that is killed at any moment can just be done again.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hanzo_reports.errors import ReportsError, UnreadableError, UsageError
from hanzo_reports.ingest.load import ingest
from hanzo_reports.ingest.mapping import load_source
from hanzo_reports.ingest.readers import digest, header
from hanzo_reports.ingest.staging import HEADED, UNIQUE
from hanzo_reports.ingest.validate import GUARD
from hanzo_reports.quality.quarantine import GUARD_PREFIX, filter_quarantine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hanzo_reports.store.base import Store

EVENTS = "events"  # the source that rows of the guard are read as: their text is the event
_OWN = re.compile(rf"{GUARD_PREFIX}\((.+?\.ya?ml)\) ")  # how the reasons of a suite begin that does not come along
_TABLES, _LINES = (".csv", ".tsv"), (".log", ".txt")


@dataclass(frozen=True)
class Released:
    """What a release did; checked == released + kept, released == accepted + duplicates.

    Args:
        checked: rows looked at again.
        released: rows that passed, and left.
        accepted: of them, new events.
        duplicates: of them, events whose id the store had.
        kept: rows that stay in the quarantine.
        notes: why some could not be checked, a line each.
    """

    checked: int
    released: int
    accepted: int
    duplicates: int
    kept: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Batch:
    """Rows that are read alike.

    Args:
        source: as what.
        file: the file that they came from; empty: it does not matter.
        suite: the expectations that they have to meet.
        header: the hash of the file's first line when they were loaded; empty: not known, or it has none.
        ids: their quarantine ids.
        texts: and their texts, in the same order.
    """

    source: str
    file: str
    suite: str
    header: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def release(  # noqa: PLR0913  # what to choose, and how to read it
    store: Store,
    *,
    now: datetime,
    load: str = "",
    source: str = "",
    reason: str = "",
    ids: Sequence[str] = (),
    mapping_file: Path | None = None,
    constants: Mapping[str, str] | None = None,
    suite: str = "",
) -> Released:
    """Quarantined rows read, mapped, priced and judged again; those that pass are loaded and leave the quarantine.

    Args:
        store: where they are.
        now: when they are accepted.
        load: only rows of this load; the start of its id.
        source: only of this source.
        reason: only with this text in their reason.
        ids: only these; the starts of their ids.
        mapping_file: the mapping of a source of one's own, as it is now; needs `source`.
        constants: columns set to one value, as when they were loaded.
        suite: the expectations they must meet; empty: for each row those that held it back, else ``events``.

    Raises:
        UsageError: a mapping is given, and no source that it is of.
        MappingError: the mapping cannot be read; nothing has changed.
        QualityError: a batch as a whole cannot be trusted.
        StoreError: the store cannot be written.
    """
    if mapping_file and not source:
        msg = "--map is the mapping of one source; say which with --source"
        raise UsageError(msg)
    if mapping_file:
        load_source(source, mapping_file, constants or {})
    batches = _batches(store, load, source, reason, ids)
    accepted = duplicates = kept = 0
    notes: list[str] = []
    for batch in batches:
        with store.scratch() as temporary:
            try:
                path = _written(batch, temporary)
                aside = batch.source == EVENTS != source  # rows of the guard, whose text is the event
                own, fixed = (None, {}) if aside else (mapping_file, constants)
                done = ingest(
                    store, batch.source, [path], now=now, mapping_file=own, constants=fixed,
                    suite=suite or batch.suite, again=True,
                )  # fmt: skip
            except (ReportsError, OSError) as error:
                kept += len(batch.ids)
                notes.append(f"{len(batch.ids):,} rows of {batch.source} stay: {error}")
                continue
        failed = set(done.failed)
        passed = [one for number, one in enumerate(batch.ids, 1) if number not in failed]
        store.release(passed)
        accepted += done.accepted
        duplicates += len(passed) - done.accepted
        kept += len(failed)
    released = accepted + duplicates
    return Released(released + kept, released, accepted, duplicates, kept, tuple(notes))


def _batches(store: Store, load: str, source: str, reason: str, ids: Sequence[str]) -> list[_Batch]:
    """The chosen rows, those that are read alike together."""
    rows = filter_quarantine(store.quarantine(), load=load, source=source, reason=reason, ids=ids)
    wanted = rows.order_by("source", "file", "row").select("quarantine_id", "source", "file", "reason", "raw")
    found: dict[tuple[str, str, str, str], list[tuple[str, str]]] = {}
    for row in wanted.to_pyarrow().to_pylist():
        guarded = row["reason"].startswith(GUARD_PREFIX)
        file = "" if guarded or not _kind(row["file"] or "") else row["file"]
        own, id_ = _OWN.match(row["reason"]), row["quarantine_id"]
        under = id_[UNIQUE + 1 :] if id_[UNIQUE : UNIQUE + 1] == HEADED else ""
        key = (EVENTS if guarded else row["source"], file, own[1] if own else GUARD, under)
        found.setdefault(key, []).append((id_, row["raw"] or ""))
    return [
        _Batch(*key, tuple(one for one, _ in pairs), tuple(text for _, text in pairs)) for key, pairs in found.items()
    ]


def _kind(file: str) -> str:
    """The ending of a file whose rows are no JSON; empty: they are."""
    suffix = Path(file.removesuffix(".gz")).suffix
    return suffix if suffix in {*_TABLES, *_LINES} else ""


def _written(batch: _Batch, folder: Path) -> Path:
    """The texts in a file of the form that they came from; a table's columns are those of the file's first line."""
    kind = _kind(batch.file)
    if not kind:
        path = folder / "again.jsonl"
        path.write_text("".join(f"{_one_line(text)}\n" for text in batch.texts), encoding="utf-8")
        return path
    path = folder / f"again{kind}"
    head = f"{_first_line(Path(batch.file))}\n" if kind in _TABLES else ""
    if head and batch.header and digest(header(head, Path(batch.file))) != batch.header:
        msg = f"the first line of {batch.file} is not the one that they were loaded with; put that file back"
        raise UnreadableError(msg)
    path.write_text(head + "".join(f"{text}\n" for text in batch.texts), encoding="utf-8")
    return path


def _first_line(path: Path) -> str:
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        return file.readline().rstrip("\r\n")


def _one_line(text: str) -> str:
    """A text as a line of JSON lines; one that is no JSON stays what it is, and is rejected again."""
    if "\n" not in text:
        return text or "{}"
    try:
        return json.dumps(json.loads(text, parse_float=str), ensure_ascii=False)
    except ValueError:
        return " ".join(text.split())
