"""The guard: a suite and a table -> a verdict. Great Expectations judges, Ibis computes; only here it is imported.

Great Expectations names the metrics that an expectation needs (`get_validation_dependencies`), Ibis computes them in
the table's engine, all aggregates in one scan, and Great Expectations judges (`metrics_validate`). It takes seconds to
import and would report home: it is imported when something has to be judged, and neither a data context nor a data
source of it is ever made, which is what would report.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import ibis

from hanzo_reports.errors import SuiteError, nearest
from hanzo_reports.quality import metrics, queries
from hanzo_reports.quality.findings import breakdown, examples, seen_rows, seen_table
from hanzo_reports.quality.measure import Scan, Subject, in_a_line
from hanzo_reports.quality.rows import column, condition
from hanzo_reports.quality.screen import COUNTS, screened
from hanzo_reports.quality.split import REASONS, split
from hanzo_reports.quality.verdict import Check, State, Verdict
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import ibis.expr.types as ir

    from hanzo_reports.quality.measure import Counted
    from hanzo_reports.quality.suites import Expectation, Suite

SAMPLE = 10_000  # rows that an expectation sees that Great Expectations has to compute itself
TYPED = {"expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"}  # each engine has its own
_BASIC = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}}


def guard(
    table: ir.Table,
    suite: Suite,
    *,
    now: datetime,
    scope: str = "store",
    about: Mapping[str, Any] | None = None,
) -> Verdict:
    """What a suite says about a table.

    Args:
        table: any Ibis table; it is judged where it lives, and memory does not grow with it.
        suite: as `hanzo_reports.quality.suites.suite` reads it.
        now: the instant of asking, with a UTC offset.
        scope: ``store``, or ``load`` for rows before their commit. A load in which no row is unexpected passes by the
            counts alone, without loading Great Expectations: none of its expectations fails a table without faults.
        about: what was looked at, for the verdict's reader.

    Returns:
        The verdict; its `clean` and `quarantine` are tables that are computed when they are asked for.

    Raises:
        SuiteError: an expectation has an unknown type, or arguments that its type does not take.
    """
    told = {
        "about": dict(about or {}),
        "clean": table,
        "quarantine": table.limit(0).mutate(**{REASONS: ibis.literal("")}),
    }
    frame = Verdict(suite.name, suite.title, iso(now), scope, suite.skip, None, 0, (), "", **told)
    if suite.skip:
        return frame
    subject = Subject(table, suite)
    if scope == "load" and (screen := screened(subject)):
        return replace(frame, rows=screen.rows, checks=screen.checks, judge=COUNTS)
    judged = _Bench(subject).judged()
    judge = f"great_expectations/{version('great-expectations')}"
    frame = replace(frame, rows=judged.rows, checks=judged.checks, judge=judge)
    failed = {
        check.id: (subject.tests[check.id], check.description)
        for check in judged.checks
        if check.severity == "critical" and check.state is State.FAILED and check.level == "row"
    }
    if not failed:
        return frame
    clean, bad = split(subject.flagged, failed, table.columns)
    return replace(frame, quarantined=int(bad.count().to_pyarrow().as_py()), clean=clean, quarantine=bad)


@dataclass(frozen=True)
class _Judged:
    rows: int
    checks: tuple[Check, ...]


class _Bench:
    """One sitting: each expectation asks for its measurements, one scan answers, each is judged."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._expectations = {one.id: _built(subject.suite, one) for one in subject.suite.expectations}

    def judged(self) -> _Judged:
        """All checks, in the suite's order."""
        scan = Scan(self._subject.flagged)
        rows = scan.add(self._subject.flagged.count())
        waiting = {one.id: self._asked(one, scan) for one in self._subject.suite.expectations}
        try:
            scan.run()
        except Exception:  # noqa: BLE001  # each engine has errors of its own; each expectation is tried by itself
            waiting = {one.id: self._alone(one) for one in self._subject.suite.expectations}
            scan = Scan(self._subject.table)
            rows = scan.add(self._subject.table.count())
            scan.run()
        return _Judged(
            int(rows()), tuple(self._check(one, waiting[one.id]) for one in self._subject.suite.expectations)
        )

    def _asked(self, one: Expectation, scan: Scan) -> Callable[[], Check] | Check:
        """A check that is known after the scan, or already."""
        missing = [name for name in one.meta.get("needs", ()) if name not in self._subject.table.columns]
        if missing:
            return _blank(one, State.SKIPPED, str(one.meta.get("otherwise", f"the table has no {missing[0]}")))
        if one.id in self._subject.errors:
            return _blank(one, State.ERROR, self._subject.errors[one.id])
        try:
            if one.id in self._subject.tests:
                counted = self._subject.counts(scan, one)
                return lambda: self._of_rows(one, counted())
            return self._of_table(one, scan)
        except Exception as error:  # noqa: BLE001  # whatever keeps it from being evaluated is told, and is no pass
            return _blank(one, State.ERROR, in_a_line(error))

    def _alone(self, one: Expectation) -> Callable[[], Check] | Check:
        """The same with a scan of its own, so that the one that fails is found."""
        scan = Scan(self._subject.flagged)
        asked = self._asked(one, scan)
        try:
            scan.run()
        except Exception as error:  # noqa: BLE001  # as above
            return _blank(one, State.ERROR, in_a_line(error))
        return asked

    @staticmethod
    def _check(one: Expectation, waiting: Callable[[], Check] | Check) -> Check:
        if isinstance(waiting, Check):
            return waiting
        try:
            return waiting()
        except Exception as error:  # noqa: BLE001  # as above
            return _blank(one, State.ERROR, in_a_line(error))

    def _of_rows(self, one: Expectation, counted: Counted) -> Check:
        test, expectation = self._subject.tests[one.id], self._expectations[one.id]
        values = {need.id: _count(need.metric_name, test.metric, counted) for need in _needs(expectation) or ()}
        passed = bool(expectation.metrics_validate(values, runtime_configuration=dict(_BASIC)).success)
        found = _blank(one, State.PASSED if passed else State.FAILED, seen_rows(counted))
        found = replace(found, level="row", unexpected=counted.unexpected, rows=counted.looked_at - counted.nulls)
        if not counted.unexpected:
            return found
        at_stake, groups = breakdown(self._subject.flagged, test, one)
        return replace(found, at_stake=at_stake, groups=groups, examples=examples(self._subject.flagged, test, one))

    def _of_table(self, one: Expectation, scan: Scan) -> Callable[[], Check] | Check:
        expectation = self._expectations[one.id]
        needs = _needs(expectation)
        if one.type in TYPED or needs is None or not all(_known(need.metric_name) for need in needs):
            return lambda: self._sampled(one)
        values = {need.id: self._value(need, one, scan) for need in needs}

        def judged() -> Check:
            found = {name: metrics.compared(value()) for name, value in values.items()}
            result = expectation.metrics_validate(found, runtime_configuration=dict(_BASIC))
            state = State.PASSED if result.success else State.FAILED
            return _blank(one, state, seen_table(one, result.result, self._subject.table))

        return judged

    def _value(self, need: Any, one: Expectation, scan: Scan) -> Callable[[], Any]:  # noqa: ANN401
        name, table = need.metric_name, self._subject.flagged
        if name in metrics.SCHEMA:
            return lambda: metrics.SCHEMA[name](self._subject.table)
        if name.startswith(queries.METRIC):
            found = queries.answered(self._subject.table, one.kwargs["unexpected_rows_query"])
            if name.endswith("row_count"):
                return lambda: int(found.count().to_pyarrow().as_py())
            return lambda: found.limit(metrics.SHOWN).to_pyarrow().to_pylist()
        of = need.metric_domain_kwargs.get("column") or ""
        domain = metrics.Domain(table, condition(one), of, need.metric_value_kwargs)
        if name in metrics.AGGREGATES:
            return scan.add(metrics.AGGREGATES[name](domain))
        return lambda: metrics.QUERIES[name](domain)

    def _sampled(self, one: Expectation) -> Check:
        """An expectation that only Great Expectations' own engine can compute, on the first rows."""
        from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine  # noqa: PLC0415
        from great_expectations.validator.metrics_calculator import MetricsCalculator  # noqa: PLC0415

        for name in one.columns:
            column(self._subject.table, name)
        expectation = self._expectations[one.id]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pandas says to Great Expectations
            frame = self._subject.table.limit(SAMPLE).to_pandas()
            engine = PandasExecutionEngine(batch_data_dict={"sample": frame})
            needs = expectation.get_validation_dependencies(engine, dict(_BASIC)).get_metric_configurations()
            calculator = MetricsCalculator(execution_engine=engine, show_progress_bars=False)
            values, _ = calculator.compute_metrics(needs, runtime_configuration=dict(_BASIC))
            result = expectation.metrics_validate(values, dict(_BASIC), execution_engine=engine)
        state = State.PASSED if result.success else State.FAILED
        text = f"{seen_table(one, result.result, self._subject.table)}; judged on a sample of {len(frame):,} rows"
        return replace(_blank(one, state, text.removeprefix("; ")), sample=len(frame))


