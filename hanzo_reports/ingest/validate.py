"""The gate of a load: its rows before the guard, and what becomes of those that do not pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ibis
from ibis.util import gen_name

from hanzo_reports.errors import QualityError, SuiteError
from hanzo_reports.events import SCHEMA
from hanzo_reports.ingest.mapping import to_json
from hanzo_reports.ingest.staging import named
from hanzo_reports.pricing.list_price import add_list_difference
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.parameters import suite_parameters
from hanzo_reports.quality.quarantine import GUARD_PREFIX
from hanzo_reports.quality.row_tests import TYPES, UNIQUE
from hanzo_reports.quality.split import REASONS
from hanzo_reports.quality.suites import load_suite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

    from hanzo_reports.quality.acceptance import Acceptance
    from hanzo_reports.quality.suites import Suite
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.store.base import Store

GUARD = "events"  # the suite that every load meets unless it is told otherwise
FEW = 250_000  # rows that are held in memory, about 50 MiB
REJECTED = ("_raw", "_reason", "_file", "_row", "_header")
SINGLE = {kind for kind, metric in TYPES.items() if metric in UNIQUE}
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"


def expected(name: str, now: datetime) -> Suite:
    """The suite of a load.

    Raises:
        UnknownNameError: there is no such suite.
        SuiteError: it cannot be read, or is about another table.
    """
    found = load_suite(name, suite_parameters(now, {}))
    if found.table != "events":
        msg = f"{found.path} is about {found.table!r}; a load is judged by a suite about 'events'"
        raise SuiteError(msg)
    return found


def judged(  # noqa: PLR0913, PLR0917  # all of them are what is judged, by what and when
    store: Store,
    rows: ibis.Table,
    count: int,
    asked: Suite,
    now: datetime,
    about: Mapping[str, Any],
    copies: ibis.Table | None = None,
    acceptances: Sequence[Acceptance] = (),
) -> Verdict:
    """The verdict on the rows of a load, kept beside the data.

    Args:
        store: where the rows are to go.
        rows: priced events that are well-formed, each id once.
        count: how many.
        asked: the suite.
        now: when they are accepted.
        about: the load.
        copies: the same with all rows that share an id; None: each id is there once. Where the one that would stay is
            held back, the others are judged as well, and may be among the clean rows, several to an id.
        acceptances: events that pass in spite of a check.

    Raises:
        QualityError: something critical fails that is no row's own fault, or cannot be evaluated.
    """
    about = {**about, "shipped": asked.shipped}
    verdict = guard(
        _held(add_list_difference(rows), count), asked, now=now, scope="load", about=about, acceptances=acceptances
    )
    if copies is not None and verdict.quarantined:
        verdict = _with_copies(verdict, rows, copies, asked, acceptances)
    verdict_history.save_verdict(store, verdict)
    if verdict.blocking:
        faults = "; ".join(f"{one.description} ({one.id}): {one.observed or one.state}" for one in verdict.blocking)
        msg = f"{about['files']}: nothing is accepted: {faults}; see {asked.path}"
        raise QualityError(msg)
    return verdict


def _with_copies(
    first: Verdict, rows: ibis.Table, copies: ibis.Table, asked: Suite, acceptances: Sequence[Acceptance]
) -> Verdict:
    """The verdict with all copies of what was held back; that ids are unique, the first verdict tells."""
    ids = first.quarantine.select("event_id").distinct()  # type: ignore[union-attr]  # it was just made
    some = copies.semi_join(ids, "event_id")
    count = some.count().to_pyarrow().as_py()
    if count == first.quarantined:
        return first
    others = rows.anti_join(ids, "event_id")
    kept = tuple(one for one in asked.expectations if not (one.type in SINGLE and "event_id" in one.columns))
    every = _held(add_list_difference(others.union(some.select(*others.columns))), (first.rows or 0) + count)
    found = guard(
        every,
        replace(asked, expectations=kept),
        now=datetime.fromisoformat(first.at),
        scope="load",
        about=first.about,
        acceptances=acceptances,
    )
    checks = {check.id: check for check in found.checks}
    return replace(found, checks=tuple(checks.get(check.id, check) for check in first.checks))


def _held(rows: ibis.Table, count: int) -> ibis.Table:
    """The rows so that several looks cost little: in memory where they are few, else under a name."""
    if count > FEW:
        return named(rows)
    con: Backend = rows.get_backend()
    return con.create_table(gen_name("judged"), rows.drop("_raw", "_reason"), temp=True)


def unheld(verdict: Verdict) -> ibis.Table:
    """The rows that go on."""
    clean: ibis.Table = verdict.clean
    return clean


def withheld(verdict: Verdict, asked: Suite) -> ibis.Table:
    """The rows that go to the quarantine, in REJECTED's columns: the event as JSON is their text.

    Args:
        verdict: what holds them back.
        asked: by which suite; one that does not come with the package is named in the reasons, for a release.
    """
    bad: ibis.Table = verdict.quarantine
    values = {name: _written(bad[name]) for name in SCHEMA if name != "ingested_at"}
    event = ibis.struct({**values, "timestamp": bad["timestamp"].strftime(_INSTANT)})
    begin = GUARD_PREFIX if asked.shipped else f"{GUARD_PREFIX}({asked.path}) "
    reason = ibis.literal(begin) + bad[REASONS].replace("; ", f"; {begin}")
    text = ibis.literal("") + to_json(event)  # DuckDB's JSON is a type of its own, other rows' texts are none
    return bad.mutate(_raw=text, _reason=reason, _header=ibis.null("string")).select(*REJECTED)


def _written(value: ir.Value) -> ir.Value:
    """A value that JSON has a way to write: a number that is none, or without end, as a text."""
    if not value.type().is_floating():
        return value
    odd = value.isnan() | value.isinf()
    return ibis.ifelse(odd.fill_null(False), to_json(value.cast("string")), to_json(value))  # noqa: FBT003
