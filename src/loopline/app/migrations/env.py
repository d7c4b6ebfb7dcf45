"""Run by Alembic: applies revisions on the connection that the runner opened."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="loopline_schema",
    transactional_ddl=True,
)
context.run_migrations()
