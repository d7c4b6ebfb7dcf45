"""Registered models: versions, and aliases with every place that they ever pointed to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_registry"
down_revision = "0006_pipelines"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry_models",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
    )
    op.create_table(
        "registry_versions",
        sa.Column("model", sa.Text, sa.ForeignKey("registry_models.name"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("profile_digest", sa.Text, nullable=True),
        sa.Column("evaluation_digest", sa.Text, nullable=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("servable", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.UniqueConstraint("model", "run_id", "digest", name="registry_versions_once_per_run"),
    )
    op.create_index("registry_versions_by_run", "registry_versions", ["run_id"])
    op.create_table(
        "registry_aliases",
        sa.Column("model", sa.Text, sa.ForeignKey("registry_models.name"), primary_key=True),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("moved_at", sa.Text, nullable=False),
    )
    op.create_table(
        "registry_alias_history",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("from_version", sa.Integer, nullable=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("moved_at", sa.Text, nullable=False),
    )
    op.create_index("registry_alias_history_by_alias", "registry_alias_history", ["model", "alias", "seq"])


def downgrade() -> None:
    for table in ("registry_alias_history", "registry_aliases", "registry_versions", "registry_models"):
        op.drop_table(table)
