"""Trash and retention."""

from __future__ import annotations

revision = "0020_retention"
down_revision = "0019_imports"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
