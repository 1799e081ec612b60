"""Which tables of the state have rows."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create or alter the tables."""
    op.create_table(
        "state_inventory",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", name=op.f("pk_state_inventory")),
    )
    for table in ("budget", "alert_rule"):
        op.execute(
            f"INSERT INTO state_inventory SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})"  # noqa: S608
        )
