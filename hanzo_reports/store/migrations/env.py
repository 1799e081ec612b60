"""What Alembic runs for each command: the connection and the tree come from `hanzo_reports.store.migrate`."""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    version_table=given["table"],
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
