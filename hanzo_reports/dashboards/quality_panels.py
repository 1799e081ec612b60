"""How each part about the data's quality looks: its HTML and its plain text."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hanzo_reports.formats import Change, format_short, format_value
from hanzo_reports.html.charts import Chart, Line
from hanzo_reports.html.components import fragment
from hanzo_reports.quality.verdict import State, Status
from hanzo_reports.units import Unit
from hanzo_reports.window import zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hanzo_reports.dashboards.overview_panels import View
    from hanzo_reports.quality.verdict import Check, Verdict

OPEN = {State.FAILED, State.ERROR}
NONE = Change("", "", "even")
ADVICE = "nothing has been checked yet; run `hanzo-reports guard`"
_ORDER = ("critical", "warning", "info")
_LISTED = {*OPEN, State.ACCEPTED}  # the others are folded away
_STATES = {
    State.PASSED: ("good", "Passed"), State.SKIPPED: ("even", "Skipped"), State.ERROR: ("bad", "Not evaluated"),
    State.ACCEPTED: ("even", "Accepted"),
}  # fmt: skip
_FAILED = {"critical": ("bad", "Failed"), "warning": ("warn", "Warning"), "info": ("even", "Noted")}
_WORD = {Status.PASSED: "Yes", Status.WARNED: "With care", Status.FAILED: "No"}


def tiles(verdicts: Sequence[Verdict], days: Sequence[Mapping[str, Any]], held: int) -> View:
    """Trust, freshness, quarantine, prices, each as a tile."""
    failed = [check for verdict in verdicts for check in verdict.checks if check.state in OPEN]
    counted = sum(len(verdict.checks) for verdict in verdicts)
    worst = max((verdict.status for verdict in verdicts), key=list(Status).index, default=None)
    silence = days[-1]["hours_without_events"] if days else None
    priced, tokens = sum(day["unpriced"] for day in days), sum(day["requests"] for day in days)
    copies = sum(day["duplicates"] for day in days)
    made = [
        _tile("trust", "Can be trusted", "the worst of the newest verdicts",
              "Not checked" if worst is None else _WORD[worst],
              f"{len(failed):,} of {counted:,} checks open" if counted else ADVICE),
        _tile("freshness", "Last event", "silence until now", "–" if silence is None else _hours(silence),  # noqa: RUF001
              "before now" if silence is not None else "no events in the range"),
        _tile("quarantine", "In quarantine", "rows that no load accepted", format_short(held, Unit.REQUESTS),
              f"{copies:,} duplicates in the store"),
        _tile("unpriced", "Unpriced", "requests with tokens and no known cost", format_short(priced, Unit.REQUESTS),
              f"of {format_short(tokens, Unit.REQUESTS)} requests"),
    ]  # fmt: skip
    text = "\n".join(f"{tile['title']}: {tile['value']} ({tile['note']})" for tile in made)
    return {"html": fragment("tiles", tiles=made), "text": text}


def checks(verdicts: Sequence[Verdict]) -> View:
    """Every check, what failed first, the grave before the light."""
    found = [(verdict, check) for verdict in verdicts for check in verdict.checks]
    found.sort(key=lambda pair: (pair[1].state not in OPEN, _ORDER.index(pair[1].severity)))
    rows = [_row(verdict, check) for verdict, check in found if check.state in _LISTED]
    passed = [_row(verdict, check) for verdict, check in found if check.state not in _LISTED]
    skipped = [f"{verdict.suite}: {verdict.reason}" for verdict in verdicts if verdict.reason]
    when = max((verdict.at for verdict in verdicts), default="")
    subtitle = "; ".join([f"as of {when[:16].replace('T', ' ')} UTC", *skipped]) if when else ADVICE
    text = "\n".join(f"{row['title']}: {row['state']} ({row['value']})" for row in rows + passed) or subtitle
    return {"html": fragment("checks", title="Checks", subtitle=subtitle, rows=rows, passed=passed), "text": text}


def checks_table(verdicts: Sequence[Verdict]) -> pa.Table:
    """The checks as a table."""
    names = (
        "suite",
        "scope",
        "at",
        "check",
        "severity",
        "state",
        "unexpected",
        "rows",
        "at_stake",
        "description",
        "seen",
    )
    types = [pa.string()] * 6 + [pa.int64()] * 2 + [pa.decimal128(38, 9)] + [pa.string()] * 2
    rows = [
        (
            v.suite,
            v.scope,
            v.at,
            c.id,
            c.severity,
            c.state.value,
            c.unexpected,
            c.rows,
            c.at_stake,
            c.description,
            c.observed,
        )
        for v in verdicts
        for c in v.checks
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], list(names))


def volume_chart(days: Sequence[Mapping[str, Any]]) -> Chart:
    """Requests by day, those of the same weekday before behind them; a day that is not over would look like a fall."""
    days = [day for day in days if day["complete"]]
    rows = [
        {
            "start": _midnight(day["day"]), "end": _midnight(day["day"], 1), "requests": day["requests"],
            "before": day["requests_week_before"], "tip": f"{day['day']} · {_volume(day)}",
        }
        for day in days
    ]  # fmt: skip
    bands = tuple((row["start"], row["end"]) for row, day in zip(rows, days, strict=True) if _odd(day))
    return Chart(tuple(rows), (Line("before", "s3", dashed=True), Line("requests", "s1", filled=True)), "day", bands)


def volume(days: Sequence[Mapping[str, Any]], drawings: Sequence[str]) -> View:
    """That chart with a table of all that is known about each day."""
    columns = ("Day", "Requests", "Week before", "Silence", "Unpriced", "Free answers", "Duplicates", "Same calls")
    rows = [
        (
            day["day"], f"{day['requests']:,}", format_value(day["requests_week_before"], Unit.REQUESTS, "table"),
            "–" if day["hours_without_events"] is None else _hours(day["hours_without_events"]),  # noqa: RUF001
            format_value(day["unpriced_share"], Unit.SHARE, "table"),
            f"{day['free_answers']:,}", f"{day['duplicates']:,}", f"{day['same_calls']:,}",
        )
        for day in days
    ]  # fmt: skip
    legend = [("rule", "s1", "Requests"), ("dash", "s3", "Same weekday before")]
    legend += [("block", "band", "Unusual")] if any(map(_odd, days)) else []
    subtitle = "Requests per day beside those of the same weekday before"
    html = fragment("chart", title="Volume and freshness", subtitle=subtitle, drawings=drawings, rows=rows,
                    legend=legend, columns=columns)  # fmt: skip
    return {"html": html, "text": "\n".join(f"{day['day']}: {_volume(day)}" for day in days) or "no days"}


def reasons(found: Sequence[Mapping[str, Any]]) -> View:
    """Rows in quarantine by reason."""
    total, most = sum(row["rows"] for row in found), max((row["rows"] for row in found), default=1)
    rows = [
        {
            "name": row["reason"], "vague": False, "bar": f"{100 * row['rows'] / most:.1f}",
            "share": f"{row['rows'] / total:.1%}", "value": format_short(row["rows"], Unit.REQUESTS),
            "exact": f"{row['rows']:,} of {row['source']}", "change": NONE,
        }
        for row in found
    ]  # fmt: skip
    subtitle = "Rows that no load accepted, by reason" if rows else "Empty: every row of every load was an event"
    text = "\n".join(f"{row['name']}: {row['value']}" for row in rows) or subtitle
    return {"html": fragment("ranking", title="Quarantine", subtitle=subtitle, rows=rows), "text": text}


def trend_chart(kept: Sequence[Verdict], now: datetime, timezone: str, days: int) -> Chart:
    """Failed checks by local day, of each suite's last verdict, and quarantined rows of all loads.

    Args:
        kept: in the order of time.
        now: the end of the last day.
        timezone: in which days are cut.
        days: how many.
    """
    where = zone(timezone)
    last: dict[tuple[str, str, str], Verdict] = {}
    held: Counter[str] = Counter()
    for verdict in kept:
        day = datetime.fromisoformat(verdict.at).astimezone(where).date().isoformat()
        last[day, verdict.suite, verdict.scope] = verdict
        held[day] += verdict.quarantined if verdict.scope == "load" else 0
    failed: Counter[str] = Counter()
    for (day, _, _), verdict in last.items():
        failed[day] += sum(check.state in OPEN and check.severity != "info" for check in verdict.checks)
    today = now.astimezone(where).date()
    dates = [(today - timedelta(days=back)).isoformat() for back in range(days - 1, -1, -1)]
    rows = [
        {
            "start": _midnight(day), "end": _midnight(day, 1), "failed": failed[day], "quarantined": held[day],
            "tip": f"{day} · {failed[day]:,} checks open · {held[day]:,} rows quarantined by the guard",
        }
        for day in dates
    ]  # fmt: skip
    return Chart(tuple(rows), (Line("failed", "s1", filled=True),), "day", label=lambda number: f"{number:g}")


def trend(chart: Chart, drawings: Sequence[str]) -> View:
    """That chart with its table."""
    rows = [(row["start"].date().isoformat(), f"{row['failed']:,}", f"{row['quarantined']:,}") for row in chart.rows]
    subtitle = f"Checks that did not pass, per day, the last {len(rows)} days"
    html = fragment("chart", title="Failures over time", subtitle=subtitle, drawings=drawings, rows=rows,
                    legend=[("rule", "s1", "Open checks")], columns=("Day", "Open checks", "Quarantined"))  # fmt: skip
    return {"html": html, "text": f"{subtitle}: {sum(row['failed'] for row in chart.rows):,}"}


def downloads(files: Sequence[Mapping[str, Any]]) -> View:
    """Links to files."""
    text = "\n".join(f"{one['name']}: {one['rows']:,} rows" for one in files)
    return {"html": fragment("downloads", files=files), "text": text}


def takeaway(verdicts: Sequence[Verdict], days: Sequence[Mapping[str, Any]], held: Sequence[Mapping[str, Any]]) -> View:
    """Whether the numbers can be trusted, and if not, why."""
    judged = [verdict for verdict in verdicts if verdict.status is not Status.SKIPPED]
    worst = max((verdict.status for verdict in judged), key=list(Status).index, default=None)
    grave = [
        c for v in judged for c in v.checks if c.state is State.ERROR or (c.state in OPEN and c.severity == "critical")
    ]
    light = [c for v in judged for c in v.checks if c.state is State.FAILED and c.severity == "warning"]
    said = {
        None: f"Whether these numbers can be trusted is not known: {ADVICE}.",
        Status.PASSED: f"These numbers can be trusted: all {sum(len(v.checks) for v in judged):,} checks passed.",
        Status.WARNED: f"These numbers can be used with care; what does not hold: {_named(light or grave)}.",
        Status.FAILED: f"These numbers cannot be trusted; what does not hold: {_named(grave)}.",
    }[worst]
    if held:
        rows = sum(row["rows"] for row in held)
        said += f" Rows in quarantine: {rows:,}, most often: {held[0]['reason']}."
    odd = [day["day"] for day in days if _odd(day)]
    if odd:
        said += f" Unusual days: {', '.join(odd[:5])}{' and more' if len(odd) > 5 else ''}."  # noqa: PLR2004  # as many as a sentence bears
    return {"html": fragment("told", sentence=said), "text": said}


def _named(found: Sequence[Check]) -> str:
    shown = [f"{check.description} ({check.observed})" for check in found[:3]]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004  # as many as a sentence bears
    return "; ".join(shown) + more


def _row(verdict: Verdict, check: Check) -> dict[str, Any]:
    tone, state = _FAILED[check.severity] if check.state is State.FAILED else _STATES[check.state]
    stake = (
        ""
        if check.at_stake is None or check.state not in OPEN
        else f" · {format_value(check.at_stake, Unit.USD, 'table')} at stake"
    )
    by = ", ".join(f"{group['value'] or 'unknown'} {group['rows']:,}" for group in check.groups[:4])
    meaning = f"{verdict.suite}{' (load)' if verdict.scope == 'load' else ''}: {check.id}" + (f" · {by}" if by else "")
    return {
        "title": check.description, "meaning": meaning, "value": f"{check.observed}{stake}", "limit": check.severity,
        "tone": tone, "state": state,
    }  # fmt: skip


def _tile(name: str, title: str, meaning: str, value: str, note: str) -> dict[str, Any]:
    return {"name": name, "title": title, "meaning": meaning, "value": value, "exact": value, "change": NONE,
            "note": note, "warning": "", "line": []}  # fmt: skip


def _volume(day: Mapping[str, Any]) -> str:
    past = "" if day["requests_week_before"] is None else f", {day['requests_week_before']:,} a week before"
    return f"{day['requests']:,} requests{past}"


def _odd(day: Mapping[str, Any]) -> bool:
    ratio, silent = day["volume_ratio"], day["hours_without_events"]
    return bool((ratio is not None and not 0.6 <= ratio <= 1.8) or (silent is not None and silent > 24))  # noqa: PLR2004  # daily.yaml


def _hours(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.0f} h" if hours < 72 else f"{hours / 24:,.0f} days"  # noqa: PLR2004


def _midnight(day: str, later: int = 0) -> datetime:
    """Where a day, or one so many days later, begins on an axis of days that are all equally long."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=later)
