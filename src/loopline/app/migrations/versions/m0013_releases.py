"""Tables of releases: sealed pipelines, where each is promoted, environments that were built."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013_releases"
down_revision = "0012_steps"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "releases_releases",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
    )
    op.create_index("releases_releases_by_pipeline", "releases_releases", ["project", "pipeline", "seq"])
    op.create_table(  # what was found out about contents before they were sealed; each row is signed
        "releases_findings",
        sa.Column("content", sa.Text, primary_key=True),
        sa.Column("what", sa.Text, primary_key=True),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("found_at", sa.Text, nullable=False),
    )
    op.create_table(
        "releases_gates",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
    )
    op.create_index("releases_gates_by_release", "releases_gates", ["release", "decided_at"])
    op.create_table(
        "releases_approvals",
        sa.Column("release", sa.Text, primary_key=True),
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("given_by", sa.Text, primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("given_at", sa.Text, nullable=False),
    )
    op.create_table(
        "releases_moves",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("from_release", sa.Text, nullable=False),
        sa.Column("gate", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("moved_at", sa.Text, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
    )
    op.create_index("releases_moves_by_place", "releases_moves", ["project", "pipeline", "environment", "seq"])
    op.create_table(
        "releases_environments",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("python", sa.Text, nullable=False),
        sa.Column("lock_blob", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("built_at", sa.Text, nullable=False),
        sa.Column("built_by", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop everything that upgrade made."""
    for table in ("environments", "moves", "approvals", "gates", "findings", "releases"):
        op.drop_table(f"releases_{table}")
