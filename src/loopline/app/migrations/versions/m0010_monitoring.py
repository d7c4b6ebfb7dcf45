"""Tables of monitoring."""

from __future__ import annotations

revision = "0010_monitoring"
down_revision = "0009_serving"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
