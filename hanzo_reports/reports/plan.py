"""The plan of a run: everything that is known, and every error that can be found, before a kernel starts."""

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

UNBOUNDED = "all"  # the range from the first event to the last
END = "window_end"
LATEST = "latest"
PLACEMENT_PARAMETERS = {STORE, END, OUT_DIR}  # where and when, not what: no part of the pointer
_STORE = "./warehouse"


@dataclass(frozen=True)
class RunRequest:
    """A notebook and its parameters, with the store's address and the end of the window resolved.

    Args:
        notebook: what to run.
        values: the value of each of its parameters.
        now: the instant of the run, UTC.
        end: the instant that ranges end at, UTC.
        backfill: whether `window_end` was passed.
        address: the store's address with its password, which the values do not have.
    """

    notebook: Notebook
    values: Mapping[str, Value]
    now: datetime
    end: datetime
    backfill: bool
    address: str = field(default="", repr=False)

    @property
    def timezone(self) -> str:
        """The IANA zone in which days are cut."""
        return str(self.values.get("timezone") or "UTC")

    @property
    def pointer(self) -> str:
        """The link that its runs move: `latest` with default parameters, else one with a fingerprint of the others."""
        own = {
            parameter.name: self.values[parameter.name]
            for parameter in self.notebook.parameters
            if parameter.name not in PLACEMENT_PARAMETERS and self.values[parameter.name] != parameter.default
        }
        return f"{LATEST}-{fingerprint(own)[:8]}" if own else LATEST


@dataclass(frozen=True)
class Plan:
    """A request and the data that it is about.

    Args:
        request: the notebook and its parameters.
        store: the store; None if the notebook has no such parameter.
        window: the window; None if the notebook has no such parameter.
        version: the store's version.
        synthetic: whether the store holds synthetic events.
    """

    request: RunRequest
    store: Store | None
    window: Window | None
    version: str | None
    synthetic: bool

    @property
    def key(self) -> str:
        """The SHA-256 of what the result depends on."""
        values = {name: value for name, value in self.request.values.items() if name not in {END, OUT_DIR}}
        return fingerprint(
            self.request.notebook.digest, values, window_json(self.window), self.version, version("hanzo-reports")
        )

    def rows(self, kpis: Mapping[str, Any]) -> int | None:
        """The events in the window: as the key figures report it, else counted; None without a store or a window."""
        if self.store is None or self.window is None:
            return None
        figures = kpis.get(self.window.name)
        if isinstance(figures, dict) and isinstance(figures.get("requests"), int):
            return int(figures["requests"])
        events = self.store.events(self.window.start, self.window.end)
        inside = (events.timestamp >= self.window.start) & (events.timestamp < self.window.end)
        return int(events.filter(inside).count().to_pyarrow().as_py())


def build_request(notebook: Notebook, values: Mapping[str, Value], now: datetime) -> RunRequest:
    """Resolves the end of the window and the address of the store.

    Raises:
        WindowError: the window or its end cannot be read, or `now` carries no offset.
        UnknownNameError: the zone is not known.
    """
    timezone = str(values.get("timezone") or "UTC")
    zone(timezone)
    if now.tzinfo is None:
        msg = "`now` must carry a UTC offset"
        raise WindowError(msg)
    window_end = str(values.get(END) or "").strip()
    end = parse_instant(window_end, timezone) if window_end else now
    resolved: dict[str, Value] = {}
    address = ""
    if STORE in values:
        address = str(values[STORE] or _STORE)
        address = address if "://" in address else str(Path(address).expanduser().absolute())
        resolved[STORE] = redact_password(address)
    if END in values:
        resolved[END] = iso(end)
    request = RunRequest(notebook, {**values, **resolved}, now, end, bool(window_end), address)
    if "window" in values and not _is_unbounded(request):
        _window(request)
    return request


def plan_run(request: RunRequest, state: str = "") -> Plan:
    """Opens the store of a request and resolves its window; `state` as in `store.open`.

    Raises:
        StoreError: there is no store at the address.
    """
    store = None
    if request.address:
        from hanzo_reports import store as stores  # noqa: PLC0415  # a notebook without one needs none

        store = stores.open(request.address, state=state)
    window = None
    if "window" in request.values:
        window = _window_of_store(request, store) if _is_unbounded(request) else _window(request)
    is_synthetic = any(load.get("source") == "sample" for load in store.loads()) if store else False
    return Plan(request, store, window, store.version if store else None, is_synthetic)


def _is_unbounded(request: RunRequest) -> bool:
    return str(request.values["window"]).strip().lower() == UNBOUNDED


def _window(request: RunRequest) -> Window:
    return Window.parse(str(request.values["window"]), now=request.end, timezone=request.timezone)


def _window_of_store(request: RunRequest, store: Store | None) -> Window | None:
    """The window from the first event to the last."""
    if store is None:
        return None
    from hanzo_reports.metrics.dialect import earliest, latest  # noqa: PLC0415  # the kernel starts first

    events = store.events()
    bounds = events.aggregate(first=earliest(events.timestamp), last=latest(events.timestamp))
    first, last = bounds.to_pyarrow().to_pylist()[0].values()
    if first is None:
        return Window(request.end, request.end, request.timezone, request.end, UNBOUNDED)
    return Window(first, last + timedelta(microseconds=1), request.timezone, request.end, UNBOUNDED)
