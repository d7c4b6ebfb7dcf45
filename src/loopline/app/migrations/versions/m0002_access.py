"""Named tokens with a role."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_access"
down_revision = "0001_ledger"


def upgrade() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("role", sa.Integer, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.Text),
    )
    op.create_table(
        "access_codes",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("token_name", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
    )
    op.create_table(
        "access_sessions",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("token_name", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("access_sessions", "access_codes", "access_tokens"):
        op.drop_table(table)
