"""Subscriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create or alter the tables."""
    op.create_table(
        "alert_subscription",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.endpoint_id"], name=op.f("fk_alert_subscription_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("topic", "endpoint_id", name=op.f("pk_alert_subscription")),
    )
