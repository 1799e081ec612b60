"""What is no rule but is looked at as rules are: budgets and anomalies, each with a state of whether it can be seen."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import sqlalchemy

from hanzo_reports.alerts import state_store
from hanzo_reports.alerts.alert_state import Health, Observation, State
from hanzo_reports.alerts.messages import build_notice
from hanzo_reports.alerts.query import line
from hanzo_reports.alerts.rule import Condition, Rule
from hanzo_reports.alerts.spend_notices import TOPICS, notify_anomalies, notify_budgets
from hanzo_reports.alerts.state_machine import step
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.state.alert_tables import STATES, SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import ibis

    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.budgets.budget import Budgets

_WELL = Observation(1, 1, 1)


@dataclass(frozen=True)
class SpendCheck:
    """What one look at budgets and anomalies did.

    Args:
        messages: how many messages are new in the outbox.
        failures: why a topic could not be looked at, each with its name.
    """

    messages: int
    failures: tuple[str, ...]


def check_spend(
    budgets: Budgets, events: Callable[[], ibis.Table], now: datetime, context: MessageContext
) -> SpendCheck:
    """Budgets and anomalies told; what fails keeps no other from its work.

    A topic that has failed for fifteen minutes is told to its subscribers once, and once when it can be seen again.

    Args:
        budgets: the budgets, and with them the state database.
        events: gives any Ibis table with the event's columns; it may fail.
        now: the instant of the look.
        context: how the deployment speaks.
    """
    count, failures = 0, []
    looks = {
        "budgets": lambda: notify_budgets(budgets, events(), now, context) if budgets.all() else 0,
        "anomalies": lambda: notify_anomalies(budgets.state, events, now, context),
    }
    for topic in TOPICS:
        error = ""
        try:
            count += looks[topic]()
        except Exception as caught:  # noqa: BLE001  # engines raise what they like; the topic's subscribers are told
            error = line(caught)
            failures.append(f"{topic}: {error}")
        count += _judged(budgets.state, topic, error, now, context)
    return SpendCheck(count, tuple(failures))


def _judged(engine: sqlalchemy.Engine, topic: str, error: str, now: datetime, context: MessageContext) -> int:
    """The health of a topic, kept where rules keep theirs; how many messages are new."""
    key = (topic, "")
    mine = (STATES.c.rule_id == topic) & (STATES.c.group_key == "")
    with engine.connect() as connection:
        health = connection.scalar(sqlalchemy.select(STATES.c.health).where(mine))
    if not error and health in {None, Health.OK}:
        return 0
    rule = Rule(topic, "requests", Condition.LTE, Decimal(0))
    with engine.begin() as connection:
        state_store.raise_version(connection)
        before, _ = state_store.load_states(connection, None).get(key) or (State(), ())
        after, messages = step(rule, before, now, Observation(error=error) if error else _WELL)
        state_store.save_states(connection, [(key, after, ())])
        theirs = SUBSCRIPTIONS.c.topic.startswith(topic, autoescape=True)  # budgets:PROJECT hears of budgets as well
        to = connection.scalars(sqlalchemy.select(SUBSCRIPTIONS.c.endpoint_id).where(theirs).distinct()).all()
        return enqueue(
            connection, [(build_notice(topic, rule, "", message, context), sorted(to)) for message in messages], now
        )
