"""A load: plan, read, map, price, validate, commit; every row is counted, and each event is in the store once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from hanzo_reports.errors import StoreError, UnreadableError
from hanzo_reports.ingest.commit import LoadResult, commit_rows
from hanzo_reports.ingest.expectations import GUARD_SUITE
from hanzo_reports.ingest.map import map_rows
from hanzo_reports.ingest.plan import LoadPlan, plan_load
from hanzo_reports.ingest.price import price_rows
from hanzo_reports.ingest.progress import Progress
from hanzo_reports.ingest.read import describe_engine_error, read_files
from hanzo_reports.ingest.validate import validate_rows
from hanzo_reports.store.duckdb_session import open_load_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from hanzo_reports.quality.acceptance import Acceptance
    from hanzo_reports.store.base import Store

__all__ = ["LoadPlan", "LoadResult", "ingest", "load", "plan_load"]

_PRICED, _VALIDATED = 0.4, 0.7  # shares of a load's time


def ingest(  # noqa: PLR0913  # a load has these many sides, all but three with a default
    store: Store,
    source: str,
    paths: Sequence[Path],
    *,
    now: datetime,
    mapping_file: Path | None = None,
    constants: Mapping[str, str] | None = None,
    progress: Callable[[float], None] | None = None,
    suite: str = GUARD_SUITE,
    from_quarantine: bool = False,
    acceptances: Sequence[Acceptance] = (),
) -> LoadResult:
    """Load files into a store, each event once; see `plan_load` for the arguments and `load` for what happens."""
    plan = plan_load(
        source, paths, now=now, mapping_file=mapping_file, constants=constants, suite=suite,
        from_quarantine=from_quarantine, acceptances=acceptances,
    )  # fmt: skip
    return load(store, plan, progress)


def load(store: Store, plan: LoadPlan, progress: Callable[[float], None] | None = None) -> LoadResult:
    """Load the files of a plan into a store, each event once; a load killed at any moment can be repeated.

    Args:
        store: where to.
        plan: what `plan_load` returns.
        progress: called with the share that is complete, 0 to 1.

    Raises:
        UnreadableError: a file cannot be read, or has no rows; nothing has changed.
        ColumnError: a file lacks a column that the source needs; nothing has changed.
        QualityError: the rows as a whole cannot be trusted; nothing but the verdicts has changed.
        StoreError: the store cannot be written; nothing but the quarantine has changed.
    """
    with store.scratch() as folder, _explain_engine_errors(plan):
        con = open_load_session(folder)
        steps = Progress(con, progress)
        with steps.until(_PRICED):
            raw_tables = read_files(con, plan)
            mapped = map_rows(raw_tables, plan, folder)
            priced = price_rows(mapped, plan.now)
        with steps.until(_VALIDATED):
            validated = validate_rows(store, priced, plan, folder)
        with steps.until(1):
            return commit_rows(store, validated, plan)


@contextmanager
def _explain_engine_errors(plan: LoadPlan) -> Iterator[None]:
    """Raise what DuckDB says about files it cannot load as an error of ours."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        msg = f"{plan.label}: too little memory or disk to load them; {error}"
        raise StoreError(msg) from error
    except duckdb.Error as error:
        msg = f"{plan.label}: cannot be loaded; {describe_engine_error(error)}"
        raise UnreadableError(msg) from error
