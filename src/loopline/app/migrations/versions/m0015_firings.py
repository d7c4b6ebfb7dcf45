"""What automation needs beyond its first tables."""

from __future__ import annotations

revision = "0015_firings"
down_revision = "0014_environments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""


def downgrade() -> None:
    """Drop everything that upgrade made."""
