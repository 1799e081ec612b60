"""The guard: checks a table by a suite and gives a verdict. Only this module imports Great Expectations.

Great Expectations names the metrics that an expectation needs (`get_validation_dependencies`), Ibis computes them in
the table's engine, all aggregates in one scan, and Great Expectations judges them (`metrics_validate`). Its import
takes seconds, so it happens only when there is something to judge. It sends usage statistics from data contexts and
data sources; none of them is ever created here.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import ibis

from hanzo_reports.errors import SuiteError, nearest
from hanzo_reports.quality import queries, table_metrics
from hanzo_reports.quality.findings import break_down, describe_rows, describe_table, find_examples
from hanzo_reports.quality.measure import Scan, Subject, one_line
from hanzo_reports.quality.predicates import get_column, row_condition
from hanzo_reports.quality.quick_check import COUNTS, pass_by_counts
from hanzo_reports.quality.split import REASONS, split_rows
from hanzo_reports.quality.verdict import Check, State, Verdict
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from hanzo_reports.quality.acceptance import Acceptance
    from hanzo_reports.quality.measure import RowCounts
    from hanzo_reports.quality.suites import Expectation, Suite

SAMPLE_SIZE = 10_000  # rows for an expectation that only Great Expectations itself can compute
ENGINE_TYPES = {
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_in_type_list",
}  # each engine has its own
_BASIC = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}}


def guard(  # noqa: PLR0913  # the table, the suite, and what the verdict says about both
    table: ir.Table,
    suite: Suite,
    *,
    now: datetime,
    scope: str = "store",
    about: Mapping[str, Any] | None = None,
    acceptances: Sequence[Acceptance] = (),
) -> Verdict:
    """Checks a table by a suite.

    Args:
        table: any Ibis table; it is checked where it lives, and memory does not grow with it.
        suite: from `hanzo_reports.quality.suites.load_suite`.
        now: the instant of asking, with a UTC offset.
        scope: ``store``, or ``load`` for rows before their commit. A load in which no row is unexpected passes by the
            counts alone, without importing Great Expectations, whose answer would be the same.
        about: what is checked, for the verdict's reader.
        acceptances: events that pass in spite of a check; they count where the table has the column `event_id`.

    Returns:
        The verdict; its `clean` and `quarantine` are expressions, computed when they are executed.

    Raises:
        SuiteError: an expectation has an unknown type, or arguments that its type does not take.
    """
    verdict = Verdict(
        suite.name, suite.title, iso(now), scope, suite.skip, None, 0, (), "", dict(about or {}), table,
        table.limit(0).mutate(**{REASONS: ibis.literal("")}),
    )  # fmt: skip
    if suite.skip:
        return verdict
    subject = Subject(table, suite, acceptances)
    if scope == "load" and (quick := pass_by_counts(subject)):
        return replace(verdict, rows=quick.rows, checks=quick.checks, judge=COUNTS)
    rows, checks = _Checker(subject).check_all()
    verdict = replace(verdict, rows=rows, checks=checks, judge=f"great_expectations/{version('great-expectations')}")
    failed = {
        check.id: (subject.tests[check.id], check.description)
        for check in checks
        if check.severity == "critical" and check.state is State.FAILED and check.level == "row"
    }
    if not failed:
        return verdict
    clean, bad = split_rows(subject.flagged, failed, table.columns)
    return replace(verdict, quarantined=int(bad.count().to_pyarrow().as_py()), clean=clean, quarantine=bad)


class _Checker:
    """Checks one table: each expectation registers its measurements, one scan computes them, each is judged.

    Args:
        subject: the table and the suite.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._expectations = {one.id: _build(subject.suite, one) for one in subject.suite.expectations}

    def check_all(self) -> tuple[int, tuple[Check, ...]]:
        """The number of rows, and all checks in the suite's order."""
        scan = Scan(self._subject.flagged)
        rows = scan.add(self._subject.flagged.count())
        pending = {one.id: self._register(one, scan) for one in self._subject.suite.expectations}
        try:
            scan.run()
        except Exception:  # noqa: BLE001  # each engine has errors of its own; each expectation is tried by itself
            pending = {one.id: self._register_alone(one) for one in self._subject.suite.expectations}
            scan = Scan(self._subject.table)
            rows = scan.add(self._subject.table.count())
            scan.run()
        return int(rows()), tuple(self._finish(one, pending[one.id]) for one in self._subject.suite.expectations)

    def _register(self, one: Expectation, scan: Scan) -> Callable[[], Check] | Check:
        """A check that is known after the scan, or already."""
        missing = [name for name in one.meta.get("needs", ()) if name not in self._subject.table.columns]
        if missing:
            return _new_check(one, State.SKIPPED, str(one.meta.get("otherwise", f"the table has no {missing[0]}")))
        if one.id in self._subject.errors:
            return _new_check(one, State.ERROR, self._subject.errors[one.id])
        try:
            if one.id in self._subject.tests:
                counts = self._subject.counts(scan, one)
                return lambda: self._check_rows(one, counts())
            return self._register_table(one, scan)
        except Exception as error:  # noqa: BLE001  # what prevents its evaluation is reported, and never passes
            return _new_check(one, State.ERROR, one_line(error))

    def _register_alone(self, one: Expectation) -> Callable[[], Check] | Check:
        """The same with a scan of its own, which finds the expectation that fails."""
        scan = Scan(self._subject.flagged)
        pending = self._register(one, scan)
        try:
            scan.run()
        except Exception as error:  # noqa: BLE001  # as above
            return _new_check(one, State.ERROR, one_line(error))
        return pending

    @staticmethod
    def _finish(one: Expectation, pending: Callable[[], Check] | Check) -> Check:
        if isinstance(pending, Check):
            return pending
        try:
            return pending()
        except Exception as error:  # noqa: BLE001  # as above
            return _new_check(one, State.ERROR, one_line(error))

    def _check_rows(self, one: Expectation, counts: RowCounts) -> Check:
        test, expectation = self._subject.tests[one.id], self._expectations[one.id]
        values = {need.id: _row_metric(need.metric_name, test.metric, counts) for need in _needs(expectation) or ()}
        passed = bool(expectation.metrics_validate(values, runtime_configuration=dict(_BASIC)).success)
        state = State.FAILED if not passed else State.ACCEPTED if counts.accepted else State.PASSED
        check = replace(
            _new_check(one, state, describe_rows(counts)), level="row", unexpected=counts.unexpected,
            rows=counts.tested - counts.nulls, accepted=tuple(one.as_json(rows) for one, rows in counts.accepted),
        )  # fmt: skip
        if not counts.unexpected:
            return check
        at_stake, groups = break_down(self._subject.flagged, test, one)
        return replace(
            check, at_stake=at_stake, groups=groups, examples=find_examples(self._subject.flagged, test, one)
        )

    def _register_table(self, one: Expectation, scan: Scan) -> Callable[[], Check] | Check:
        expectation = self._expectations[one.id]
        needs = _needs(expectation)
        if one.type in ENGINE_TYPES or needs is None or not all(_is_computed_here(need.metric_name) for need in needs):
            return lambda: self._check_sample(one)
        pending = {need.id: self._register_metric(need, one, scan) for need in needs}

        def check_table() -> Check:
            values = {name: table_metrics.with_zone(value()) for name, value in pending.items()}
            result = expectation.metrics_validate(values, runtime_configuration=dict(_BASIC))
            state = State.PASSED if result.success else State.FAILED
            return _new_check(one, state, describe_table(one, result.result, self._subject.table))

        return check_table

    def _register_metric(self, need: Any, one: Expectation, scan: Scan) -> Callable[[], Any]:  # noqa: ANN401
        name, table = need.metric_name, self._subject.flagged
        if name in table_metrics.SCHEMA:
            return lambda: table_metrics.SCHEMA[name](self._subject.table)
        if name.startswith(queries.METRIC):
            unexpected = queries.run_query(self._subject.table, one.kwargs["unexpected_rows_query"])
            if name.endswith("row_count"):
                return lambda: int(unexpected.count().to_pyarrow().as_py())
            return lambda: unexpected.limit(table_metrics.MAX_VALUES).to_pyarrow().to_pylist()
        column = need.metric_domain_kwargs.get("column") or ""
        domain = table_metrics.Domain(table, row_condition(one), column, need.metric_value_kwargs)
        if name in table_metrics.AGGREGATES:
            return scan.add(table_metrics.AGGREGATES[name](domain))
        return lambda: table_metrics.QUERIES[name](domain)

    def _check_sample(self, one: Expectation) -> Check:
        """Checks the first rows by an expectation that only Great Expectations' own engine can compute."""
        from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine  # noqa: PLC0415
        from great_expectations.validator.metrics_calculator import MetricsCalculator  # noqa: PLC0415

        for name in one.columns:
            get_column(self._subject.table, name)
        expectation = self._expectations[one.id]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas, about Great Expectations
            frame = self._subject.table.limit(SAMPLE_SIZE).to_pandas()
            engine = PandasExecutionEngine(batch_data_dict={"sample": frame})
            needs = expectation.get_validation_dependencies(engine, dict(_BASIC)).get_metric_configurations()
            calculator = MetricsCalculator(execution_engine=engine, show_progress_bars=False)
            values, _ = calculator.compute_metrics(needs, runtime_configuration=dict(_BASIC))
            result = expectation.metrics_validate(values, dict(_BASIC), execution_engine=engine)
        state = State.PASSED if result.success else State.FAILED
        text = f"{describe_table(one, result.result, self._subject.table)}; judged on a sample of {len(frame):,} rows"
        return replace(_new_check(one, state, text.removeprefix("; ")), sample=len(frame))


