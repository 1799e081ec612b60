"""A workspace: a store and everything you can do with it, from a script, a notebook or the command line."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports import store as stores
from hanzo_reports.errors import StoreError, UsageError, WindowError
from hanzo_reports.metrics import usage
from hanzo_reports.metrics.query import filter_events
from hanzo_reports.questions import Questions, first_and_last
from hanzo_reports.settings import PREFIX, Settings
from hanzo_reports.store.address import redact_password
from hanzo_reports.window import Window, iso, parse_instant, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import ibis

    from hanzo_reports.billing.load import LoadedBills
    from hanzo_reports.ingest.load import LoadResult
    from hanzo_reports.ingest.release import Released
    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.reports.run import Run
    from hanzo_reports.units import Grain

SAMPLE = "sample"  # the source that synthetic events are loaded as


@dataclass(frozen=True, repr=False)
class Workspace(Questions):
    """A store and everything you can do with it; arguments as `Questions`."""

    def sample(self, days: int = 61, per_day: int = 20_000) -> LoadResult:
        """Loads the events of a synthetic platform up to `now`; pages with such events say that they are synthetic.

        Args:
            days: how many days of events.
            per_day: requests on an average day.
        """
        from hanzo_reports.ingest.load import ingest
        from hanzo_reports.ingest.mapping_file import SOURCES_FOLDER
        from hanzo_reports.sample import write_sample

        with self.store.scratch() as temporary:
            file = temporary / "sample.parquet"
            write_sample(file, self.now - timedelta(days=days), days, per_day)
            return ingest(self.store, SAMPLE, [file], now=self.now, mapping_file=SOURCES_FOLDER / "events.toml")

    def ingest(
        self,
        source: str,
        paths: Sequence[str | Path],
        *,
        mapping_file: str | Path | None = None,
        constants: Mapping[str, str] | None = None,
        progress: Callable[[float], None] | None = None,
        suite: str = "events",
    ) -> LoadResult:
        """Loads files, each event once; see `hanzo_reports.ingest.load.ingest`.

        Args:
            source: a source that the package knows, or any name with `mapping_file`.
            paths: files and folders.
            mapping_file: a mapping of your own, as TOML.
            constants: columns with a constant value.
            progress: called with the share that is done, 0 to 1.
            suite: the expectations that rows must meet; empty: none.
        """
        from hanzo_reports.ingest.load import ingest

        return ingest(
            self.store, source, [Path(path) for path in paths], now=self.now, progress=progress,
            mapping_file=None if mapping_file is None else Path(mapping_file), constants=constants or {}, suite=suite,
        )  # fmt: skip

    def release(
        self,
        *,
        load: str = "",
        source: str = "",
        reason: str = "",
        ids: Sequence[str] = (),
        mapping_file: str | Path | None = None,
        constants: Mapping[str, str] | None = None,
        suite: str = "",
        accept: Sequence[str] = (),
        because: str = "",
        accepted_by: str = "",
    ) -> Released:
        """Checks quarantined rows again, and loads those that pass; see `hanzo_reports.ingest.release.release`.

        Args:
            load: only rows of this load; its id, or the start of it.
            source: only rows of this source.
            reason: only rows whose reason contains this text.
            ids: only these rows; their ids, or the starts of them.
            mapping_file: the mapping of a source of your own, as it is now; needs `source`.
            constants: columns with a constant value.
            suite: the expectations that rows must meet; empty: those that each row failed.
            accept: checks in spite of which rows are released, if a row fails no others.
            because: why, for the record; needed with `accept`.
            accepted_by: who decides it, for the record; empty: the user that this process runs as.
        """
        from hanzo_reports.ingest.release import release

        return release(
            self.store, now=self.now, load=load, source=source, reason=reason, ids=ids,
            mapping_file=None if mapping_file is None else Path(mapping_file), constants=constants, suite=suite,
            accept=accept, because=because, accepted_by=accepted_by or (_user_name() if accept else ""),
        )  # fmt: skip

    def export(
        self,
        path: str | Path,
        fmt: str = "csv",
        range: str | Window = "mtd",
        *,
        metrics: Iterable[str] | None = None,
        by: Sequence[str] = (),
        every: Grain | str | None = None,
        where: Where | None = None,
        top: int | None = None,
        spreadsheet: bool = False,
    ) -> int:
        """Writes the events of a range, or the answer to a question, to a file, and returns the number of rows.

        Args:
            path: the file; it appears complete or not at all.
            fmt: csv, json, jsonl, parquet, or focus: daily charges as FOCUS 1.2, in Parquet if the file's name ends in
                .parquet, else in CSV.
            range: a range or a Window; focus cuts it into UTC days.
            metrics: names of the catalogue. With metrics, `by`, `every` or `top`, the answer of `usage` is written;
                without them, the events, ordered by time.
            by: as `usage`.
            every: as `usage`.
            where: as `usage`.
            top: as `usage`.
            spreadsheet: for CSV, whether text that a spreadsheet would take for a formula gets an apostrophe in front.
        """
        from hanzo_reports.export.tables import write_table

        window = self.window(range)
        is_answer = bool(metrics or by or every or top)
        if fmt == "focus":
            if is_answer:
                msg = "focus has columns of its own; leave out metrics, by, every and top"
                raise UsageError(msg)
            form = "parquet" if Path(path).suffix == ".parquet" else "csv"
            return write_table(self._charges(window, where), Path(path), form, spreadsheet=spreadsheet)
        answer = self.usage(window, metrics or usage.METRICS, by=by, every=every, where=where, top=top)
        options: dict[str, Any] = {"window": window, "summary": answer.summary, "spreadsheet": spreadsheet}
        if is_answer:
            return write_table(answer.table, Path(path), fmt, **options)
        rows = filter_events(self.store.events(window.start, window.end), window, where, ())
        rows = rows.order_by("timestamp", "event_id")
        return write_table(rows, Path(path), fmt, **options)

    def _charges(self, window: Window, where: Where | None) -> ibis.Table:
        """The priced events of a window as FOCUS charges."""
        from hanzo_reports.export.focus import charges
        from hanzo_reports.pricing.list_price import compare_with_list

        days = replace(window, timezone="UTC")
        events = filter_events(self.store.events(window.start, window.end), days, where, ())
        return charges(compare_with_list(events.filter(events.cost.notnull())), days)

    def guard(self, suite: str = "events", range: str | Window = "7d", **parameters: str) -> Verdict:
        """Checks the events of a range against a suite of expectations, and records the verdict beside the data.

        Args:
            suite: events, daily, rollup or bill, or the path of a YAML file.
            range: a range or a Window.
            parameters: parameters of the suite, for example ``tolerance="0.02"``.
        """
        from hanzo_reports.quality.store_check import check_store

        return check_store(self.store, suite, self.window(range), now=self.now, overrides=parameters)

    def load_bills(self, paths: Sequence[str | Path], model_column: str = "") -> LoadedBills:
        """Loads provider bills into a table of their own; see `hanzo_reports.billing.load.load_bills`."""
        from hanzo_reports.billing.load import load_bills

        return load_bills(self.store, [Path(path) for path in paths], now=self.now, model_column=model_column)

    def reconciliation(self, range: str | Window = "") -> ibis.Table:
        """Computed and billed cost, one row per UTC day, provider and model; without a range: every billed day."""
        from hanzo_reports.billing.reconciliation import reconciliation
        from hanzo_reports.pricing.price_cards import list_name

        return reconciliation(self.store, self.billed_window(range), list_name=list_name)

    def billed_window(self, range: str | Window = "") -> Window:
        """The window of a range; without one: every billed day, or the month to date if there are no bills."""
        from hanzo_reports.billing.bill_lines import billed_days

        days = None if range else billed_days(self.store)
        return Window(*days, now=self.now, name="billed") if days else self.window(range or "mtd")

    def condition(self) -> dict[str, Any]:
        """The contents and age of the store: counts, instants as ISO 8601, ages in seconds; None: unknown."""
        events, loads = self.events, self.store.loads()
        (counts,) = usage.usage(events, self.window("all"), ("requests", "unpriced_requests")).to_pyarrow().to_pylist()
        first, last = first_and_last(events)
        return {
            "store": self.store.url,
            "version": self.store.version,
            "events": counts["requests"],
            "unpriced_events": counts["unpriced_requests"],
            "quarantined": self.store.quarantine().count().to_pyarrow().as_py(),
            "first_event": None if first is None else iso(first),
            "last_event": None if last is None else iso(last),
            "seconds_since_last_event": None if last is None else int((self.now - last).total_seconds()),
            "loads": len(loads),
            "last_load": loads[0].get("at") if loads else None,
            "synthetic": any(load.get("source") == SAMPLE for load in loads),
        }

    def report(self, name: str, *, out: str | Path = "reports", if_missing: bool = False, **parameters: object) -> Run:
        """Runs a notebook into a report; see `hanzo_reports.reports.run.run_report`.

        Args:
            name: a report of the package, or the path of a notebook.
            out: the folder that reports are written to.
            if_missing: return the existing run if the same run exists.
            parameters: parameters of the notebook; `store` and `timezone` default to those of this workspace.
        """
        from hanzo_reports.reports.run import report_parameters, run_report

        declared = {parameter.name for parameter in report_parameters(name)}
        own = {"store": self.address or self.store.url, "timezone": self.timezone}
        values = {key: value for key, value in own.items() if key in declared} | parameters
        state = Settings.read(os.environ).state
        return run_report(name, values, now=self.now, out=Path(out), if_missing=if_missing, state=state)


def open(  # noqa: A001  # hr.open(url), as gzip.open and webbrowser.open
    url: str | Path = "",
    *,
    timezone: str = "",
    now: datetime | str | None = None,
    create: bool = False,
    engine: str = "",
) -> Workspace:
    """Opens the workspace on a store.

    Args:
        url: a folder or a database address; empty: `HANZO_REPORTS_STORE`, else the nearest `warehouse` folder in this
            folder or one above. A password that it lacks is taken from `HANZO_REPORTS_STORE`, if that is the same
            address.
        timezone: IANA name; empty: `HANZO_REPORTS_TZ`, else UTC.
        now: the instant that ranges end at, or its ISO 8601 text; None or empty: the clock.
        create: create an empty store where there is none.
        engine: the engine that reads a folder, ``duckdb`` or ``spark``; empty: `HANZO_REPORTS_ENGINE`, else DuckDB.
            The Spark master is `HANZO_REPORTS_SPARK_MASTER`.

    Raises:
        StoreError: no store exists there.
        UnknownNameError: the zone or the engine is not known.
        UsageError: an argument is of the wrong type.
        WindowError: `now` cannot be read, or has no UTC offset.
    """
    if not isinstance(url, str | Path):
        msg = f"a store is a folder or a database address, not {url!r}; write for example hr.open('warehouse')"
        raise UsageError(msg)
    settings = Settings.read(os.environ)
    place = str(url) or (settings.store if f"{PREFIX}STORE" in os.environ or create else _find_store())
    if place == redact_password(settings.store):
        place = settings.store
    place = stores.address_for_engine(place, engine or settings.engine, settings.spark_master)
    timezone = timezone or settings.tz
    zone(timezone)
    return Workspace(
        stores.open(place, create=create, state=settings.state), timezone, _parse_now(now, timezone), place
    )


def _parse_now(now: datetime | str | None, timezone: str) -> datetime:
    if now is None or not now:
        return datetime.now(UTC)
    if isinstance(now, str):
        return parse_instant(now, timezone).astimezone(UTC)
    if not isinstance(now, datetime) or now.tzinfo is None:
        msg = f"now is an instant with a UTC offset, not {now!r}; write for example now='2025-06-01T09:00Z'"
        raise WindowError(msg)
    return now.astimezone(UTC)


def _find_store() -> str:
    """The nearest `warehouse` in this folder or one above."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "warehouse" / "store.json").exists():
            return str(folder / "warehouse")
    msg = (
        f"No store in {here} or above it. Create one with `hanzo-reports init` or `ingest`, "
        "or name one with HANZO_REPORTS_STORE"
    )
    raise StoreError(msg)


def _user_name() -> str:
    """The user that this process runs as."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "unknown"
