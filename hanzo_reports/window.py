"""Windows: half-open intervals between UTC instants, with the IANA zone in which their days are cut."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from hanzo_reports.errors import UnknownNameError, WindowError, nearest
from hanzo_reports.units import Grain

if TYPE_CHECKING:
    from collections.abc import Iterator

CALENDAR = ("today", "yesterday", "this_week", "last_week", "mtd", "last_month", "ytd")
MAX_BUCKETS = 20_000
_ROLLING = re.compile(r"(\d{1,6})(m|h|d|w)")
_STEP = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Bucket:
    """One bucket of a window, clipped to it.

    Args:
        key: its number: for a grain below a day the UTC second at which it starts; for days and weeks the number of
            the local day since 1970-01-01; for months year x 12 + month - 1.
        start: first instant inside the window, UTC.
        end: the instant just after its last one, UTC.
        label: the first instant of the whole bucket as ISO 8601 in the window's zone, with the offset.
    """

    key: int
    start: datetime
    end: datetime
    label: str


@dataclass(frozen=True)
class Window:
    """A half-open interval ``[start, end)`` of UTC instants, with the zone in which its days are cut.

    Args:
        start: first instant, UTC.
        end: the instant just after its last one, UTC.
        timezone: IANA name.
        now: the instant of the question, UTC; the window after it still lies ahead. None: nothing lies ahead.
        name: the range that it was parsed from, or empty.
        previous_bounds: start and end of the period that it is compared with; None: the same length just before it.
    """

    start: datetime
    end: datetime
    timezone: str = "UTC"
    now: datetime | None = None
    name: str = ""
    previous_bounds: tuple[datetime, datetime] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for instant in (self.start, self.end):
            if instant.tzinfo is None:
                msg = f"{instant.isoformat()} has no UTC offset; give one, for example {instant.isoformat()}+00:00"
                raise WindowError(msg)
        if self.start > self.end:
            msg = f"the window ends ({iso(self.end)}) before it starts ({iso(self.start)})"
            raise WindowError(msg)
        zone(self.timezone)

    @classmethod
    def parse(cls, text: str, *, now: datetime, timezone: str = "UTC") -> Window:
        """The window that the text of a range stands for.

        Args:
            text: ``24h`` ``7d`` ``90m`` (up to now), ``today`` ``yesterday`` ``this_week`` ``last_week`` ``mtd``
                ``last_month`` ``ytd`` (calendar periods in the zone), ``2025-06-01..2025-06-07`` (whole days, including
                the last one) or two ISO 8601 instants joined by ``..`` (half-open; in the zone if they have no offset).
            now: the instant of the question, with a UTC offset.
            timezone: IANA name.

        Raises:
            WindowError: the range is invalid or empty, or `now` has no UTC offset.
            UnknownNameError: the zone is not known.
        """
        if now.tzinfo is None:
            msg = f"`now` must have a UTC offset; write for example {now.isoformat()}+00:00"
            raise WindowError(msg)
        now, where, word = now.astimezone(UTC), zone(timezone), text.strip().lower()
        if rolling := _ROLLING.fullmatch(word):
            length = int(rolling[1]) * _STEP[rolling[2]]
            if not length:
                msg = f"the range {text!r} is empty; give at least 1{rolling[2]}"
                raise WindowError(msg)
            try:
                return cls(now - length, now, timezone, now, word)
            except OverflowError:
                msg = f"the range {text!r} begins before the year 1; give a shorter one"
                raise WindowError(msg) from None
        if word in CALENDAR:
            start, end, previous_bounds = _calendar_bounds(word, now, where)
            return cls(start, end, timezone, now, word, previous_bounds)
        if ".." in word:
            first, _, last = text.strip().partition("..")
            start = _parse_edge(first, where, text)
            end = _parse_edge(last, where, text, is_last=True)
            if start >= end:
                msg = f"the range {text!r} is empty: it ends at {iso(end)}, not after its start {iso(start)}"
                raise WindowError(msg)
            whole_days = bool(_DATE.fullmatch(first.strip()) and _DATE.fullmatch(last.strip()))
            days_before = _previous_days(start, end, where) if whole_days else None
            return cls(start, end, timezone, now, text.strip(), days_before)
        hint = nearest(word, (*CALENDAR, "24h", "7d", "30d"))
        msg = (
            f"unknown range {text!r}; {f'did you mean {hint!r}? ' if hint else ''}give 24h, 7d, 90m, "
            f"{', '.join(CALENDAR)}, 2025-06-01..2025-06-07 or two ISO instants joined by '..'"
        )
        raise WindowError(msg)

    def previous(self) -> Window:
        """The previous period: the same length just before, or the same part of the previous calendar unit."""
        start, end = self.previous_bounds or (self.start - (self.end - self.start), self.start)
        return Window(start, end, self.timezone, self.now, f"before {self.name}" if self.name else "")

    @property
    def elapsed(self) -> Window:
        """The part of the window before `now`."""
        if self.now is None or self.now >= self.end:
            return self
        return replace(self, end=max(self.start, self.now))

    @property
    def seconds(self) -> float:
        """Length in seconds of the part before `now`."""
        elapsed = self.elapsed
        return (elapsed.end - elapsed.start).total_seconds()

    def buckets(self, every: Grain) -> list[Bucket]:
        """The buckets of one grain in order of time; the first and the last are clipped to the window.

        Raises:
            WindowError: there would be more than 20,000 buckets.
        """
        size = timedelta(seconds=every.seconds or 86_400)
        if (self.end - self.start) / size > MAX_BUCKETS:
            msg = (
                f"{self.end - self.start} by {every.value!r} makes more than {MAX_BUCKETS:,} buckets; "
                "use a coarser grain or a shorter range"
            )
            raise WindowError(msg)
        where, edges = zone(self.timezone), [*_bucket_edges(self, every), (self.end, 0)]
        return [
            Bucket(key, max(first, self.start), last, first.astimezone(where).isoformat(timespec="seconds"))
            for (first, key), (last, _) in pairwise(edges)
            if last > self.start and first < self.end
        ]

    def as_json(self) -> dict[str, str]:
        """The window as JSON answers carry it: ISO 8601 instants in UTC and the name of the zone."""
        return {"start": iso(self.start), "end": iso(self.end), "timezone": self.timezone}


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name.

    Raises:
        UnknownNameError: no such zone; the error names the nearest one.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownNameError("time zone", name, sorted(available_timezones())) from None


def iso(instant: datetime) -> str:
    """An instant as ISO 8601 in UTC, to the second, or to the microsecond if it has a fraction.

    >>> iso(datetime(2025, 6, 1, tzinfo=UTC))
    '2025-06-01T00:00:00Z'
    """
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str, timezone: str = "UTC") -> datetime:
    """The UTC instant of an ISO 8601 text or of a date's midnight; without an offset it is in the zone.

    Raises:
        WindowError: the text is neither a date nor an instant.
        UnknownNameError: the zone is not known.
    """
    return _parse_edge(text, zone(timezone), text.strip())


def utc_offsets(timezone: str, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """The zone's UTC offsets from a day before `start` to `end`.

    Returns:
        (the UTC instant from which an offset applies, seconds east of UTC), in order of time.
    """
    where, low = zone(timezone), start - timedelta(days=1)

    def offset(instant: datetime) -> int:
        return int((instant.astimezone(where).utcoffset() or timedelta()).total_seconds())

    changes = [(low, offset(low))]
    while low < end:
        high = min(low + timedelta(days=7), end)
        if offset(high) != changes[-1][1]:
            seconds = range(int(low.timestamp()), int(high.timestamp()) + 1)
            first = bisect_left(seconds, 1, key=lambda s: offset(datetime.fromtimestamp(s, UTC)) != changes[-1][1])
            instant = datetime.fromtimestamp(seconds[first], UTC)
            changes.append((instant, offset(instant)))
        low = high
    return changes


def _bucket_edges(window: Window, every: Grain) -> Iterator[tuple[datetime, int]]:
    """Start and key of each bucket that overlaps the window, and perhaps of one before it, in order of time."""
    if not every.seconds:
        where = zone(window.timezone)
        day = _first_day(window.start.astimezone(where).date(), every)
        while (first := midnight(day, where)) < window.end:
            yield first, _bucket_key(day, every)
            day = _next_first_day(day, every)
        return
    offsets = utc_offsets(window.timezone, window.start, window.end)
    for number, ((since, offset), until) in enumerate(
        zip(offsets, [*(since for since, _ in offsets[1:]), window.end], strict=True)
    ):
        edge = int(since.timestamp())
        if not number:
            edge -= (edge + offset) % every.seconds
        while edge < until.timestamp():
            yield datetime.fromtimestamp(edge, UTC), edge
            edge += every.seconds - (edge + offset) % every.seconds


def midnight(day: date, where: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC.

    Where the clocks skip midnight it is 01:00; where they repeat midnight it is the first of the two.
    """
    naive = datetime.combine(day, time())
    first = naive.replace(tzinfo=where).astimezone(UTC)
    if first.astimezone(where).replace(tzinfo=None) == naive:
        return first
    return utc_offsets(where.key, first - timedelta(days=1), first + timedelta(days=1))[1][0]


