"""Alert budgets, and what explains an alert."""

from __future__ import annotations

revision = "0034_budgets"
down_revision = "0033_alerts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
