"""Alembic's entry: the connection is handed in by `jobs.core.schema`, which owns the transaction and the lock."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="ops")
context.run_migrations()
