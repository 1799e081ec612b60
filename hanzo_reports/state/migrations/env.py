"""What Alembic runs for each command: the connection and the tree come from `hanzo_reports.state.migrate`."""

from typing import Literal

from alembic import context
from sqlalchemy.types import TypeDecorator


def _plain(kind: str, item: object, _: object) -> str | Literal[False]:
    """A type of ours as the one that the database knows: a step stays what it was when ours change."""
    return f"sa.{item.impl_instance!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    version_table=given["table"],
    compare_type=True,
    render_item=_plain,
)
with context.begin_transaction():
    context.run_migrations()
