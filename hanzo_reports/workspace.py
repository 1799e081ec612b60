"""A store, a zone and a now: what a person, a notebook or a script asks its questions of."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports import store as stores
from hanzo_reports.errors import StoreError, UsageError
from hanzo_reports.metrics import usage
from hanzo_reports.metrics.query import filter_events
from hanzo_reports.questions import Questions, span
from hanzo_reports.settings import Settings
from hanzo_reports.store.address import redact_password
from hanzo_reports.window import Window, instant, iso, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import ibis

    from hanzo_reports.billing.load import LoadedBills
    from hanzo_reports.ingest.load import Loaded
    from hanzo_reports.ingest.release import Released
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.reports.run import Run

SAMPLE = "sample"  # the source that synthetic events are loaded as


@dataclass(frozen=True)
class Workspace(Questions):
    """A store with all that can be done to it; arguments as `Questions`."""

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

    def release(self, *, mapping_file: str | Path | None = None, suite: str = "", **chosen: Any) -> Released:  # noqa: ANN401
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
        from hanzo_reports.export.tables import write

        window = self.window(range)
        if fmt == "focus":
            form = "parquet" if Path(path).suffix == ".parquet" else "csv"
            return write(self._charges(window, metrics, asked), Path(path), form)
        answer = self.usage(window, metrics or usage.METRICS, **asked)
        if metrics or any(asked.get(name) for name in ("by", "every", "top")):
            return write(answer.table, Path(path), fmt, window=window, summary=answer.summary)
        rows = filter_events(self.store.events(window.start, window.end), window, asked.get("where"), ())
        rows = rows.order_by("timestamp", "event_id")
        return write(rows, Path(path), fmt, window=window, summary=answer.summary)

    def _charges(self, window: Window, metrics: Iterable[str] | None, asked: Mapping[str, Any]) -> ibis.Table:
        """The priced events of a window as charges of FOCUS."""
        from hanzo_reports.export.focus import charges
        from hanzo_reports.pricing.list_price import listed

        if metrics or any(asked.get(name) for name in ("by", "every", "top")):
            msg = "focus has columns of its own; leave out metrics, by, every and top"
            raise UsageError(msg)
        days = replace(window, timezone="UTC")
        events = filter_events(self.store.events(window.start, window.end), days, asked.get("where"), ())
        return charges(listed(events.filter(events.cost.notnull())), days)

    def guard(self, suite: str = "events", range: str | Window = "7d", **given: str) -> Verdict:
        """What a suite says about the events of a range, kept beside the data; see `hanzo_reports.quality.guard.guard`.

        Args:
            suite: events, daily, rollup or bill, or the path of a YAML file.
            range: a range or a Window.
            given: parameters of the suite, for example ``tolerance="0.02"``.
        """
        from hanzo_reports.quality.store_check import inspected

        return inspected(self.store, suite, self.window(range), now=self.now, given=given)

    def load_bills(self, paths: Sequence[str | Path], model_column: str = "") -> LoadedBills:
        """Bills of providers kept in a table of their own; see `hanzo_reports.billing.load.load_bills`."""
        from hanzo_reports.billing.load import load_bills

        return load_bills(self.store, [Path(path) for path in paths], now=self.now, model_column=model_column)

    def reconciliation(self, range: str | Window = "") -> ibis.Table:
        """Computed spend beside billed spend, by UTC day, provider and model; without a range: every billed day."""
        from hanzo_reports.billing.bill_lines import billed_days
        from hanzo_reports.billing.reconciliation import reconciliation
        from hanzo_reports.pricing.price_list import listed_as

        days = None if range else billed_days(self.store)
        window = Window(*days, now=self.now) if days else self.window(range or "mtd")
        return reconciliation(self.store, window, list_name=listed_as)

    def condition(self) -> dict[str, Any]:
        """What the store holds and how fresh it is: counts, instants as ISO 8601, ages in seconds; None: not known."""
        events, loads = self.events, self.store.loads()
        held = usage.usage(events, self.window("all"), ("requests", "unpriced_requests")).to_pyarrow().to_pylist()[0]
        first, last = span(events)
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
        state = Settings.read(os.environ).state
        return run_report(name, given, now=self.now, out=Path(out), if_missing=if_missing, state=state)


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
    if place == redact_password(settings.store):
        place = settings.store
    place = stores.address_for_engine(place, engine or settings.engine, settings.spark_master)
    where = timezone or settings.tz
    zone(where)
    at = instant(now, where) if isinstance(now, str) and now else now or datetime.now(UTC)
    return Workspace(stores.open(place, create=create, state=settings.state), where, at.astimezone(UTC), place)


def _nearest() -> str:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "warehouse" / "store.json").exists():
            return str(folder / "warehouse")
    msg = f"no store in {here} or above it; load one with `hanzo-reports ingest`, or name one: HANZO_REPORTS_STORE"
    raise StoreError(msg)
