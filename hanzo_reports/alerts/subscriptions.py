"""Subscriptions: the channels that are notified of budgets and anomalies, which have no rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy

from hanzo_reports.errors import UnknownNameError
from hanzo_reports.state.alert_tables import ENDPOINTS, SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Collection

TOPICS = ("budgets", "anomalies")


def set_subscribers(connection: sqlalchemy.Connection, topic: str, endpoints: Collection[str]) -> None:
    """Replaces the endpoints that are notified of a topic.

    Args:
        connection: within a transaction.
        topic: ``budgets``, ``budgets:PROJECT`` or ``anomalies``.
        endpoints: ids; empty: none is notified any more.

    Raises:
        UnknownNameError: the topic does not exist.
    """
    name, _, project = topic.partition(":")
    if name not in TOPICS or (project and name != "budgets"):
        raise UnknownNameError("topic", topic, (*TOPICS, "budgets:PROJECT"))
    connection.execute(sqlalchemy.delete(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.topic == topic))
    for endpoint_id in sorted(set(endpoints)):
        connection.execute(sqlalchemy.insert(SUBSCRIPTIONS).values(topic=topic, endpoint_id=endpoint_id))


def list_subscriptions(connection: sqlalchemy.Connection) -> list[dict[str, str]]:
    """One row per topic and channel that is notified of it, by topic and by the channel's name."""
    columns = (SUBSCRIPTIONS.c.topic, ENDPOINTS.c.name.label("channel"))
    query = sqlalchemy.select(*columns).join(ENDPOINTS).order_by(*columns)
    return [dict(row) for row in connection.execute(query).mappings()]


def list_subscribers(connection: sqlalchemy.Connection, topics: Collection[str]) -> list[str]:
    """The ids of the endpoints that are notified of any of some topics."""
    return _list_endpoints(connection, SUBSCRIPTIONS.c.topic.in_(list(topics)))


def list_health_subscribers(connection: sqlalchemy.Connection, topic: str) -> list[str]:
    """The ids of the endpoints that are notified if a topic cannot be checked, also those of one project only."""
    return _list_endpoints(connection, SUBSCRIPTIONS.c.topic.startswith(topic, autoescape=True))


def _list_endpoints(connection: sqlalchemy.Connection, condition: sqlalchemy.ColumnElement[bool]) -> list[str]:
    query = sqlalchemy.select(SUBSCRIPTIONS.c.endpoint_id).where(condition).distinct()
    return sorted(connection.scalars(query))
