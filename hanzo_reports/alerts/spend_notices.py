"""Budgets, forecasts and anomalies told through the outbox, to those who subscribed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.alerts.state_store import group_key
from hanzo_reports.budgets.status import Crossing, crossings
from hanzo_reports.delivery.notice import Action, Notice
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.forecast.anomalies import Anomaly, anomalies, explained
from hanzo_reports.forecast.series import daily_spend
from hanzo_reports.formats import format_value
from hanzo_reports.state.alert_tables import ENDPOINTS, PASSES, SUBSCRIPTIONS
from hanzo_reports.state.budget_tables import insert_new
from hanzo_reports.units import Unit
from hanzo_reports.window import iso, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import ibis

    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.budgets.budget import Budgets

TOPICS = ("budgets", "anomalies")
LOOKED = 2  # the row of `alert_pass` that says when anomalies were looked for last
NEW = timedelta(days=2)  # an anomaly of an older day is history
_DOES = {
    "notify": "nothing is stopped",
    "soft_limit": "requests over the limit are flagged, not stopped",
    "hard_limit": "requests over the limit are denied",
}


def subscribe(connection: sqlalchemy.Connection, topic: str, endpoints: Collection[str]) -> None:
    """Endpoints that are told of a topic, in place of those before; none: nobody is.

    Args:
        connection: within a transaction.
        topic: ``budgets``, ``budgets:PROJECT`` or ``anomalies``.
        endpoints: ids.

    Raises:
        UnknownNameError: there is no such topic.
    """
    name, _, project = topic.partition(":")
    if name not in TOPICS or (project and name != "budgets"):
        raise UnknownNameError("topic", topic, (*TOPICS, "budgets:PROJECT"))
    connection.execute(sqlalchemy.delete(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.topic == topic))
    for endpoint_id in sorted(set(endpoints)):
        connection.execute(sqlalchemy.insert(SUBSCRIPTIONS).values(topic=topic, endpoint_id=endpoint_id))


def subscriptions(connection: sqlalchemy.Connection) -> list[dict[str, str]]:
    """Each topic with the name of each channel that is told of it."""
    columns = (SUBSCRIPTIONS.c.topic, ENDPOINTS.c.name.label("channel"))
    asked = sqlalchemy.select(*columns).join(ENDPOINTS).order_by(*columns)
    return [dict(row) for row in connection.execute(asked).mappings()]


def notify_budgets(budgets: Budgets, events: ibis.Table, now: datetime, context: MessageContext) -> int:
    """Thresholds and forecasts recorded and told in one transaction, each once for a month and a limit; how many."""
    count = 0

    def tell(connection: sqlalchemy.Connection, crossing: Crossing) -> None:
        nonlocal count
        if crossing.notify:
            topics = ("budgets", f"budgets:{crossing.budget.project}")
            count += enqueue(connection, [(_of_crossing(crossing, context), _told(connection, topics))], now)

    crossings(budgets, events, now, tell)
    return count


def notify_anomalies(
    engine: sqlalchemy.Engine, events: Callable[[], ibis.Table], now: datetime, context: MessageContext
) -> int:
    """Anomalies of the last two complete days told, each once, with the group that moved it; how many messages.

    Only if anybody subscribed, and once a day, are the events asked for.
    """
    local = zone(context.timezone)
    today = midnight(now.astimezone(local).date(), local)
    with engine.connect() as connection:
        to = _told(connection, ("anomalies",))
        last = connection.scalar(sqlalchemy.select(PASSES.c.at).where(PASSES.c.pass_id == LOOKED))
    if not to or (last is not None and last >= today):
        return 0
    table = events()
    found = anomalies(daily_spend(table, now, by=["project"], timezone=context.timezone), NEW.days)
    found = explained(found, table, ["project"], context.timezone)
    with engine.begin() as connection:
        if not _looked(connection, today, now):
            return 0
        return enqueue(connection, [(_of_anomaly(one, now, context), to) for one in found], now)


def _looked(connection: sqlalchemy.Connection, today: datetime, now: datetime) -> bool:
    """Whether this look is the first of the day; of two at once only one is."""
    insert_new(connection, PASSES, {"pass_id": LOOKED, "version": 0})
    first = (PASSES.c.pass_id == LOOKED) & (PASSES.c.at.is_(None) | (PASSES.c.at < today))
    return connection.execute(sqlalchemy.update(PASSES).where(first).values(at=now)).rowcount == 1


def _told(connection: sqlalchemy.Connection, topics: Collection[str]) -> list[str]:
    asked = sqlalchemy.select(SUBSCRIPTIONS.c.endpoint_id).where(SUBSCRIPTIONS.c.topic.in_(list(topics))).distinct()
    return sorted(connection.scalars(asked))


def _of_crossing(crossing: Crossing, context: MessageContext) -> Notice:
    budget = crossing.budget
    limit, spent = (
        format_value(budget.monthly_limit, Unit.USD, "message"),
        format_value(crossing.spent, Unit.USD, "message"),
    )
    month = f"{crossing.period_start:%B %Y}"
    if crossing.threshold is None:
        title = f"BUDGET {budget.project}: {month} is likely to end above {limit}"
        much = f"{spent} spent; the month's end is likely at {format_value(crossing.forecast, Unit.USD, 'message')}"
    else:
        title = f"BUDGET {budget.project}: {(crossing.threshold * 100).normalize():f}% of {limit} is spent in {month}"
        much = f"{spent} of {limit}"
    facts = (
        ("What", f"the monthly budget of project {budget.project}, in {budget.timezone}"),
        ("How much", much),
        ("Since", context.time(crossing.at)),
        ("What it does", _DOES[budget.on_exceed]),
        ("Resolves", "with the next month, or with a higher limit: hanzo-reports budgets set"),
        ("Ask", f"hanzo-reports costs -r mtd --by model -w project={budget.project}"),
    )
    over = crossing.threshold is None or crossing.threshold >= 1
    kind = "forecast" if crossing.threshold is None else f"threshold:{crossing.threshold:f}:{budget.revision}"
    data: dict[str, Any] = {
        name: str(value) if isinstance(value, Decimal) else value for name, value in crossing.row.items()
    }
    return Notice(
        source=budget.budget_id, group=crossing.period_start.isoformat(), episode=budget.revision, kind=kind,
        action=Action.INFORM, severity="critical" if over and budget.on_exceed == "hard_limit" else "warning",
        at=crossing.at, title=title, facts=facts, link=context.link, data=data,
    )  # fmt: skip


def _of_anomaly(one: Anomaly, now: datetime, context: MessageContext) -> Notice:
    project = str(one.key[0])
    spent, expected = format_value(one.spent, Unit.USD, "message"), format_value(one.expected, Unit.USD, "message")
    facts = (
        ("What", f"the spend of project {project} on {one.day:%A %-d %B %Y} is out of line"),
        ("How much", f"{spent}, expected {expected}; {format_value(abs(one.stake), Unit.USD, 'message')} at stake"),
        ("Why", one.why or "not looked into: there are too many at once"),
        ("Ask", f"hanzo-reports costs -r {one.day}..{one.day} --by model -w project={project}"),
    )
    return Notice(
        source="anomalies", group=group_key({"project": one.key[0]}), episode=one.day.toordinal(), kind="anomaly",
        action=Action.INFORM, severity="warning", at=now,
        title=f"ANOMALY {project}: {spent} on {one.day:%-d %B}, expected {expected}", facts=facts, link=context.link,
        data={"project": one.key[0], "day": one.day.isoformat(), "spent": str(one.spent),
              "expected": str(one.expected), "score": round(one.score, 2), "seen_at": iso(now)},
    )  # fmt: skip
