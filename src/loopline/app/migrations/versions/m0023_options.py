"""How an endpoint serves (options) and how its requests are shared out (traffic)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023_options"
down_revision = "0022_cards"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("serving_endpoints", sa.Column("options", sa.Text, nullable=False, server_default=""))
    op.add_column("serving_endpoints", sa.Column("traffic", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("serving_endpoints", "traffic")
    op.drop_column("serving_endpoints", "options")