def _blank(one: Expectation, state: State, seen: str) -> Check:
    return Check(one.id, one.type, one.severity, one.description, "table", state, seen)


def _count(metric: str, own: str, counted: Counted) -> int | list[Any]:
    """The value of one of the metrics that a row expectation asks for; its own map metric is `own`."""
    of, _, what = metric.rpartition(".")
    if of == own and what in {"unexpected_count", "row_count"}:
        return counted.unexpected
    if of == "column_values.nonnull" and what == "unexpected_count":
        return counted.nulls
    return {"row_count": counted.rows, "filtered_row_count": counted.looked_at}.get(what, [])


def _needs(expectation: Any) -> list[Any] | None:  # noqa: ANN401  # an Expectation, which this module alone knows
    """The metrics that an expectation asks for; None: only its own engine can tell."""
    try:
        needs: list[Any] = expectation.get_validation_dependencies(
            runtime_configuration=dict(_BASIC)
        ).get_metric_configurations()
    except AssertionError:  # "An execution_engine is required"
        return None
    return needs


def _known(metric: str) -> bool:
    kinds = (metrics.SCHEMA, metrics.AGGREGATES, metrics.QUERIES)
    return any(metric in kind for kind in kinds) or metric.startswith(queries.METRIC)


@cache
def _library() -> tuple[Callable[..., Any], type[Exception], type[Exception], frozenset[str]]:
    """What is needed of Great Expectations: how an expectation is made, how that fails, and all types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the packages that it imports
        from great_expectations.compatibility.pydantic import ValidationError  # noqa: PLC0415  # takes seconds
        from great_expectations.exceptions.exceptions import GreatExpectationsError  # noqa: PLC0415
        from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415
            ExpectationConfiguration,
        )
        from great_expectations.expectations.registry import (  # noqa: PLC0415
            list_registered_expectation_implementations as types,
        )

    return ExpectationConfiguration, ValidationError, GreatExpectationsError, frozenset(types())


def _built(suite: Suite, one: Expectation) -> Any:  # noqa: ANN401
    """An expectation as Great Expectations has it."""
    make, invalid, wrong, types = _library()
    where = f"{suite.path}: {one.id}"
    if one.type not in types:
        close = nearest(one.type, types)
        hint = f"did you mean {close!r}?" if close else "see the gallery of Great Expectations for its types"
        msg = f"{where}: unknown expectation type {one.type!r}; {hint}"
        raise SuiteError(msg)
    try:
        return make(type=one.type, kwargs=dict(one.kwargs), severity=one.severity).to_domain_obj()
    except (invalid, wrong, TypeError, ValueError) as error:
        msg = f"{where}: {one.type} does not take these arguments: {in_a_line(error)}"
        raise SuiteError(msg) from None
