"""Tables of projects."""

from __future__ import annotations

revision = "0003_projects"
down_revision = "0002_access"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
