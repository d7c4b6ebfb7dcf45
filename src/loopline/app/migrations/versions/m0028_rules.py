"""Business rules in versions."""

from __future__ import annotations

revision = "0028_rules"
down_revision = "0027_traffic"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
