"""The rows of a load against the guard's expectations: the verdict, and the rows that do not pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ibis
from ibis.util import gen_name

from hanzo_reports.errors import QualityError, SuiteError
from hanzo_reports.events import SCHEMA
from hanzo_reports.ingest.map import to_json
from hanzo_reports.ingest.staging import name_rows
from hanzo_reports.pricing.list_price import add_list_difference
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.parameters import suite_parameters
from hanzo_reports.quality.quarantine import GUARD_PREFIX
from hanzo_reports.quality.row_tests import TYPES, UNIQUE
from hanzo_reports.quality.split import REASONS
from hanzo_reports.quality.suites import load_suite
from hanzo_reports.quality.verdict import Status

if TYPE_CHECKING:
    from datetime import datetime

    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

    from hanzo_reports.ingest.plan import LoadPlan
    from hanzo_reports.quality.suites import Suite
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.store.base import Store

GUARD_SUITE = "events"  # what every load meets unless it is told otherwise
MAX_ROWS_IN_MEMORY = 250_000  # about 50 MiB
REJECTED_COLUMNS = ("_raw", "_reason", "_file", "_row", "_header")
_UNIQUENESS = {kind for kind, metric in TYPES.items() if metric in UNIQUE}
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"


def load_guard_suite(name: str, now: datetime) -> Suite:
    """Load the suite of a load, by name or path.

    Raises:
        UnknownNameError: there is no such suite.
        SuiteError: it cannot be read, or is about another table.
    """
    suite = load_suite(name, suite_parameters(now, {}))
    if suite.table != "events":
        msg = f"{suite.path} is about {suite.table!r}; a load is checked by a suite about 'events'"
        raise SuiteError(msg)
    return suite


@dataclass(frozen=True)
class GuardResult:
    """What the guard says about a load.

    Args:
        verdict: on the rows that are new; None: no row is.
        known: the ids of rows that the store has, which the verdict is not about; None: no known row.
    """

    verdict: Verdict | None
    known: ibis.Table | None


def check_expectations(
    store: Store, rows: ibis.Table, row_count: int, plan: LoadPlan, copies: ibis.Table | None = None
) -> GuardResult:
    """Check the new rows of a load against its suite, and keep the verdict beside the data.

    A row that the store has is a duplicate, whatever the guard would say about it: it may have been released, or loaded
    without the guard. The store is searched only where the guard would complain, since the search takes time.

    Args:
        store: where the rows are to go.
        rows: priced events that are well-formed, each id once.
        row_count: how many.
        plan: the load, with a suite.
        copies: the same with all rows that share an id; None: there are none. Where the row that would stay fails, the
            others are checked as well, and may be among the clean rows, several to an id.

    Raises:
        QualityError: something critical fails that is not the fault of single rows, or cannot be evaluated.
    """
    verdict = _run_guard(rows, row_count, plan, copies)
    known = None if verdict.status is Status.PASSED else store.find_known(rows.select("event_id"))
    if known is not None:
        rows = rows.anti_join(known, "event_id")
        copies = None if copies is None else copies.anti_join(known, "event_id")
        row_count = rows.count().to_pyarrow().as_py()
        if not row_count:
            return GuardResult(None, known)
        verdict = _run_guard(rows, row_count, plan, copies)
    verdict_history.save_verdict(store, verdict)
    if verdict.blocking:
        faults = "; ".join(
            f"{check.description} ({check.id}): {check.observed or check.state}" for check in verdict.blocking
        )
        msg = f"{plan.label}: nothing is accepted: {faults}; see {_suite(plan).path}"
        raise QualityError(msg)
    return GuardResult(verdict, known)


def failing_rows(verdict: Verdict, plan: LoadPlan) -> ibis.Table:
    """The rows that fail, in `REJECTED_COLUMNS`: the event as JSON is their text.

    Args:
        verdict: what they fail.
        plan: the load; a suite that does not come with the package is named in the reasons, for a release.
    """
    suite = _suite(plan)
    failing: ibis.Table = verdict.quarantine
    values = {name: _to_json_value(failing[name]) for name in SCHEMA if name != "ingested_at"}
    event = ibis.struct({**values, "timestamp": failing["timestamp"].strftime(_INSTANT)})
    prefix = GUARD_PREFIX if suite.shipped else f"{GUARD_PREFIX}({suite.path}) "
    reason = ibis.literal(prefix) + failing[REASONS].replace("; ", f"; {prefix}")
    text = ibis.literal("") + to_json(event)  # DuckDB's JSON is a type of its own, other rows' texts are none
    return failing.mutate(_raw=text, _reason=reason, _header=ibis.null("string")).select(*REJECTED_COLUMNS)


def _suite(plan: LoadPlan) -> Suite:
    if plan.suite is None:
        msg = "a load without a suite has no expectations to check"
        raise ValueError(msg)
    return plan.suite


def _run_guard(rows: ibis.Table, row_count: int, plan: LoadPlan, copies: ibis.Table | None) -> Verdict:
    suite = _suite(plan)
    about = {"load": plan.load_id, "source": plan.source_name, "files": plan.label, "shipped": suite.shipped}
    subject = _hold(add_list_difference(rows), row_count)
    verdict = guard(subject, suite, now=plan.now, scope="load", about=about, acceptances=plan.acceptances)
    return _check_copies(verdict, rows, copies, plan) if copies is not None and verdict.quarantined else verdict


def _check_copies(first: Verdict, rows: ibis.Table, copies: ibis.Table, plan: LoadPlan) -> Verdict:
    """The verdict with all copies of the rows that fail; whether ids are unique, the first verdict says."""
    ids = first.quarantine.select("event_id").distinct()  # type: ignore[union-attr]  # this verdict has one
    failing = copies.semi_join(ids, "event_id")
    count = failing.count().to_pyarrow().as_py()
    if count == first.quarantined:
        return first
    others = rows.anti_join(ids, "event_id")
    suite = _suite(plan)
    rest = tuple(one for one in suite.expectations if not (one.type in _UNIQUENESS and "event_id" in one.columns))
    every = _hold(add_list_difference(others.union(failing.select(*others.columns))), (first.rows or 0) + count)
    verdict = guard(
        every,
        replace(suite, expectations=rest),
        now=plan.now,
        scope="load",
        about=first.about,
        acceptances=plan.acceptances,
    )
    checks = {check.id: check for check in verdict.checks}
    return replace(verdict, checks=tuple(checks.get(check.id, check) for check in first.checks))


def _hold(rows: ibis.Table, row_count: int) -> ibis.Table:
    """The rows so that several looks cost little: in memory where they are few, else under a name."""
    if row_count > MAX_ROWS_IN_MEMORY:
        return name_rows(rows)
    con: Backend = rows.get_backend()
    return con.create_table(gen_name("rows"), rows.drop("_raw", "_reason"), temp=True)


def _to_json_value(value: ir.Value) -> ir.Value:
    """A value that JSON can hold: a number that is infinite or NaN becomes a text."""
    if not value.type().is_floating():
        return value
    odd = value.isnan() | value.isinf()
    return ibis.ifelse(odd.fill_null(False), to_json(value.cast("string")), to_json(value))  # noqa: FBT003
