"""What runtimes keep beside model versions."""

from __future__ import annotations

revision = "0029_runtimes"
down_revision = "0028_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop them."""
