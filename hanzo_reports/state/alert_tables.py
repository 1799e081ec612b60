"""Tables of alerts and of their delivery."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from hanzo_reports.state.metadata import METADATA, Instant

ENDPOINTS = Table(
    "endpoint",
    METADATA,
    Column("endpoint_id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("label", Text, nullable=False),  # the address without its secrets, which may be shown
    Column("sealed", LargeBinary, nullable=False),  # address and secrets, encrypted
    Column("created_at", Instant, nullable=False),
    Column("retry_at", Instant),  # nothing is sent earlier
    Column("failing_since", Instant),
    Column("disabled_at", Instant),
    Column("disabled_reason", Text),
)

RULES = Table(
    "alert_rule",
    METADATA,
    Column("rule_id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("definition", Text, nullable=False),  # JSON
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

RULE_ENDPOINTS = Table(
    "alert_rule_endpoint",
    METADATA,
    Column("rule_id", ForeignKey("alert_rule.rule_id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_id", ForeignKey("endpoint.endpoint_id"), primary_key=True),
)

# Who is notified of what is not a rule: budgets, budgets:PROJECT, anomalies.
SUBSCRIPTIONS = Table(
    "alert_subscription",
    METADATA,
    Column("topic", Text, primary_key=True),
    Column("endpoint_id", ForeignKey("endpoint.endpoint_id"), primary_key=True),
)

SILENCES = Table(
    "alert_silence",
    METADATA,
    Column("silence_id", Text, primary_key=True),
    Column("rule", Text),  # a rule's name; NULL: every rule
    Column("groups", Text, nullable=False),  # JSON: the values that a group must have
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
)

# Row 1: every change of rules, silences or states raises its version, so that a pass notices changes meanwhile.
# Row 2: the last search for anomalies.
PASSES = Table(
    "alert_pass",
    METADATA,
    Column("pass_id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("at", Instant),
)

STATES = Table(
    "alert_state",
    METADATA,
    Column("rule_id", Text, primary_key=True),
    Column("group_key", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("since", Instant),
    Column("began", Instant),
    Column("notified_at", Instant),
    Column("reminders", Integer, nullable=False),
    Column("health_since", Instant),
    Column("health_told", Boolean, nullable=False),
    Column("notices", Integer, nullable=False),
    Column("value", Text),
    Column("worst", Text),
    Column("told", Text, nullable=False),  # JSON: the endpoints that were notified of the episode
    Column("seen_at", Instant),  # when the group last had events, if its absence is reported
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("message_id", Text, primary_key=True),  # the webhook-id
    Column("dedupe_key", Text, nullable=False),
    Column("endpoint_id", ForeignKey("endpoint.endpoint_id"), nullable=False),
    Column("thread", Text, nullable=False),  # messages of one thread are sent in order
    Column("episode", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # as it is sent, without secrets
    Column("state", Text, nullable=False),  # pending, sent, dead or superseded
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("position", Integer, nullable=False),  # order among messages of the same instant
    Column("next_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("lease_owner", Text),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("done_at", Instant),
    UniqueConstraint("dedupe_key"),
    Index("outbox_due", "state", "next_at"),
    Index("outbox_thread", "endpoint_id", "thread"),
)

ATTEMPTS = Table(
    "attempt",
    METADATA,
    Column("message_id", ForeignKey("outbox.message_id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("status", Integer),  # NULL: there was no answer
    Column("error", Text),
)
