"""Projects as applied: their configuration as data, the code by digest, and every application of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_projects"
down_revision = "0002_access"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects_projects",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("contracts", sa.Text, nullable=False),
        sa.Column("code_digest", sa.Text, nullable=False),
        sa.Column("applied_at", sa.Text, nullable=False),
        sa.Column("applied_by", sa.Text, nullable=False),
    )
    op.create_table(
        "projects_history",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("code_digest", sa.Text, nullable=False),
        sa.Column("applied_at", sa.Text, nullable=False),
        sa.Column("applied_by", sa.Text, nullable=False),
    )
    op.create_index("projects_history_by_name", "projects_history", ["name", "seq"])


def downgrade() -> None:
    for table in ("projects_history", "projects_projects"):
        op.drop_table(table)
