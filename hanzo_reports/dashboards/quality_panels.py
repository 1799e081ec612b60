"""The panels about the quality of a store's data."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hanzo_reports.dashboards import quality_texts as texts
from hanzo_reports.formats import UNKNOWN, format_duration, format_short, format_value
from hanzo_reports.html.charts import Chart, Line
from hanzo_reports.html.panels import (
    RankingRow,
    StateRow,
    Tile,
    build_chart,
    build_checks,
    build_ranking,
    build_takeaway,
    build_tiles,
)
from hanzo_reports.html.text import show_name
from hanzo_reports.quality.verdict import State, Status
from hanzo_reports.units import Unit
from hanzo_reports.window import zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hanzo_reports.html.components import Panel
    from hanzo_reports.quality.verdict import Check, Verdict

    Day = Mapping[str, Any]

_SEVERITIES = ("critical", "warning", "info")
_LISTED = {*texts.NOT_PASSED, State.ACCEPTED}  # the others are folded away
_STATES = {
    State.PASSED: ("good", "Passed"), State.SKIPPED: ("even", "Skipped"), State.ERROR: ("bad", "Not evaluated"),
    State.ACCEPTED: ("even", "Accepted"),
}  # fmt: skip
_FAILED = {"critical": ("bad", "Failed"), "warning": ("warn", "Warning"), "info": ("even", "Noted")}
_TRUST = {None: "Not checked", Status.PASSED: "Yes", Status.WARNED: "With care", Status.FAILED: "No"}
_CHECK_COLUMNS = {
    "suite": pa.string(), "scope": pa.string(), "at": pa.string(), "check": pa.string(), "severity": pa.string(),
    "state": pa.string(), "unexpected": pa.int64(), "rows": pa.int64(), "at_stake": pa.decimal128(38, 9),
    "description": pa.string(), "seen": pa.string(),
}  # fmt: skip


def tiles_panel(verdicts: Sequence[Verdict], days: Sequence[Day], quarantined: int) -> Panel:
    """Trust, freshness, quarantine and prices.

    Args:
        verdicts: those that say whether the data can be trusted.
        days: the days of the range.
        quarantined: rows in quarantine.
    """
    failed = sum(check.state in texts.NOT_PASSED for verdict in verdicts for check in verdict.checks)
    total = sum(len(verdict.checks) for verdict in verdicts)
    worst = max((verdict.status for verdict in verdicts), key=list(Status).index, default=None)
    silence = days[-1]["hours_without_events"] if days else None
    unpriced, requests, duplicates = (sum(day[name] for day in days) for name in ("unpriced", "requests", "duplicates"))
    return build_tiles([
        Tile("trust", "Can be trusted", _TRUST.get(worst, UNKNOWN),
             f"{failed:,} of {total:,} checks not passed" if total else texts.ADVICE,
             meaning="the worst of the newest verdicts"),
        Tile("freshness", "Last event", _format_hours(silence),
             "no events in the range" if silence is None else "ago", meaning="time since the last event"),
        Tile("quarantine", "In quarantine", format_short(quarantined, Unit.REQUESTS),
             f"{duplicates:,} duplicates in the store", meaning="rows that loads rejected"),
        Tile("unpriced", "Unpriced", format_short(unpriced, Unit.REQUESTS),
             f"of {format_short(requests, Unit.REQUESTS)} requests",
             meaning="requests with tokens and no known cost"),
    ])  # fmt: skip


def checks_panel(title: str, verdicts: Sequence[Verdict]) -> Panel:
    """Every check: failed ones first, the most severe first."""
    pairs = [(verdict, check) for verdict in verdicts for check in verdict.checks]
    pairs.sort(key=lambda pair: (pair[1].state not in texts.NOT_PASSED, _SEVERITIES.index(pair[1].severity)))
    listed, folded = (
        [_check_row(verdict, check) for verdict, check in pairs if (check.state in _LISTED) is wanted]
        for wanted in (True, False)
    )
    skipped = [f"{verdict.suite}: {verdict.reason}" for verdict in verdicts if verdict.reason]
    latest = max((verdict.at for verdict in verdicts), default="")
    subtitle = "; ".join([f"as of {latest[:16].replace('T', ' ')} UTC", *skipped]) if latest else texts.ADVICE
    return build_checks(title, subtitle, listed, folded)


def checks_table(verdicts: Sequence[Verdict]) -> pa.Table:
    """One row per verdict and check."""
    rows = [
        {
            "suite": verdict.suite, "scope": verdict.scope, "at": verdict.at, "check": check.id,
            "severity": check.severity, "state": check.state.value, "unexpected": check.unexpected, "rows": check.rows,
            "at_stake": check.at_stake, "description": check.description, "seen": check.observed,
        }
        for verdict in verdicts
        for check in verdict.checks
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=pa.schema(list(_CHECK_COLUMNS.items())))


def volume_panel(days: Sequence[Day]) -> Panel:
    """Requests by day beside the same weekday a week earlier, with a table of all that is known about each day.

    The chart leaves out a day that is not over, because it would look like a fall.
    """
    complete = [day for day in days if day["complete"]]
    rows = [
        {
            "start": _midnight(day["day"]), "end": _midnight(day["day"], 1), "requests": day["requests"],
            "previous": day["requests_week_before"], "tip": f"{day['day']} · {texts.describe_volume(day)}",
        }
        for day in complete
    ]  # fmt: skip
    bands = [(row["start"], row["end"]) for row, day in zip(rows, complete, strict=True) if texts.is_unusual(day)]
    lines = (Line("previous", "s3", dashed=True), Line("requests", "s1", filled=True))
    legend = [("rule", "s1", "Requests"), ("dash", "s3", "Same weekday a week earlier")]
    legend += [("block", "band", "Unusual")] if any(map(texts.is_unusual, days)) else []
    columns = (
        "Day", "Requests", "Week earlier", "Without events", "Unpriced", "Zero-cost answers", "Duplicates",
        "Identical calls",
    )  # fmt: skip
    cells = [
        (
            day["day"], f"{day['requests']:,}", format_value(day["requests_week_before"], Unit.REQUESTS, "table"),
            _format_hours(day["hours_without_events"]), format_value(day["unpriced_share"], Unit.SHARE, "table"),
            f"{day['free_answers']:,}", f"{day['duplicates']:,}", f"{day['same_calls']:,}",
        )
        for day in days
    ]  # fmt: skip
    return build_chart(
        "Volume and freshness", "Requests per day beside the same weekday a week earlier",
        Chart(rows, lines, "day", bands), legend, columns, rows=cells,
        text="\n".join(f"{day['day']}: {texts.describe_volume(day)}" for day in days) or "no days",
    )  # fmt: skip


def reasons_panel(reasons: Sequence[Mapping[str, Any]]) -> Panel:
    """Rows in quarantine by reason."""
    total, largest = sum(row["rows"] for row in reasons), max((row["rows"] for row in reasons), default=1)
    rows = [
        RankingRow(
            name=show_name(row["reason"]),
            value=format_short(row["rows"], Unit.REQUESTS),
            share=f"{row['rows'] / total:.1%}",
            bar=f"{100 * row['rows'] / largest:.1f}",
            exact=f"{row['rows']:,} of {row['source']}",
        )
        for row in reasons
    ]
    subtitle = "Rows that loads rejected, by reason" if rows else "Empty: no load rejected a row"
    return build_ranking("Quarantine", subtitle, rows, empty=subtitle)


def trend_panel(verdicts: Sequence[Verdict], now: datetime, timezone: str, day_count: int) -> Panel:
    """Failed checks by local day, by each suite's last verdict of the day, and quarantined rows of all loads.

    Args:
        verdicts: in the order of time.
        now: the end of the last day.
        timezone: in which days are cut.
        day_count: the number of days.
    """
    local = zone(timezone)
    last_verdicts: dict[tuple[str, str, str], Verdict] = {}
    quarantined: Counter[str] = Counter()
    for verdict in verdicts:
        day = datetime.fromisoformat(verdict.at).astimezone(local).date().isoformat()
        last_verdicts[day, verdict.suite, verdict.scope] = verdict
        quarantined[day] += verdict.quarantined if verdict.scope == "load" else 0
    failed: Counter[str] = Counter()
    for (day, _, _), verdict in last_verdicts.items():
        failed[day] += sum(check.state in texts.NOT_PASSED and check.severity != "info" for check in verdict.checks)
    today = now.astimezone(local).date()
    days = [(today - timedelta(days=back)).isoformat() for back in range(day_count - 1, -1, -1)]
    rows = [
        {
            "start": _midnight(day), "end": _midnight(day, 1), "failed": failed[day],
            "tip": f"{day} · {failed[day]:,} checks not passed · {quarantined[day]:,} rows quarantined by the guard",
        }
        for day in days
    ]  # fmt: skip
    cells = [(day, f"{failed[day]:,}", f"{quarantined[day]:,}") for day in days]
    chart = Chart(
        rows if verdicts else [], (Line("failed", "s1", filled=True),), "day", label=lambda number: f"{number:g}"
    )
    subtitle, count = f"Checks that did not pass, per day, last {day_count} days", sum(failed[day] for day in days)
    return build_chart(
        "Failures over time", subtitle, chart, [("rule", "s1", "Checks not passed")],
        ("Day", "Checks not passed", "Quarantined"), rows=cells, text=f"{subtitle}: {count:,}",
    )  # fmt: skip


def takeaway_panel(verdicts: Sequence[Verdict], days: Sequence[Day], reasons: Sequence[Mapping[str, Any]]) -> Panel:
    """Whether the numbers can be trusted, and if not, why."""
    return build_takeaway(texts.describe_trust(verdicts, days, reasons))


def _check_row(verdict: Verdict, check: Check) -> StateRow:
    tone, state = _FAILED[check.severity] if check.state is State.FAILED else _STATES[check.state]
    at_stake = ""
    if check.at_stake is not None and check.state in texts.NOT_PASSED:
        at_stake = f" · {format_value(check.at_stake, Unit.USD, 'table')} at stake"
    groups = ", ".join(f"{show_name(group['value'] or 'unknown')} {group['rows']:,}" for group in check.groups[:4])
    scope = " (load)" if verdict.scope == "load" else ""
    meaning = f"{verdict.suite}{scope}: {check.id}" + (f" · {groups}" if groups else "")
    return StateRow(check.description, meaning, f"{check.observed}{at_stake}", check.severity, tone, state)


def _format_hours(hours: float | None) -> str:
    return UNKNOWN if hours is None else format_duration(timedelta(hours=hours), "rounded")


def _midnight(day: str, days_later: int = 0) -> datetime:
    """The start of a day on an axis of days that are all equally long."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=days_later)
