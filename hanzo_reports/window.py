"""Windows: half-open spans of time, held as UTC instants with an IANA zone beside them."""

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
        key: its number: the UTC second it starts at, for a grain below a day; the local day's number since
            1970-01-01 for days and weeks; year x 12 + month - 1 for months.
        start: first instant inside the window, UTC.
        end: the instant just after it, UTC.
        label: the unclipped bucket's first instant as ISO 8601 in the window's zone, with the offset.
    """

    key: int
    start: datetime
    end: datetime
    label: str


@dataclass(frozen=True)
class Window:
    """A half-open span ``[start, end)`` of UTC instants, with the zone in which its days are cut.

    Args:
        start: first instant, UTC.
        end: the instant just after it, UTC.
        timezone: IANA name.
        now: the instant the question was asked, UTC: what lies after it has not passed yet. None: all has passed.
        name: the range it was parsed from, or empty.
        before: the start and end of the window it is compared with; None: the same length just before.
    """

    start: datetime
    end: datetime
    timezone: str = "UTC"
    now: datetime | None = None
    name: str = ""
    before: tuple[datetime, datetime] | None = field(default=None, repr=False)

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
        """The window that a range names.

        Args:
            text: ``24h`` ``7d`` ``90m`` (ending now), ``today`` ``yesterday`` ``this_week`` ``last_week`` ``mtd``
                ``last_month`` ``ytd`` (calendar, in the zone), ``2025-06-01..2025-06-07`` (whole days, the last one
                included) or two ISO 8601 instants joined by ``..`` (half-open; without an offset: in the zone).
            now: the instant of asking; must carry an offset.
            timezone: IANA name.

        Raises:
            WindowError: the range cannot be read.
            UnknownNameError: the zone is not known.
        """
        if now.tzinfo is None:
            msg = "`now` must carry a UTC offset"
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
                msg = f"the range {text!r} reaches back before the year 1"
                raise WindowError(msg) from None
        if word in CALENDAR:
            start, end, before = _calendar(word, now, where)
            return cls(start, end, timezone, now, word, before)
        if ".." in word:
            first, _, last = text.strip().partition("..")
            start = _instant(first, where, text)
            end = _instant(last, where, text, last=True)
            if start >= end:
                msg = f"the range {text!r} is empty: it ends at {iso(end)}, not after its start {iso(start)}"
                raise WindowError(msg)
            days = bool(_DATE.fullmatch(first.strip()) and _DATE.fullmatch(last.strip()))
            return cls(start, end, timezone, now, text.strip(), _days_before(start, end, where) if days else None)
        hint = nearest(word, (*CALENDAR, "24h", "7d", "30d"))
        msg = (
            f"unknown range {text!r}; {f'did you mean {hint!r}? ' if hint else ''}give 24h, 7d, 90m, "
            f"{', '.join(CALENDAR)}, 2025-06-01..2025-06-07 or two ISO instants joined by '..'"
        )
        raise WindowError(msg)

    def previous(self) -> Window:
        """The window this one is compared with: same length just before, or the same part of the unit before."""
        start, end = self.before or (self.start - (self.end - self.start), self.start)
        return Window(start, end, self.timezone, self.now, f"before {self.name}" if self.name else "")

    @property
    def passed(self) -> Window:
        """The part of the window that lies before `now`."""
        if self.now is None or self.now >= self.end:
            return self
        return replace(self, end=max(self.start, self.now))

    @property
    def seconds(self) -> float:
        """Length in seconds of what has passed."""
        passed = self.passed
        return (passed.end - passed.start).total_seconds()

    def buckets(self, every: Grain) -> list[Bucket]:
        """The window cut into buckets of one grain, in order, the first and the last clipped to the window.

        Raises:
            WindowError: the grain is so fine that there would be more than 20,000 buckets.
        """
        size = timedelta(seconds=every.seconds or 86_400)
        if (self.end - self.start) / size > MAX_BUCKETS:
            msg = f"{self.end - self.start} cut by {every.value!r} is over {MAX_BUCKETS:,} buckets; take a longer grain"
            raise WindowError(msg)
        where, edges = zone(self.timezone), [*_edges(self, every), (self.end, 0)]
        return [
            Bucket(key, max(first, self.start), last, first.astimezone(where).isoformat(timespec="seconds"))
            for (first, key), (last, _) in pairwise(edges)
            if last > self.start and first < self.end
        ]

    def as_json(self) -> dict[str, str]:
        """The window as answers carry it: ISO instants in UTC and the zone's name."""
        return {"start": iso(self.start), "end": iso(self.end), "timezone": self.timezone}


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name; an UnknownNameError names the nearest one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownNameError("time zone", name, sorted(available_timezones())) from None


def iso(instant: datetime) -> str:
    """An instant as ISO 8601 in UTC, to the second, or to the microsecond where it has a fraction.

    >>> iso(datetime(2025, 6, 1, tzinfo=UTC))
    '2025-06-01T00:00:00Z'
    """
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str, timezone: str = "UTC") -> datetime:
    """The UTC instant that a date (its midnight) or an ISO 8601 text names; without an offset it is in the zone.

    Raises:
        WindowError: the text is neither.
        UnknownNameError: the zone is not known.
    """
    return _instant(text, zone(timezone), text.strip())


