"""When each group of a rule was last seen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create or alter the tables."""
    op.add_column("alert_state", sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
