"""The plan of a load: its source, files and suite, resolved once, before the store is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from hanzo_reports.ingest.expectations import GUARD_SUITE, load_guard_suite
from hanzo_reports.ingest.files import list_files
from hanzo_reports.ingest.mapping_file import load_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from hanzo_reports.ingest.files import File
    from hanzo_reports.ingest.source import Source
    from hanzo_reports.quality.acceptance import Acceptance
    from hanzo_reports.quality.suites import Suite


@dataclass(frozen=True)
class LoadPlan:
    """What a load reads, as what, and which expectations its rows have to meet.

    Args:
        load_id: the load's name, also on its quarantined rows.
        source_name: what the source is called.
        source: how its rows become events.
        paths: the files and folders that were given.
        files: the files that are read.
        skipped: what the folders hold that is not read, and why, a line each.
        suite: the expectations; None: none.
        now: when the rows are accepted; with a UTC offset.
        from_quarantine: whether the rows come out of the quarantine, so that those that fail again stay there.
        acceptances: events that pass in spite of a check.
    """

    load_id: str
    source_name: str
    source: Source
    paths: tuple[Path, ...]
    files: tuple[File, ...]
    skipped: tuple[str, ...]
    suite: Suite | None
    now: datetime
    from_quarantine: bool = False
    acceptances: tuple[Acceptance, ...] = ()

    @property
    def label(self) -> str:
        """The given paths, for errors and records."""
        return ", ".join(map(str, self.paths))

    @property
    def cheap_to_reread(self) -> bool:
        """Whether reading the files again costs no more than reading a copy: Parquet, without ids made by hashing."""
        return not self.source.hashes_rows and all(file.kind == "parquet" for file in self.files)


def plan_load(  # noqa: PLR0913  # a load has these many sides, all but three with a default
    source: str,
    paths: Sequence[Path],
    *,
    now: datetime,
    mapping_file: Path | None = None,
    constants: Mapping[str, str] | None = None,
    suite: str = GUARD_SUITE,
    from_quarantine: bool = False,
    acceptances: Sequence[Acceptance] = (),
) -> LoadPlan:
    """Resolve what a load needs; no row is read and nothing is written.

    Args:
        source: the name of a mapping that comes with the package, or of the one in `mapping_file`.
        paths: files and folders: CSV, JSON lines, Parquet, also gzipped.
        now: when the rows are accepted; with a UTC offset.
        mapping_file: a user's own mapping.
        constants: columns set to one value for all rows, for example `{"project": "search"}`.
        suite: the expectations that the rows must meet, by name or as a path; empty: none.
        from_quarantine: whether the rows come out of the quarantine.
        acceptances: events that pass in spite of a check.

    Raises:
        UnknownNameError: there is no such source.
        MappingError: the mapping does not describe an event.
        SuiteError: the suite cannot be read.
        UnreadableError: a file is missing, empty, not a regular file or not of its format.
    """
    mapping = load_source(source, mapping_file, constants or {})
    expectations = load_guard_suite(suite, now) if suite else None
    listing = list_files(mapping, paths)
    return LoadPlan(
        load_id=uuid4().hex,
        source_name=source,
        source=mapping,
        paths=tuple(paths),
        files=listing.files,
        skipped=listing.skipped,
        suite=expectations,
        now=now,
        from_quarantine=from_quarantine,
        acceptances=tuple(acceptances),
    )
