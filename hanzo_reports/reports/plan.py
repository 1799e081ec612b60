"""A run before it starts: everything that can be known, and that can be wrong, by then."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports.errors import WindowError
from hanzo_reports.reports.manifest import fingerprint, window_json
from hanzo_reports.reports.parameters import OUT_DIR, STORE
from hanzo_reports.store.address import redact_password
from hanzo_reports.window import Window, iso, parse_instant, zone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hanzo_reports.reports.notebook import Notebook
    from hanzo_reports.reports.parameters import Value
    from hanzo_reports.store.base import Store

EVERYTHING = "all"  # the range from the first event to the last
END = "window_end"
LATEST = "latest"
NOT_WHAT = {STORE, END, OUT_DIR}  # parameters that say where and when, not what
_STORE = "./warehouse"


@dataclass(frozen=True)
class Asked:
    """A notebook and its parameters, made fit to be repeated: where the store is, and when the window ends.

    Args:
        notebook: what to run.
        values: each of its parameters.
        now: the instant of the run, UTC.
        end: the instant that ranges end at, UTC.
        backfill: whether that end was given.
        address: the store's, with its password; the values have none.
    """

    notebook: Notebook
    values: Mapping[str, Value]
    now: datetime
    end: datetime
    backfill: bool
    address: str = field(default="", repr=False)

    @property
    def timezone(self) -> str:
        """The zone in which days are cut."""
        return str(self.values.get("timezone") or "UTC")

    @property
    def pointer(self) -> str:
        """The pointer that follows its schedule: `latest` with the notebook's own parameters, else one of their own."""
        own = {
            parameter.name: self.values[parameter.name]
            for parameter in self.notebook.parameters
            if parameter.name not in NOT_WHAT and self.values[parameter.name] != parameter.default
        }
        return f"{LATEST}-{fingerprint(own)[:8]}" if own else LATEST


@dataclass(frozen=True)
class Plan:
    """What is asked, and the data it is asked of.

    Args:
        asked: the notebook and its parameters.
        store: the store; None: the notebook has no such parameter.
        window: the window; None: the notebook has no such parameter.
        version: the store's version.
        synthetic: whether made-up events are in the store.
    """

    asked: Asked
    store: Store | None
    window: Window | None
    version: str | None
    synthetic: bool

    @property
    def key(self) -> str:
        """What the result depends on, as a SHA-256."""
        values = {name: value for name, value in self.asked.values.items() if name not in {END, OUT_DIR}}
        return fingerprint(
            self.asked.notebook.digest, values, window_json(self.window), self.version, version("hanzo-reports")
        )

    def rows(self, figures: Mapping[str, Any]) -> int | None:
        """The events in the window: as the key figures say, else counted; None: without a store or a window."""
        if self.store is None or self.window is None:
            return None
        known = figures.get(self.window.name)
        if isinstance(known, dict) and isinstance(known.get("requests"), int):
            return int(known["requests"])
        events = self.store.events(self.window.start, self.window.end)
        inside = (events.timestamp >= self.window.start) & (events.timestamp < self.window.end)
        return int(events.filter(inside).count().to_pyarrow().as_py())


def asked(notebook: Notebook, values: Mapping[str, Value], now: datetime) -> Asked:
    """The parameters with the window's end and the store's place as they are meant now.

    Raises:
        WindowError: the window or its end cannot be read, or `now` carries no offset.
        UnknownNameError: the zone is not known.
    """
    where = str(values.get("timezone") or "UTC")
    zone(where)
    if now.tzinfo is None:
        msg = "`now` must carry a UTC offset"
        raise WindowError(msg)
    given = str(values.get(END) or "").strip()
    end = parse_instant(given, where) if given else now
    fixed: dict[str, Value] = {}
    place = ""
    if STORE in values:
        place = str(values[STORE] or _STORE)
        place = place if "://" in place else str(Path(place).expanduser().absolute())
        fixed[STORE] = redact_password(place)
    if END in values:
        fixed[END] = iso(end)
    found = Asked(notebook, {**values, **fixed}, now, end, bool(given), place)
    if "window" in values and not _whole(found):
        _window(found)
    return found


def planned(asked: Asked, state: str = "") -> Plan:
    """What is asked, with the store that it is asked of; `state` as in `store.open`.

    Raises:
        StoreError: the store is none.
    """
    store = None
    if asked.address:
        from hanzo_reports import store as stores  # noqa: PLC0415  # a notebook without one needs none

        store = stores.open(asked.address, state=state)
    window = None
    if "window" in asked.values:
        window = _everything(asked, store) if _whole(asked) else _window(asked)
    made_up = any(load.get("source") == "sample" for load in store.loads()) if store else False
    return Plan(asked, store, window, store.version if store else None, made_up)


def _whole(asked: Asked) -> bool:
    return str(asked.values["window"]).strip().lower() == EVERYTHING


def _window(asked: Asked) -> Window:
    return Window.parse(str(asked.values["window"]), now=asked.end, timezone=asked.timezone)


def _everything(asked: Asked, store: Store | None) -> Window | None:
    """The window from the first event to the last."""
    if store is None:
        return None
    from hanzo_reports.metrics.dialect import earliest, latest  # noqa: PLC0415  # the kernel starts first

    events = store.events()
    span = events.aggregate(first=earliest(events.timestamp), last=latest(events.timestamp))
    first, last = span.to_pyarrow().to_pylist()[0].values()
    if first is None:
        return Window(asked.end, asked.end, asked.timezone, asked.end, EVERYTHING)
    return Window(first, last + timedelta(microseconds=1), asked.timezone, asked.end, EVERYTHING)
