"""A look at what is stored: the table that a suite is about, judged, and the verdict kept."""

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
from hanzo_reports.quality import records
from hanzo_reports.quality.daily import daily
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.parameters import DEFAULTS, parameters
from hanzo_reports.quality.suites import suite
from hanzo_reports.store.duckdb_session import materialize

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis

    from hanzo_reports.quality.suites import Suite
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.store.base import Store
    from hanzo_reports.window import Window


def inspected(
    store: Store, name: str, window: Window, *, now: datetime, given: Mapping[str, str] | None = None
) -> Verdict:
    """What a suite says about a store, kept beside its data.

    Args:
        store: where the events are.
        name: a suite of the package, or the path of a YAML file.
        window: the events that are looked at.
        now: the instant of asking, with a UTC offset.
        given: parameters of the suite.

    Raises:
        UnknownNameError: there is no such suite, or it has no such parameter.
        SuiteError: the suite cannot be read.
        StoreError: the store cannot be read.
    """
    asked = suite(name, parameters(now, given or {}))
    for key in given or {}:
        if key not in asked.parameters | DEFAULTS.keys():
            raise UnknownNameError("parameter", key, sorted(asked.parameters | DEFAULTS.keys()), str(asked.path))
    if asked.table == "bill" and not asked.skip and not has_bills(store):
        asked = replace(asked, skip="no bill is loaded; load one with `hanzo-reports bill FILE`")
    about: dict[str, Any] = {"store": store.url, "version": store.version, "window": window.name, **window.as_json(),
                             "shipped": asked.shipped}  # fmt: skip
    table = store.events().limit(0) if asked.skip else _table(store, asked, window, now)
    verdict = guard(table, asked, now=now, about=about)
    records.save(store, verdict)
    return verdict


def _table(store: Store, asked: Suite, window: Window, now: datetime) -> ibis.Table:
    if asked.table == "daily":
        return materialize(daily(store.events(None, window.end), window))
    if asked.table == "bill":
        return materialize(reconciliation(store, window, list_name=list_name))
    if window.end >= now:  # what claims to be later is in no range, and has to be seen
        window = replace(window, end=datetime.max.replace(tzinfo=UTC))
    return compare_with_list(filter_events(store.events(window.start, window.end), window, None, ()))
