"""Checks what a store holds: the table that a suite is about, guarded, and the verdict stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hanzo_reports.billing.bill_lines import has_bills
from hanzo_reports.billing.reconciliation import reconciliation
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.metrics.query import filter_events
from hanzo_reports.pricing.list_price import compare_with_list
from hanzo_reports.pricing.price_cards import list_name
from hanzo_reports.quality import verdict_history
from hanzo_reports.quality.acceptance import load_acceptances
from hanzo_reports.quality.daily import daily
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.parameters import DEFAULTS, suite_parameters
from hanzo_reports.quality.suites import load_suite
from hanzo_reports.store.duckdb_session import materialize

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis

    from hanzo_reports.quality.suites import Suite
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.store.base import Store
    from hanzo_reports.window import Window


def check_store(
    store: Store, name: str, window: Window, *, now: datetime, overrides: Mapping[str, str] | None = None
) -> Verdict:
    """Checks a store by a suite and stores the verdict beside its data.

    Args:
        store: where the events are.
        name: a suite of the package, or the path of a YAML file.
        window: the events to check.
        now: the instant of asking, with a UTC offset.
        overrides: values of the suite's parameters, as text.

    Raises:
        UnknownNameError: there is no such suite, or it has no such parameter.
        SuiteError: the suite cannot be read.
        StoreError: the store cannot be read.
    """
    suite = load_suite(name, suite_parameters(now, overrides or {}))
    for key in overrides or {}:
        if key not in suite.parameters | DEFAULTS.keys():
            raise UnknownNameError("parameter", key, sorted(suite.parameters | DEFAULTS.keys()), str(suite.path))
    if suite.table == "bill" and not suite.skip and not has_bills(store):
        suite = replace(suite, skip="no bill is loaded; load one with `hanzo-reports bill FILE`")
    about: dict[str, Any] = {"store": store.url, "version": store.version, "window": window.name, **window.as_json(),
                             "shipped": suite.shipped}  # fmt: skip
    table = store.events().limit(0) if suite.skip else _table(store, suite, window, now)
    acceptances = load_acceptances(store, suite) if suite.table == "events" and not suite.skip else ()
    verdict = guard(table, suite, now=now, about=about, acceptances=acceptances)
    verdict_history.save_verdict(store, verdict)
    return verdict


def _table(store: Store, suite: Suite, window: Window, now: datetime) -> ibis.Table:
    if suite.table == "daily":
        return materialize(daily(store.events(None, window.end), window))
    if suite.table == "bill":
        return materialize(reconciliation(store, window, list_name=list_name))
    if window.end >= now:  # events from the future are in no range, and must be checked too
        window = replace(window, end=datetime.max.replace(tzinfo=UTC))
    return compare_with_list(filter_events(store.events(window.start, window.end), window, None, ()))
