"""A store, a zone and a now: what a person, a notebook or a script asks its questions of."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports import store as stores
from hanzo_reports.errors import StoreError, UsageError
from hanzo_reports.metrics import compare, cost, health, usage
from hanzo_reports.metrics.query import selected
from hanzo_reports.result import Result
from hanzo_reports.settings import Settings
from hanzo_reports.store.address import public
from hanzo_reports.window import Window, instant, iso, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    import ibis

    from hanzo_reports.alerts.budgets import Budgets
    from hanzo_reports.alerts.decision import Decision
    from hanzo_reports.forecast import Forecast
    from hanzo_reports.forecast.anomalies import Anomaly
    from hanzo_reports.forecast.series import Key
    from hanzo_reports.ingest.bills import Billed
    from hanzo_reports.ingest.load import Loaded
    from hanzo_reports.ingest.release import Released
    from hanzo_reports.metrics.query import Where
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.reports.run import Run
    from hanzo_reports.store.base import Store

SUMMARY = ("requests", "tokens", "cost")
SAMPLE = "sample"  # the source that synthetic events are loaded as


@dataclass(frozen=True)
class Workspace:
    """One store, looked at from one zone at one instant.

    Args:
        store: where the events live.
        timezone: the IANA zone in which days, weeks and months are cut.
        now: the instant that ranges end at.
        address: the store's, as it was given; unlike the store's own, it may hold a password.
    """

    store: Store
    timezone: str
    now: datetime
    address: str = field(default="", repr=False)

    @property
    def events(self) -> ibis.Table:
        """All events, as an Ibis table of the columns of `hanzo_reports.events`."""
        return self.store.events()

    def window(self, range: str | Window = "mtd") -> Window:
        """The window a range names; ``all`` is from the first event to the last.

        Raises:
            WindowError: the range cannot be read.
        """
        if isinstance(range, Window):
            return range
        if range.strip().lower() != "all":
            return Window.parse(range, now=self.now, timezone=self.timezone)
        first, last = _span(self.events)
        if first is None or last is None:
            return Window(self.now, self.now, self.timezone, self.now, "all")
        return Window(first, last + timedelta(microseconds=1), self.timezone, self.now, "all")

    def usage(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = usage.METRICS,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Requests, tokens, cost or other metrics: `hanzo_reports.usage` over this store's events.

        Args:
            range: a range or a Window.
            metrics: names of the catalogue.
            asked: `by`, `every`, `where`, `top`.
        """
        return self._answer(usage.usage, range, metrics, **asked)

    def costs(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = cost.METRICS,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Cost, its shares and unit costs, by kind of token where `metrics` asks for it; arguments as `usage`."""
        return self._answer(cost.costs, range, metrics, **asked)

    def health(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = health.METRICS,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Errors, availability, latency, saturation; arguments as `usage`."""
        return self._answer(health.health, range, metrics, **asked)

    def comparison(
        self,
        range: str | Window = "mtd",
        metrics: Iterable[str] = SUMMARY,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """Metrics beside those of the window before; `by`, `where` and `top` as `usage`."""
        return self._answer(compare.comparison, range, metrics, before=True, **asked)

    def movers(
        self,
        range: str | Window,
        metric: str,
        by: Iterable[str],
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        """The groups that moved a metric most since the window before; `where` and `top` as `usage`."""
        return self._answer(compare.movers, range, metric, before=True, by=by, **asked)

    @property
    def budgets(self) -> Budgets:
        """The budgets that are kept in this store's state."""
        from hanzo_reports.alerts.budgets import Budgets

        return Budgets(self.store.state)

    def forecasts(
        self,
        by: Sequence[str] = (),
        *,
        where: Where | None = None,
        limits: Mapping[Key, Decimal] | None = None,
        charges: Mapping[date, Decimal] | None = None,
    ) -> list[Forecast]:
        """How each group's calendar month ends; kept, so that a scorecard can judge them.

        Args:
            by: the dimensions of a group; empty: everything together.
            where: as `usage`; what is filtered is not kept.
            limits: USD a month by group; None: those of the budgets, where the groups are projects.
            charges: fixed charges and credits by day that are no events, of every group; with them nothing is kept.
        """
        from hanzo_reports.forecast import daily_spend, forecasts
        from hanzo_reports.forecast.scorecard import issued

        panel = daily_spend(self._recent(), self.now, by=by, where=where, timezone=self.timezone)
        budgets = self.budgets.all() if limits is None and tuple(by) == ("project",) else ()
        known = {(budget.project,): budget.monthly_limit for budget in budgets} | dict(limits or {})
        made = forecasts(panel, [known.get(key) for key in panel.keys], [charges or {}] * len(panel))
        if not where and not charges:
            issued(self.budgets.state, made, by, self.timezone, self.now)
        return made

    def anomalies(
        self,
        by: Sequence[str] = (),
        days: int = 30,
        *,
        where: Where | None = None,
        **limits: Any,  # noqa: ANN401
    ) -> list[Anomaly]:
        """The days of late on which a group's spend was out of line, and why; see `forecast.anomalies`."""
        from hanzo_reports.forecast import daily_spend
        from hanzo_reports.forecast.anomalies import anomalies, explained

        events = self._recent()
        panel = daily_spend(events, self.now, by=by, where=where, timezone=self.timezone)
        return explained(anomalies(panel, days, **limits), events, by, self.timezone, where)

    def decision(self, project: str, estimate: Decimal | float | str, *, event_id: str = "", **asked: Any) -> Decision:  # noqa: ANN401
        """Whether a project may make a request of about this cost; see `alerts.decision.decision`.

        Args:
            project: who asks.
            estimate: USD.
            event_id: the id that the request's event will carry; empty: a new one, which the answer names.
            asked: `fresh` and `hold`.
        """
        from uuid import uuid4

        from hanzo_reports.alerts.decision import decision

        event = event_id or str(uuid4())
        return decision(self.budgets, self.store, project, estimate, event_id=event, now=self.now, **asked)

    def daily(self, by: Sequence[str] = ()) -> dict[str, dict[date, float | None]]:
        """The daily spend of each group, all of it, complete days only, for a backtest."""
        from hanzo_reports.forecast import daily_spend

        first = self.window("all").start
        days = max((self.now - first).days, 1)
        return daily_spend(self.events, self.now, by=by, timezone=self.timezone, days=days).series()

    def _recent(self) -> ibis.Table:
        """The events that forecasts look back at."""
        return self.store.events(self.now - timedelta(days=402), self.now)

    def sample(self, days: int = 61, per_day: int = 20_000) -> Loaded:
        """A synthetic platform's events up to `now`, loaded as the source ``sample``; pages they feed say so.

        Args:
            days: how far back they reach.
            per_day: requests on an average day.
        """
        from hanzo_reports.ingest.load import ingest
        from hanzo_reports.ingest.source import FOLDER
        from hanzo_reports.sample import write_sample

        with self.store.scratch() as temporary:
            file = temporary / "sample.parquet"
            write_sample(file, self.now - timedelta(days=days), days, per_day)
            return ingest(self.store, SAMPLE, [file], now=self.now, mapping_file=FOLDER / "events.toml")

    def ingest(  # noqa: PLR0913  # a load has these many sides, all but two with a default
        self,
        source: str,
        paths: Sequence[str | Path],
        *,
        mapping_file: str | Path | None = None,
        constants: Mapping[str, str] | None = None,
        progress: Callable[[float], None] | None = None,
        suite: str = "events",
    ) -> Loaded:
        """Files loaded into this store, each event once; see `hanzo_reports.ingest.load.ingest`."""
        from hanzo_reports.ingest.load import ingest

        return ingest(
            self.store, source, [Path(path) for path in paths], now=self.now, progress=progress,
            mapping_file=None if mapping_file is None else Path(mapping_file), constants=constants or {}, suite=suite,
        )  # fmt: skip

    def release(self, *, mapping_file: str | Path | None = None, suite: str = "events", **chosen: Any) -> Released:  # noqa: ANN401
        """Quarantined rows checked again; see `hanzo_reports.ingest.release.release`."""
        from hanzo_reports.ingest.release import release

        path = None if mapping_file is None else Path(mapping_file)
        return release(self.store, now=self.now, mapping_file=path, suite=suite, **chosen)

    def export(
        self,
        path: str | Path,
        fmt: str = "csv",
        range: str | Window = "mtd",
        *,
        metrics: Iterable[str] | None = None,
        **asked: Any,  # noqa: ANN401
    ) -> int:
        """The events of a range, ordered by time, or an answer to a question, written to a file; the number of rows.

        Args:
            path: the file; it appears whole or not at all.
            fmt: csv, json, jsonl, parquet, or focus: charges by day as FOCUS 1.2, in CSV, or in
                Parquet where the file's name says so.
            range: a range or a Window; focus cuts it into UTC days.
            metrics: names of the catalogue; with them, or with `by`, `every` or `top`, the answer is written.
            asked: `by`, `every`, `where`, `top`, as `usage`.
        """
        from hanzo_reports.reports.export import write

        window = self.window(range)
        if fmt == "focus":
            form = "parquet" if Path(path).suffix == ".parquet" else "csv"
            return write(self._charges(window, metrics, asked), Path(path), form)
        answer = self.usage(window, metrics or usage.METRICS, **asked)
        if metrics or any(asked.get(name) for name in ("by", "every", "top")):
            return write(answer.table, Path(path), fmt, window=window, summary=answer.summary)
        rows = selected(self.store.events(window.start, window.end), window, asked.get("where"), ())
        rows = rows.order_by("timestamp", "event_id")
        return write(rows, Path(path), fmt, window=window, summary=answer.summary)

    def _charges(self, window: Window, metrics: Iterable[str] | None, asked: Mapping[str, Any]) -> ibis.Table:
        """The priced events of a window as charges of FOCUS."""
        from hanzo_reports.ingest.listed import listed
        from hanzo_reports.reports.focus import charges

        if metrics or any(asked.get(name) for name in ("by", "every", "top")):
            msg = "focus has columns of its own; leave out metrics, by, every and top"
            raise UsageError(msg)
        days = replace(window, timezone="UTC")
        events = selected(self.store.events(window.start, window.end), days, asked.get("where"), ())
        priced = events.filter(events.cost.notnull())
        return charges(listed(priced) if priced.get_backend().name == "duckdb" else priced, days)

    def guard(self, suite: str = "events", range: str | Window = "7d", **given: str) -> Verdict:
        """What a suite says about the events of a range, kept beside the data; see `hanzo_reports.quality.guard.guard`.

        Args:
            suite: events, daily, rollup or bill, or the path of a YAML file.
            range: a range or a Window.
            given: parameters of the suite, for example ``tolerance="0.02"``.
        """
        from hanzo_reports.ingest.inspection import inspected

        return inspected(self.store, suite, self.window(range), now=self.now, given=given)

    def load_bills(self, paths: Sequence[str | Path], model_column: str = "") -> Billed:
        """Bills of providers kept in a table of their own; see `hanzo_reports.ingest.bills.load_bills`."""
        from hanzo_reports.ingest.bills import load_bills

        return load_bills(self.store, [Path(path) for path in paths], now=self.now, model_column=model_column)

    def reconciliation(self, range: str | Window = "") -> ibis.Table:
        """What was computed beside what was billed, by UTC day, provider and model; without a range: all bills."""
        from hanzo_reports.quality.reconcile import covered, reconciliation

        span = None if range else covered(self.store)
        return reconciliation(self.store, Window(*span, now=self.now) if span else self.window(range or "mtd"))

    def condition(self) -> dict[str, Any]:
        """What the store holds and how fresh it is: counts, instants as ISO 8601, ages in seconds; None: not known."""
        events, loads = self.events, self.store.loads()
        held = usage.usage(events, self.window("all"), ("requests", "unpriced_requests")).to_pyarrow().to_pylist()[0]
        first, last = _span(events)
        return {
            "store": self.store.url,
            "version": self.store.version,
            "events": held["requests"],
            "unpriced_events": held["unpriced_requests"],
            "quarantined": self.store.quarantine().count().to_pyarrow().as_py(),
            "first_event": None if first is None else iso(first),
            "last_event": None if last is None else iso(last),
            "seconds_since_last_event": None if last is None else int((self.now - last).total_seconds()),
            "loads": len(loads),
            "last_load": loads[0].get("at") if loads else None,
            "synthetic": any(load.get("source") == SAMPLE for load in loads),
        }

    def report(self, name: str, *, out: str | Path = "reports", if_missing: bool = False, **params: Any) -> Run:  # noqa: ANN401
        """A notebook run into a report; see `hanzo_reports.reports.run.run_report`.

        Of this workspace, the notebook gets what it declares a parameter for: `store`, `timezone`.
        """
        from hanzo_reports.reports.run import report_parameters, run_report

        declared = {parameter.name for parameter in report_parameters(name)}
        own = {"store": self.address or self.store.url, "timezone": self.timezone}
        given = {key: value for key, value in own.items() if key in declared} | params
        return run_report(name, given, now=self.now, out=Path(out), if_missing=if_missing)

    def _answer(
        self,
        question: Callable[..., ibis.Table],
        range: str | Window,
        metrics: str | Iterable[str],
        *,
        before: bool = False,
        **asked: Any,  # noqa: ANN401
    ) -> Result:
        window = self.window(range)
        first = window.previous().start if before else window.start
        events = self.store.events(first, window.end)
        names = [metrics] if isinstance(metrics, str) else list(metrics)
        if cost.SPLIT.intersection(names):
            from hanzo_reports.ingest.parts import parts

            events = parts(events)
        where: Where | None = asked.get("where")

        def summary() -> dict[str, Any]:
            row = usage.usage(events, window, SUMMARY, where=where).to_pyarrow().to_pylist()[0]
            return {f"total_{name}": row[name] for name in SUMMARY}

        measure = metrics if isinstance(metrics, str) and before else ""
        return Result(question(events, window, metrics, **asked), window, summary, measure)


def open(  # noqa: A001  # hr.open(url), as gzip.open and webbrowser.open
    url: str = "",
    *,
    timezone: str = "",
    now: datetime | str | None = None,
    create: bool = False,
    engine: str = "",
) -> Workspace:
    """The workspace on a store.

    Args:
        url: a folder or a database address; empty: `HANZO_REPORTS_STORE`, else the nearest `warehouse` folder in this
            folder or one above. A password that it lacks is taken from `HANZO_REPORTS_STORE`, if that is the same
            address.
        timezone: IANA name; empty: `HANZO_REPORTS_TZ`, else UTC.
        now: the instant that ranges end at, or its ISO 8601 text; None or empty: the clock's.
        create: make an empty store where there is none.
        engine: what reads a folder, ``duckdb`` or ``spark``; empty: `HANZO_REPORTS_ENGINE`, else DuckDB. Spark's master
            is `HANZO_REPORTS_SPARK_MASTER`.

    Raises:
        StoreError: there is no store.
        UnknownNameError: the zone or the engine is not known.
        WindowError: `now` cannot be read.
    """
    settings = Settings.read(os.environ)
    place = url or (settings.store if "HANZO_REPORTS_STORE" in os.environ or create else _nearest())
    if place == public(settings.store):
        place = settings.store
    place = stores.addressed(place, engine or settings.engine, settings.spark_master)
    where = timezone or settings.tz
    zone(where)
    at = instant(now, where) if isinstance(now, str) and now else now or datetime.now(UTC)
    return Workspace(stores.open(place, create=create, state=settings.state), where, at.astimezone(UTC), place)


def _span(events: ibis.Table) -> tuple[datetime | None, datetime | None]:
    """The first and the last event's instants; None where there are no events."""
    at = events.timestamp
    first, last = events.aggregate(first=at.min(), last=at.max()).to_pyarrow().to_pylist()[0].values()
    return first, last


def _nearest() -> str:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "warehouse" / "store.json").exists():
            return str(folder / "warehouse")
    msg = f"no store in {here} or above it; load one with `hanzo-reports ingest`, or name one: HANZO_REPORTS_STORE"
    raise StoreError(msg)
