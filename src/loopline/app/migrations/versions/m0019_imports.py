"""What was brought in from other systems, so that it is not brought in twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019_imports"
down_revision = "0018_search"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What each thing of a source became here, and how it looked when it came; and each import with its report."""
    op.create_table(
        "imports_things",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("stamp", sa.Text, nullable=False, server_default=""),
        sa.Column("at", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("imports_things_by_target", "imports_things", ["kind", "target"])
    op.create_table(
        "imports_imports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False, server_default="{}"),
    )


def downgrade() -> None:
    """Drop everything that upgrade made."""
    op.drop_table("imports_imports")
    op.drop_table("imports_things")
