"""What projects need beyond their first tables."""

from __future__ import annotations

revision = "0014_environments"
down_revision = "0013_releases"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""


def downgrade() -> None:
    """Drop everything that upgrade made."""
