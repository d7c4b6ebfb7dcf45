"""Tables of automation."""

from __future__ import annotations

revision = "0011_automation"
down_revision = "0010_monitoring"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
