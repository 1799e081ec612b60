"""Releases rows from the quarantine: they are checked again, and those that pass are loaded, each once.

Rows are loaded before they leave the quarantine, and an event whose id the store has is not added again, so a release
that is killed at any moment can be repeated.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hanzo_reports.errors import ReportsError, SuiteError, UnknownNameError, UnreadableError, UsageError
from hanzo_reports.events import SCHEMA
from hanzo_reports.ingest.commit import HEADER_MARK, ROW_DIGITS
from hanzo_reports.ingest.csv_header import hash_header, parse_header
from hanzo_reports.ingest.expectations import GUARD_SUITE
from hanzo_reports.ingest.load import ingest
from hanzo_reports.ingest.mapping_file import load_source
from hanzo_reports.quality.acceptance import Acceptance, clean_text, save_acceptances
from hanzo_reports.quality.parameters import suite_parameters
from hanzo_reports.quality.quarantine import (
    GUARD_PREFIX,
    failed_checks,
    filter_quarantine,
    split_reason,
    suite_path,
    without_values,
)
from hanzo_reports.quality.row_tests import row_test
from hanzo_reports.quality.suites import load_suite

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from hanzo_reports.quality.suites import Expectation, Suite
    from hanzo_reports.store.base import Store

EVENTS = "events"  # the source that reads rows quarantined by the guard: their text is the event
MAX_REASONS = 10  # reasons that a release lists
ACCEPT_HINT = "to release rows in spite of checks, name every check that they fail: --accept CHECK --because TEXT"
_TABLES, _LINES = (".csv", ".tsv"), (".log", ".txt")


@dataclass(frozen=True)
class Released:
    """The counts of a release; checked == released + remaining, released == accepted + duplicates.

    Args:
        checked: rows checked again.
        released: rows that passed and left the quarantine.
        accepted: of them, new events.
        duplicates: of them, events whose id the store had.
        remaining: rows that stay in the quarantine; `kept` in JSON.
        notes: why rows stay, and what was accepted in spite of a check, a line each.
    """

    checked: int
    released: int
    accepted: int
    duplicates: int
    remaining: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    """A quarantined row.

    Args:
        id: its id in the quarantine.
        text: its text.
        checks: the checks of the guard that it failed; empty: it also has a reason that is not the guard's.
    """

    id: str
    text: str
    checks: frozenset[str]

    @property
    def event_id(self) -> str | None:
        """The id of the event in its text, where the guard quarantined it; None: the event has no id."""
        value = json.loads(self.text).get("event_id")
        return value if isinstance(value, str) else None


@dataclass(frozen=True)
class _Batch:
    """Rows that are read alike.

    Args:
        source: the source that reads them.
        file: the file that they came from; empty: it does not matter.
        suite: the expectations that they have to meet.
        header: the hash of the file's first line when they were loaded; empty: unknown, or the file has none.
        rows: the rows.
    """

    source: str
    file: str
    suite: str
    header: str
    rows: tuple[_Row, ...]

    def acceptances(self, accept: Collection[str], because: str, by: str, now: datetime) -> list[Acceptance]:
        """The acceptances of its events whose failed checks are all accepted."""
        rows = [row for row in self.rows if row.checks and row.checks <= set(accept) and row.event_id]
        return [
            Acceptance(check, because, by, now, frozenset(filter(None, (row.event_id for row in chosen))))
            for check in accept
            if (chosen := [row for row in rows if check in row.checks])
        ]


def release(  # noqa: PLR0913  # which rows, how to read them, and what to accept
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
    accept: Sequence[str] = (),
    because: str = "",
    accepted_by: str = "",
) -> Released:
    """Reads, maps, prices and checks quarantined rows again; those that pass are loaded and leave the quarantine.

    Args:
        store: where they are.
        now: when they are accepted.
        load: only rows of this load; the start of its id.
        source: only rows of this source.
        reason: only rows with this text in their reason.
        ids: only these rows; the starts of their ids.
        mapping_file: the current mapping of a source of the user's own; needs `source`.
        constants: columns set to one value, as when they were loaded.
        suite: the expectations that they must meet; empty: for each row those that it failed, else ``events``.
        accept: checks in spite of which rows are released: ids, or reasons as the quarantine lists them. A row is
            released only if every check that it fails is accepted; it stays recorded which ones, by whom and why.
        because: why, for the record; needed with `accept`.
        accepted_by: who accepts, for the record; needed with `accept`.

    Raises:
        UsageError: a mapping without a source, a check that cannot be accepted, or `accept` without a reason.
        UnknownNameError: an accepted check that the suites of these rows do not have.
        MappingError: the mapping cannot be read; nothing has changed.
        StoreError: the store cannot be written.
    """
    if mapping_file and not source:
        msg = "--map is the mapping of one source; say which with --source"
        raise UsageError(msg)
    if mapping_file:
        load_source(source, mapping_file, constants or {})
    because, accepted_by = clean_text(because), clean_text(accepted_by)
    if bool(accept) != bool(because) or (accept and not accepted_by):
        msg = "--accept and --because belong together: which checks to pass over, why, and (--by) who decides it"
        raise UsageError(msg)
    batches = _batches(store, load, source, reason, ids)
    checks = _parse_checks(accept, {suite} if suite else {batch.suite for batch in batches}, now)
    accepted = duplicates = remaining = 0
    notes: list[str] = []
    reasons: Counter[str] = Counter()
    for batch in batches:
        acceptances = batch.acceptances(checks, because, accepted_by, now)
        with store.scratch() as temporary:
            try:
                expectations = load_suite(suite or batch.suite, suite_parameters(now, {}))
                path = _write_rows(batch, temporary)
                is_event = batch.source == EVENTS != source  # quarantined by the guard: the text is the event
                own_mapping, fixed = (None, {}) if is_event else (mapping_file, constants)
                loaded = ingest(
                    store, batch.source, [path], now=now, mapping_file=own_mapping, constants=fixed,
                    suite=suite or batch.suite, from_quarantine=True, acceptances=acceptances,
                )  # fmt: skip
            except (ReportsError, OSError) as error:
                remaining += len(batch.rows)
                notes.append(f"{len(batch.rows):,} rows of {batch.source} stay: {error}")
                continue
        failed = set(loaded.failed_rows)
        passed = [row for number, row in enumerate(batch.rows, 1) if number not in failed]
        notes += _record(store, expectations, acceptances, passed)
        store.release([row.id for row in passed])
        accepted += loaded.accepted
        duplicates += len(passed) - loaded.accepted
        remaining += len(failed)
        for text, count in loaded.reasons.items():
            reasons[without_values(text)] += count
    released = accepted + duplicates
    notes += _explain(reasons)
    return Released(released + remaining, released, accepted, duplicates, remaining, tuple(notes))


def _parse_checks(accept: Iterable[str], suites: Collection[str], now: datetime) -> list[str]:
    """The ids of the checks to accept, each one that lets single events pass."""
    critical: dict[str, Expectation] = {}
    for name in sorted(suites or {GUARD_SUITE}):
        try:
            expectations = load_suite(name, suite_parameters(now, {})).expectations
        except SuiteError:
            continue  # the rows of its batch stay, and a note says why
        critical |= {one.id: one for one in expectations if one.severity == "critical"}
    checks = [split_reason(text)[1] for text in accept]
    for check in checks:
        if check not in critical:
            raise UnknownNameError("check", check, sorted(critical), ", ".join(sorted(suites or {GUARD_SUITE})))
        test = row_test(critical[check])
        needed = [name for name in critical[check].columns if SCHEMA.get(name, "").startswith("!")]
        if test and (test.keys or (test.metric == "column_values.nonnull" and needed)):
            why = "it compares rows with each other" if test.keys else f"the store needs a value for {needed[0]!r}"
            msg = f"{check} cannot be accepted: {why}"
            raise UsageError(msg)
    return list(dict.fromkeys(checks))


def _record(store: Store, suite: Suite, acceptances: Sequence[Acceptance], passed: Sequence[_Row]) -> list[str]:
    """Records the acceptances of rows that passed; a line for each check."""
    ids = {row.event_id for row in passed if row.checks} if acceptances else set()
    recorded = [
        Acceptance(one.check, one.because, one.by, one.at, frozenset(one.event_ids & ids)) for one in acceptances
    ]
    save_acceptances(store, suite, recorded)
    return [f"{len(one.event_ids):,} rows are accepted in spite of {one.check}" for one in recorded if one.event_ids]


def _explain(reasons: Counter[str]) -> list[str]:
    """Why rows stay, the most frequent reason first, and what would release them."""
    notes = [f"{count:,} rows stay: {reason}" for reason, count in reasons.most_common(MAX_REASONS)]
    if len(reasons) > MAX_REASONS:
        more = len(reasons) - MAX_REASONS
        notes.append(f"rows stay for {more:,} more reasons; `hanzo-reports quarantine list` shows all")
    if any(reason.startswith(GUARD_PREFIX) for reason in reasons):
        notes.append(ACCEPT_HINT)
    return notes


def _batches(store: Store, load: str, source: str, reason: str, ids: Sequence[str]) -> list[_Batch]:
    """The chosen rows, those that are read alike together."""
    rows = filter_quarantine(store.quarantine(), load=load, source=source, reason=reason, ids=ids)
    wanted = rows.order_by("source", "file", "row").select("quarantine_id", "source", "file", "reason", "raw")
    batches: dict[tuple[str, str, str, str], list[_Row]] = {}
    for row in wanted.to_pyarrow().to_pylist():
        by_guard = row["reason"].startswith(GUARD_PREFIX)
        file = "" if by_guard or not _table_suffix(row["file"] or "") else row["file"]
        id_ = row["quarantine_id"]
        first_line = id_[ROW_DIGITS + 1 :] if id_[ROW_DIGITS : ROW_DIGITS + 1] == HEADER_MARK else ""
        key = (EVENTS if by_guard else row["source"], file, suite_path(row["reason"]) or GUARD_SUITE, first_line)
        batches.setdefault(key, []).append(_Row(id_, row["raw"] or "", frozenset(failed_checks(row["reason"]))))
    return [_Batch(*key, tuple(rows)) for key, rows in batches.items()]


def _table_suffix(file: str) -> str:
    """The ending of a file whose rows are not JSON; empty: they are."""
    suffix = Path(file.removesuffix(".gz")).suffix
    return suffix if suffix in {*_TABLES, *_LINES} else ""


def _write_rows(batch: _Batch, folder: Path) -> Path:
    """Writes the rows to a file of the form that they came from; a table's columns are those of its first line."""
    suffix = _table_suffix(batch.file)
    if not suffix:
        path = folder / "again.jsonl"
        path.write_text("".join(f"{_one_line(row.text)}\n" for row in batch.rows), encoding="utf-8")
        return path
    path = folder / f"again{suffix}"
    head = f"{_first_line(Path(batch.file))}\n" if suffix in _TABLES else ""
    if head and batch.header and hash_header(parse_header(head, Path(batch.file))) != batch.header:
        msg = f"the first line of {batch.file} is not the one that these rows were loaded with; put that file back"
        raise UnreadableError(msg)
    path.write_text(head + "".join(f"{row.text}\n" for row in batch.rows), encoding="utf-8")
    return path


def _first_line(path: Path) -> str:
    open_text = gzip.open if path.name.endswith(".gz") else open
    with open_text(path, "rt", encoding="utf-8-sig") as file:
        return file.readline().rstrip("\r\n")


def _one_line(text: str) -> str:
    """A text as a line of a JSON lines file; text that is not JSON is rejected again."""
    if "\n" not in text:
        return text or "{}"
    try:
        return json.dumps(json.loads(text, parse_float=str), ensure_ascii=False)
    except ValueError:
        return " ".join(text.split())
