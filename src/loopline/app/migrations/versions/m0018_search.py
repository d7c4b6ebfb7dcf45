"""Indexes for searches over runs."""

from __future__ import annotations

revision = "0018_search"
down_revision = "0017_registry"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
