"""The registry as MLflow knows it: descriptions, tags, stages, sources; and numbers that are never given twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017_registry"
down_revision = "0016_tracking"
branch_labels = None
depends_on = None

_VERSION = (
    "model, version, digest, format, signature, metrics, profile_digest, evaluation_digest, run_id, metadata, servable,"
    " created_at, created_by"
)
_MOVE = "seq, model, alias, from_version, version, reason, actor, moved_at"


def upgrade() -> None:
    """Add what is new; build the versions again, as a run may now register the same bytes more than once, and the
    history of aliases, as an alias may now point to nothing."""
    for name in ("description", "updated_at"):
        op.add_column("registry_models", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE registry_models SET updated_at = created_at")
    _names()
    _tags("registry_model_tags", ())
    _tags("registry_version_tags", (sa.Column("version", sa.Integer, primary_key=True),))
    _versions()
    _history()


def _names() -> None:
    """The last number given under a name, also after the model is gone."""
    op.create_table(
        "registry_names",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_version", sa.Integer, nullable=False),
    )


def _tags(table: str, more: tuple[sa.Column[int], ...]) -> None:
    op.create_table(
        table,
        sa.Column("model", sa.Text, primary_key=True),
        *more,
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _versions() -> None:
    op.execute("DROP INDEX registry_versions_by_run")
    op.rename_table("registry_versions", "old_registry_versions")
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
        sa.Column("updated_at", sa.Text, nullable=False, server_default=""),
        sa.Column("user_id", sa.Text, nullable=False, server_default=""),
        sa.Column("source", sa.Text, nullable=False, server_default=""),
        sa.Column("run_link", sa.Text, nullable=False, server_default=""),
        sa.Column("model_id", sa.Text, nullable=False, server_default=""),
        sa.Column("status", sa.Text, nullable=False, server_default="ready"),
        sa.Column("status_message", sa.Text, nullable=False, server_default=""),
        sa.Column("stage", sa.Text, nullable=False, server_default="None"),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
    )
    op.execute(
        f"INSERT INTO registry_versions ({_VERSION}, updated_at) SELECT {_VERSION}, created_at FROM old_registry_versions"
    )
    op.drop_table("old_registry_versions")
    op.create_index("registry_versions_by_run", "registry_versions", ["run_id", "model", "digest"])


def _history() -> None:
    op.execute("DROP INDEX registry_alias_history_by_alias")
    op.rename_table("registry_alias_history", "old_registry_alias_history")
    op.create_table(
        "registry_alias_history",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("from_version", sa.Integer, nullable=True),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("moved_at", sa.Text, nullable=False),
    )
    op.execute(f"INSERT INTO registry_alias_history ({_MOVE}) SELECT {_MOVE} FROM old_registry_alias_history")
    op.drop_table("old_registry_alias_history")
    op.create_index("registry_alias_history_by_alias", "registry_alias_history", ["model", "alias", "seq"])


def downgrade() -> None:
    """There is no way back: restore the copy of the installation that was made before."""
    raise NotImplementedError("restore the copy of the installation that was made before")
