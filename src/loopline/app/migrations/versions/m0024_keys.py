"""Tokens that may ask some endpoints only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024_keys"
down_revision = "0023_options"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: the endpoints as a list in JSON (null: all), and when the token ends (null: never)."""
    op.add_column("access_tokens", sa.Column("endpoints", sa.Text))
    op.add_column("access_tokens", sa.Column("expires_at", sa.Text))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("access_tokens", "expires_at")
    op.drop_column("access_tokens", "endpoints")