def _new_check(one: Expectation, state: State, observed: str) -> Check:
    return Check(one.id, one.type, one.severity, one.description, "table", state, observed)


def _row_metric(metric: str, map_metric: str, counts: RowCounts) -> int | list[Any]:
    """The value of a metric that a row expectation needs; `map_metric` is the one that tests its rows."""
    domain, _, what = metric.rpartition(".")
    if domain == map_metric and what in {"unexpected_count", "row_count"}:
        return counts.unexpected
    if domain == "column_values.nonnull" and what == "unexpected_count":
        return counts.nulls
    return {"row_count": counts.rows, "filtered_row_count": counts.tested}.get(what, [])


def _needs(expectation: Any) -> list[Any] | None:  # noqa: ANN401  # an Expectation of Great Expectations
    """The metrics that an expectation needs; None: it says so only to an engine of its own."""
    try:
        needs: list[Any] = expectation.get_validation_dependencies(
            runtime_configuration=dict(_BASIC)
        ).get_metric_configurations()
    except AssertionError:  # "An execution_engine is required"
        return None
    return needs


def _is_computed_here(metric: str) -> bool:
    kinds = (table_metrics.SCHEMA, table_metrics.AGGREGATES, table_metrics.QUERIES)
    return any(metric in kind for kind in kinds) or metric.startswith(queries.METRIC)


@cache
def _library() -> tuple[Callable[..., Any], type[Exception], type[Exception], frozenset[str]]:
    """What is used of Great Expectations: the maker of expectations, its two errors, and the names of all types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from packages that it imports
        from great_expectations.compatibility.pydantic import ValidationError  # noqa: PLC0415  # takes seconds
        from great_expectations.exceptions.exceptions import GreatExpectationsError  # noqa: PLC0415
        from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415
            ExpectationConfiguration,
        )
        from great_expectations.expectations.registry import (  # noqa: PLC0415
            list_registered_expectation_implementations as types,
        )

    return ExpectationConfiguration, ValidationError, GreatExpectationsError, frozenset(types())


def _build(suite: Suite, one: Expectation) -> Any:  # noqa: ANN401
    """An expectation as an object of Great Expectations."""
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
        msg = f"{where}: {one.type} does not take these arguments: {one_line(error)}"
        raise SuiteError(msg) from None
