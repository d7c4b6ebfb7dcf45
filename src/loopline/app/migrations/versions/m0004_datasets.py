"""Tables of datasets."""

from __future__ import annotations

revision = "0004_datasets"
down_revision = "0003_projects"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
