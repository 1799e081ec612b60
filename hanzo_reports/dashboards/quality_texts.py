"""The quality of a store's data in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hanzo_reports.html.text import show_name
from hanzo_reports.quality.verdict import State, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hanzo_reports.quality.verdict import Check, Verdict

NOT_PASSED = {State.FAILED, State.ERROR}
ADVICE = "nothing has been checked yet; run `hanzo-reports guard`"
MAX_CHECKS, MAX_DAYS = 3, 5  # named in a sentence
USUAL_VOLUME = (0.6, 1.8)  # a day's requests as a share of the same weekday's a week earlier; as in daily.yaml
MAX_SILENCE = 24  # hours without events; as in daily.yaml


def describe_trust(
    verdicts: Sequence[Verdict], days: Sequence[Mapping[str, Any]], reasons: Sequence[Mapping[str, Any]]
) -> str:
    """Whether the numbers can be trusted, and if not, why.

    Args:
        verdicts: those that say so.
        days: the days of the range.
        reasons: the quarantined rows by reason.
    """
    sentences = [_describe_verdicts([verdict for verdict in verdicts if verdict.status is not Status.SKIPPED])]
    if reasons:
        count = sum(row["rows"] for row in reasons)
        sentences.append(f"Rows in quarantine: {count:,}; the most frequent reason: {show_name(reasons[0]['reason'])}.")
    unusual = [day["day"] for day in days if is_unusual(day)]
    if unusual:
        more = " and more" if len(unusual) > MAX_DAYS else ""
        sentences.append(f"Unusual days: {', '.join(unusual[:MAX_DAYS])}{more}.")
    return " ".join(sentences)


def describe_volume(day: Mapping[str, Any]) -> str:
    """A day's requests beside those of the same weekday a week earlier."""
    week_before = day["requests_week_before"]
    earlier = "" if week_before is None else f", {week_before:,} a week earlier"
    return f"{day['requests']:,} requests{earlier}"


def is_unusual(day: Mapping[str, Any]) -> bool:
    """Whether a day's volume is out of line, or it has a long silence."""
    ratio, silence = day["volume_ratio"], day["hours_without_events"]
    lowest, highest = USUAL_VOLUME
    return bool(
        (ratio is not None and not lowest <= ratio <= highest) or (silence is not None and silence > MAX_SILENCE)
    )


def _describe_verdicts(verdicts: Sequence[Verdict]) -> str:
    worst = max((verdict.status for verdict in verdicts), key=list(Status).index, default=None)
    checks = [check for verdict in verdicts for check in verdict.checks]
    if worst is None:
        return f"Whether these numbers can be trusted is not known: {ADVICE}."
    if worst is Status.PASSED:
        return f"These numbers can be trusted: all {len(checks):,} checks passed."
    severe = [c for c in checks if c.state is State.ERROR or (c.state in NOT_PASSED and c.severity == "critical")]
    if worst is Status.FAILED:
        return f"These numbers cannot be trusted; failed checks: {_name_checks(severe)}."
    light = [check for check in checks if check.state is State.FAILED and check.severity == "warning"]
    return f"These numbers can be used with care; failed checks: {_name_checks(light or severe)}."


def _name_checks(checks: Sequence[Check]) -> str:
    names = [f"{check.description} ({check.observed})" for check in checks[:MAX_CHECKS]]
    more = f" and {len(checks) - MAX_CHECKS} more" if len(checks) > MAX_CHECKS else ""
    return "; ".join(names) + more
