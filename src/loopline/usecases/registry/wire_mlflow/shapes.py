"""Models and versions as the protocol's messages tell them; absent is what they do not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core import fields as read
from loopline.core.errors import Invalid
from loopline.core.times import to_ms
from loopline.usecases.registry.model import RegisteredModel, Version
from loopline.usecases.registry.searching import newest

STATUSES = {"ready": "READY", "pending": "PENDING_REGISTRATION", "failed": "FAILED_REGISTRATION"}
REASON = "over MLflow's protocol"
MOST_MODELS, MOST_VERSIONS = 1_000, 200_000


def model_shown(found: RegisteredModel, versions: Sequence[Version]) -> dict[str, Any]:
    """A registered model with the newest version of each stage and where its aliases point."""
    shown = {
        "name": found.name,
        "creation_timestamp": to_ms(found.created_at),
        "last_updated_timestamp": to_ms(found.updated_at or found.created_at),
        "user_id": found.created_by,
        "description": found.description,
        "latest_versions": [version_shown(one) for one in newest(versions)],
        "tags": pairs(found.tags),
        "aliases": [{"alias": alias, "version": str(version)} for alias, version in found.aliases.items()],
    }
    return {key: value for key, value in shown.items() if value not in ("", [])}


def version_shown(found: Version) -> dict[str, Any]:
    """A version."""
    shown = {
        "name": found.model,
        "version": str(found.version),
        "creation_timestamp": to_ms(found.created_at),
        "last_updated_timestamp": to_ms(found.updated_at or found.created_at),
        "user_id": found.user_id or found.created_by,
        "current_stage": found.stage,
        "description": found.description,
        "source": found.source or f"mlflow-artifacts:/registered/{found.digest}/artifacts",
        "run_id": found.run_id,
        "status": STATUSES.get(found.status, "READY"),
        "status_message": found.status_message,
        "tags": pairs(found.tags),
        "run_link": found.run_link,
        "aliases": list(found.aliases),
        "model_id": found.model_id,
    }
    always = ("description", "run_id", "run_link")
    return {key: value for key, value in shown.items() if value not in ("", []) or key in always}


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def number(fields: Mapping[str, Any]) -> int:
    """The field `version`: a number, usually sent as text."""
    sent = read.given(fields, "version")
    if sent is None or sent == "":
        raise read.missing("version")
    if isinstance(sent, str) and not sent.isdecimal():
        raise Invalid(f"Parameter 'version' must be an integer, got {read.shown(sent)}.", "Give the version's number.")
    return read.whole(fields, "version")


def tag_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields `key` and `value` as one tag."""
    return {read.required(fields, "key"): read.text(fields, "value", default="")}


def paged(fields: Mapping[str, Any], most: int, default: int) -> tuple[str, list[str], int, int, tuple[Any, ...]]:
    """Filter, orderings, number of results, where to begin, and what a token of this query is made of."""
    where, order_by = read.text(fields, "filter", default=""), read.texts(fields, "order_by")
    limit = read.whole(fields, "max_results", default, 1, most)
    query = (where, order_by)
    return where, order_by, limit, read.offset_of(read.text(fields, "page_token", default=""), *query), query
