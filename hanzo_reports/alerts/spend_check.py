"""One check of budgets and anomalies, each with a health of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hanzo_reports.alerts.alert_state import Health
from hanzo_reports.alerts.health import step_health
from hanzo_reports.alerts.messages import build_health_notice
from hanzo_reports.alerts.query import summarize_error
from hanzo_reports.alerts.spend_notices import notify_anomalies, notify_budgets
from hanzo_reports.alerts.state_store import load_health, raise_version, save_states
from hanzo_reports.alerts.subscriptions import TOPICS, list_health_subscribers
from hanzo_reports.delivery.outbox import enqueue

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy

    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.alerts.query import Events
    from hanzo_reports.budgets.budget_store import Budgets


@dataclass(frozen=True)
class SpendCheck:
    """What one check of budgets and anomalies did.

    Args:
        messages: how many messages are new in the outbox.
        failures: why a topic could not be checked, each with the topic's name.
    """

    messages: int
    failures: tuple[str, ...]


def check_spend(budgets: Budgets, events: Events, now: datetime, context: MessageContext) -> SpendCheck:
    """Checks budgets and anomalies and puts their notices into the outbox; one that fails does not stop the other.

    The subscribers of a topic that has failed for fifteen minutes are notified once, and once when it is checked again.

    Args:
        budgets: the budgets, and with them the state database.
        events: reads the events; it may fail.
        now: the instant of the check.
        context: what the messages of the deployment share.
    """
    checks = {
        "budgets": lambda: notify_budgets(budgets, events(), now, context) if budgets.all() else 0,
        "anomalies": lambda: notify_anomalies(budgets.state, events, now, context),
    }
    messages, failures = 0, []
    for topic in TOPICS:
        error = ""
        try:
            messages += checks[topic]()
        except Exception as caught:  # noqa: BLE001  # engines raise errors of any type; the subscribers get a notice
            error = summarize_error(caught)
            failures.append(f"{topic}: {error}")
        messages += _update_health(budgets.state, topic, error, now, context)
    return SpendCheck(messages, tuple(failures))


def _update_health(engine: sqlalchemy.Engine, topic: str, error: str, now: datetime, context: MessageContext) -> int:
    """Stores the health of a topic; returns the number of new messages."""
    with engine.connect() as connection:
        before = load_health(connection, topic)
    if not error and before.health is Health.OK:
        return 0
    with engine.begin() as connection:
        raise_version(connection)
        before = load_health(connection, topic)
        after, message = step_health(before, now, Health.ERROR if error else Health.OK, reason=error)
        save_states(connection, {}, {topic: after})
        if message is None:
            return 0
        notice = build_health_notice(topic, topic, message, context)
        return enqueue(connection, [(notice, list_health_subscribers(connection, topic))], now)
