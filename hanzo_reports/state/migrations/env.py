"""The script that Alembic runs for each command; `hanzo_reports.state.migrate` passes the connection and the tree."""

from typing import Literal

from alembic import context
from sqlalchemy.types import TypeDecorator


def _render_type(kind: str, item: object, _: object) -> str | Literal[False]:
    """Write a type of ours as the database's own: a migration must not change when our types do."""
    return f"sa.{item.impl_instance!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    version_table=attributes["table"],
    compare_type=True,
    render_item=_render_type,
)
with context.begin_transaction():
    context.run_migrations()