def segments(timezone: str, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """The zone's UTC offsets over a span that begins a day before `start` and ends with `end`.

    Returns:
        (the UTC instant from which it holds, seconds east of UTC), in order; the first instant is the span's start.
    """
    where, low = zone(timezone), start - timedelta(days=1)

    def offset(instant: datetime) -> int:
        return int((instant.astimezone(where).utcoffset() or timedelta()).total_seconds())

    found = [(low, offset(low))]
    while low < end:
        high = min(low + timedelta(days=7), end)
        if offset(high) != found[-1][1]:
            seconds = range(int(low.timestamp()), int(high.timestamp()) + 1)
            first = bisect_left(seconds, 1, key=lambda s: offset(datetime.fromtimestamp(s, UTC)) != found[-1][1])
            instant = datetime.fromtimestamp(seconds[first], UTC)
            found.append((instant, offset(instant)))
        low = high
    return found


def _edges(window: Window, every: Grain) -> Iterator[tuple[datetime, int]]:
    """Starts and keys of the buckets that touch the window (and perhaps one before it), in order."""
    if not every.seconds:
        where = zone(window.timezone)
        day = _floor(window.start.astimezone(where).date(), every)
        while (first := midnight(day, where)) < window.end:
            yield first, _key(day, every)
            day = _next(day, every)
        return
    steps = segments(window.timezone, window.start, window.end)
    for number, ((since, offset), until) in enumerate(
        zip(steps, [*(s for s, _ in steps[1:]), window.end], strict=True)
    ):
        edge = int(since.timestamp())
        if not number:
            edge -= (edge + offset) % every.seconds
        while edge < until.timestamp():
            yield datetime.fromtimestamp(edge, UTC), edge
            edge += every.seconds - (edge + offset) % every.seconds


def midnight(day: date, where: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC: 01:00 where the clocks skip midnight, the first of two midnights."""
    naive = datetime.combine(day, time())
    first = naive.replace(tzinfo=where).astimezone(UTC)
    if first.astimezone(where).replace(tzinfo=None) == naive:
        return first
    return segments(where.key, first - timedelta(days=1), first + timedelta(days=1))[1][0]


def _floor(day: date, every: Grain) -> date:
    if every is Grain.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if every is Grain.MONTH else day


def _next(day: date, every: Grain) -> date:
    if every is Grain.MONTH:
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if every is Grain.WEEK else 1)


def _key(day: date, every: Grain) -> int:
    return day.year * 12 + day.month - 1 if every is Grain.MONTH else (day - date(1970, 1, 1)).days


def _instant(text: str, where: ZoneInfo, whole: str, *, last: bool = False) -> datetime:
    text = text.strip()
    try:
        if _DATE.fullmatch(text):
            return midnight(date.fromisoformat(text) + timedelta(days=last), where)
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        inside = "" if whole == text else f" in the range {whole!r}"
        msg = f"{text!r}{inside} is no date (2025-06-01) and no ISO 8601 instant (2025-06-01T09:00Z)"
        raise WindowError(msg) from None
    return (instant if instant.tzinfo else instant.replace(tzinfo=where)).astimezone(UTC)


def _calendar(word: str, now: datetime, where: ZoneInfo) -> tuple[datetime, datetime, tuple[datetime, datetime]]:
    """Start and end of a calendar range, and the same elapsed part of the unit before it."""
    today = now.astimezone(where).date()
    unit = {"today": Grain.DAY, "yesterday": Grain.DAY, "this_week": Grain.WEEK, "last_week": Grain.WEEK}.get(
        word, Grain.MONTH
    )
    this = today.replace(month=1, day=1) if word == "ytd" else _floor(today, unit)
    past = this.replace(year=this.year - 1) if word == "ytd" else _floor(this - timedelta(days=1), unit)
    start, before = midnight(this, where), midnight(past, where)
    if word in {"yesterday", "last_week", "last_month"}:
        oldest = _floor(past - timedelta(days=1), unit)
        return before, start, (midnight(oldest, where), before)
    reached = _shift(now.astimezone(where).replace(tzinfo=None), this, past, word)
    end = reached.replace(tzinfo=where).astimezone(UTC)
    return start, now, (before, min(max(end, before), start))


def _shift(local: datetime, this: date, past: date, word: str) -> datetime:
    """The same local time of day, as many days into the earlier unit (the same date, for a year)."""
    if word == "ytd":
        day = 28 if (local.month, local.day) == (2, 29) else local.day
        return local.replace(year=past.year, day=day)
    return datetime.combine(past + (local.date() - this), local.time())


def _days_before(start: datetime, end: datetime, where: ZoneInfo) -> tuple[datetime, datetime]:
    """As many whole local days just before: 23- and 25-hour days count as days."""
    first, last = start.astimezone(where).date(), end.astimezone(where).date()
    return midnight(first - (last - first), where), start