def _first_day(day: date, every: Grain) -> date:
    if every is Grain.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if every is Grain.MONTH else day


def _next_first_day(day: date, every: Grain) -> date:
    if every is Grain.MONTH:
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if every is Grain.WEEK else 1)


def _bucket_key(day: date, every: Grain) -> int:
    return day.year * 12 + day.month - 1 if every is Grain.MONTH else (day - date(1970, 1, 1)).days


def _parse_edge(text: str, where: ZoneInfo, whole: str, *, is_last: bool = False) -> datetime:
    """One edge of the range `whole`; as the last edge, a date includes its day."""
    text = text.strip()
    try:
        if _DATE.fullmatch(text):
            return midnight(date.fromisoformat(text) + timedelta(days=is_last), where)
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        inside = "" if whole == text else f" in the range {whole!r}"
        msg = f"{text!r}{inside} is neither a date (2025-06-01) nor an ISO 8601 instant (2025-06-01T09:00Z)"
        raise WindowError(msg) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=where)).astimezone(UTC)


def _calendar_bounds(word: str, now: datetime, where: ZoneInfo) -> tuple[datetime, datetime, tuple[datetime, datetime]]:
    """Start and end of a calendar range, and the bounds of the same elapsed part of the previous unit."""
    today = now.astimezone(where).date()
    unit = {"today": Grain.DAY, "yesterday": Grain.DAY, "this_week": Grain.WEEK, "last_week": Grain.WEEK}.get(
        word, Grain.MONTH
    )
    current = today.replace(month=1, day=1) if word == "ytd" else _first_day(today, unit)
    previous = (
        current.replace(year=current.year - 1) if word == "ytd" else _first_day(current - timedelta(days=1), unit)
    )
    start, previous_start = midnight(current, where), midnight(previous, where)
    if word in {"yesterday", "last_week", "last_month"}:
        second_previous = _first_day(previous - timedelta(days=1), unit)
        return previous_start, start, (midnight(second_previous, where), previous_start)
    local_now = now.astimezone(where).replace(tzinfo=None)
    previous_end = _shift(local_now, current, previous, word).replace(tzinfo=where).astimezone(UTC)
    return start, now, (previous_start, min(max(previous_end, previous_start), start))


def _shift(local: datetime, current: date, previous: date, word: str) -> datetime:
    """The same local time, as many days into the previous unit; for a year, on the same date."""
    if word == "ytd":
        day = 28 if (local.month, local.day) == (2, 29) else local.day
        return local.replace(year=previous.year, day=day)
    return datetime.combine(previous + (local.date() - current), local.time())


def _previous_days(start: datetime, end: datetime, where: ZoneInfo) -> tuple[datetime, datetime]:
    """As many whole local days just before `start`, also where a day has 23 or 25 hours."""
    first, last = start.astimezone(where).date(), end.astimezone(where).date()
    return midnight(first - (last - first), where), start
