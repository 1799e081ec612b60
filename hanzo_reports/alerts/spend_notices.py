"""Notices of budget thresholds, forecasts and anomalies, for the channels that subscribed to them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.alerts.commands import build_budget_command, build_costs_command
from hanzo_reports.alerts.message_text import clean_name, clean_text
from hanzo_reports.alerts.state_store import group_key
from hanzo_reports.alerts.subscriptions import list_subscribers
from hanzo_reports.budgets.crossings import Crossing, record_crossings
from hanzo_reports.delivery.notice import Action, Notice
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.forecast.anomalies import Anomaly, explain_anomalies, find_anomalies
from hanzo_reports.forecast.series import daily_spend
from hanzo_reports.formats import format_value
from hanzo_reports.state.alert_tables import PASSES
from hanzo_reports.state.budget_tables import insert_new
from hanzo_reports.units import Unit
from hanzo_reports.window import iso, midnight, zone

if TYPE_CHECKING:
    import ibis

    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.alerts.query import Events
    from hanzo_reports.budgets.budget_store import Budgets

ANOMALIES_PASS = 2  # the row of `alert_pass` with the instant of the last search for anomalies
MAX_ANOMALY_AGE = timedelta(days=2)
MAX_CAUSE_LENGTH = 500
_EFFECTS = {
    "notify": "nothing is stopped",
    "soft_limit": "requests over the limit are flagged, not stopped",
    "hard_limit": "requests over the limit are denied",
}


def notify_budgets(budgets: Budgets, events: ibis.Table, now: datetime, context: MessageContext) -> int:
    """Records new threshold crossings and forecasts, each with its message in one transaction.

    Each is reported once per month and limit.

    Returns:
        The number of new messages.
    """
    count = 0

    def notify(connection: sqlalchemy.Connection, crossing: Crossing) -> None:
        nonlocal count
        if crossing.notify:
            subscribers = list_subscribers(connection, ("budgets", f"budgets:{crossing.budget.project}"))
            count += enqueue(connection, [(_build_budget_notice(crossing, context), subscribers)], now)

    record_crossings(budgets, events, now, notify)
    return count


def notify_anomalies(engine: sqlalchemy.Engine, events: Events, now: datetime, context: MessageContext) -> int:
    """Reports the anomalies of the last two complete days, each once, with the group that caused it.

    Events are read once a day, and only if a channel has subscribed.

    Returns:
        The number of new messages.
    """
    local = zone(context.timezone)
    today = midnight(now.astimezone(local).date(), local)
    with engine.connect() as connection:
        subscribers = list_subscribers(connection, ("anomalies",))
        last = connection.scalar(sqlalchemy.select(PASSES.c.at).where(PASSES.c.pass_id == ANOMALIES_PASS))
    if not subscribers or (last is not None and last >= today):
        return 0
    table = events()
    spend = daily_spend(table, now, by=["project"], timezone=context.timezone)
    new = explain_anomalies(find_anomalies(spend, MAX_ANOMALY_AGE.days), table, ["project"], context.timezone)
    with engine.begin() as connection:
        if not _claim_day(connection, today, now):
            return 0
        notices = [(_build_anomaly_notice(anomaly, now, context), subscribers) for anomaly in new]
        return enqueue(connection, notices, now)


def _claim_day(connection: sqlalchemy.Connection, today: datetime, now: datetime) -> bool:
    """Whether this is the first search for anomalies of the day; of two at once only one is."""
    insert_new(connection, PASSES, {"pass_id": ANOMALIES_PASS, "version": 0})
    is_first = (PASSES.c.pass_id == ANOMALIES_PASS) & (PASSES.c.at.is_(None) | (PASSES.c.at < today))
    return connection.execute(sqlalchemy.update(PASSES).where(is_first).values(at=now)).rowcount == 1


def _build_budget_notice(crossing: Crossing, context: MessageContext) -> Notice:
    budget, threshold = crossing.budget, crossing.threshold
    project, month = clean_name(budget.project), f"{crossing.period_start:%B %Y}"
    limit, spent = _format_money(budget.monthly_limit), _format_money(crossing.spent)
    if threshold is None:
        kind = "forecast"
        title = f"BUDGET {project}: {month} is likely to end above {limit}"
        amount = f"{spent} of {limit}; the month is likely to end at {_format_money(crossing.forecast)}"
    else:
        kind = f"threshold:{threshold:f}:{budget.revision}"
        title = f"BUDGET {project}: {format_value(threshold, Unit.SHARE, 'exact')} of {limit} is spent in {month}"
        amount = f"{spent} of {limit}"
    _, period = budget.period(midnight(crossing.period_start, zone(budget.timezone)))
    facts = (
        ("Budget", f"the monthly budget of project {project}, in {budget.timezone}"),
        ("Spent", amount),
        ("Since", context.format_time(crossing.at)),
        ("Effect", _EFFECTS[budget.on_exceed]),
        ("Resolves", f"with the next month, or with a higher limit: {build_budget_command(budget.project)}"),
        ("Query", build_costs_command(budget.project, period.start, min(period.end, crossing.at))),
    )
    is_over = threshold is None or threshold >= 1
    data: dict[str, Any] = {
        name: str(value) if isinstance(value, Decimal) else value for name, value in crossing.row.items()
    }
    return Notice(
        source=budget.budget_id, group=crossing.period_start.isoformat(), episode=budget.revision, kind=kind,
        action=Action.INFORM, severity="critical" if is_over and budget.on_exceed == "hard_limit" else "warning",
        at=crossing.at, title=title, facts=facts, link=context.link, data=data,
    )  # fmt: skip


def _build_anomaly_notice(anomaly: Anomaly, now: datetime, context: MessageContext) -> Notice:
    [name] = anomaly.key
    project, local = clean_name(name), zone(context.timezone)
    spent, expected = _format_money(anomaly.spent), _format_money(anomaly.expected)
    start, end = midnight(anomaly.day, local), midnight(anomaly.day + timedelta(days=1), local)
    cause = anomaly.why or "not analysed, since there are too many anomalies at once"
    facts = (
        ("Anomaly", f"the spend of project {project} on {anomaly.day:%A %-d %B %Y} is unusual"),
        ("Spent", f"{spent}, expected {expected}; the difference is {_format_money(abs(anomaly.stake))}"),
        ("Cause", clean_text(cause, MAX_CAUSE_LENGTH)),
        ("Query", build_costs_command(name, start, end)),
    )
    return Notice(
        source="anomalies", group=group_key({"project": name}), episode=anomaly.day.toordinal(), kind="anomaly",
        action=Action.INFORM, severity="warning", at=now,
        title=f"ANOMALY {project}: {spent} on {anomaly.day:%-d %B}, expected {expected}", facts=facts,
        link=context.link,
        data={"project": name, "day": anomaly.day.isoformat(), "spent": str(anomaly.spent),
              "expected": str(anomaly.expected), "score": round(anomaly.score, 2), "seen_at": iso(now)},
    )  # fmt: skip


def _format_money(value: Decimal | None) -> str:
    return format_value(value, Unit.USD, "message")
