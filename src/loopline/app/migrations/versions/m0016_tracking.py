"""Tracking by numbers: runs and keys of metrics are counted, so that millions of rows stay small and quick."""

from __future__ import annotations

revision = "0016_tracking"
down_revision = "0015_firings"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
