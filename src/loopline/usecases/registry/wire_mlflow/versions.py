"""Versions of registered models over MLflow's protocol."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from loopline.core import fields as read
from loopline.core.errors import NotFound
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Raw, Route
from loopline.usecases.registry.wire_mlflow.models import Fields, named
from loopline.usecases.registry.wire_mlflow.shapes import MOST_VERSIONS, number, paged, tag_of, version_shown

SANDBOX = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}


def create(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """A new version from the files at a source."""
    made = registry.arrive(
        named(fields),
        read.required(fields, "source"),
        actor=caller.name,
        run_id=optional(fields, "run_id"),
        model_id=optional(fields, "model_id"),
        description=read.text(fields, "description", default=""),
        tags=read.pairs(fields, "tags"),
        run_link=read.text(fields, "run_link", default=""),
    )
    return {"model_version": version_shown(made)}


def optional(fields: Fields, name: str) -> str | None:
    """A text that may be absent; an empty one counts as absent too."""
    return read.text(fields, name, default="") or None


def get(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """One version."""
    return {"model_version": version_shown(registry.known_version(named(fields), number(fields)))}


def update(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Say what is special about a version."""
    name, version = named(fields), number(fields)
    changed = registry.describe_version(name, version, read.text(fields, "description", default=""), caller.name)
    return {"model_version": version_shown(changed)}


def delete(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Take a version off with its aliases."""
    registry.delete_version(named(fields), number(fields), caller.name)
    return {}


def stage(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Put a version into a stage."""
    name, version, target = named(fields), number(fields), read.required(fields, "stage")
    archive = read.flag(fields, "archive_existing_versions")
    return {"model_version": version_shown(registry.stage(name, version, target, caller.name, archive))}


def search(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Versions in pages."""
    where, order_by, limit, offset, query = paged(fields, MOST_VERSIONS, 10_000)
    found, more = registry.search_versions(where, order_by, limit, offset)
    answer: Fields = {"model_versions": [version_shown(one) for one in found]}
    return answer | ({"next_page_token": read.token_of(offset + limit, *query)} if more else {})


def download_address(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Where the files of a version are read."""
    registry.note_download(named(fields), number(fields), caller.name, "mlflow")
    return {"artifact_uri": registry.download_address(named(fields), number(fields))}


def tag(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Set a tag."""
    registry.tag(named(fields), tag_of(fields), caller.name, number(fields))
    return {}


def untag(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Take a tag off."""
    registry.untag(named(fields), read.required(fields, "key"), caller.name, number(fields))
    return {}


def content(registry: Any, fields: Fields, caller: Caller) -> Raw:
    """A version's file, as an attachment that runs nothing."""
    name, version, path = named(fields), number(fields), read.required(fields, "path")
    digest = registry.files_of(name, version).get(path)
    if digest is None:
        raise NotFound(
            f"Version {version} of {name!r} has no file {path[:200]!r}.", "List its files to see what there is."
        )
    size, pieces = registry.pieces_of(digest)
    shown = f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}"
    return Raw(pieces, headers={**SANDBOX, "Content-Disposition": shown}, size=size)


_ROOT = "model-versions"
ROUTES = (
    Route("POST", f"{_ROOT}/create", Role.EDITOR, create),
    Route("GET", f"{_ROOT}/get", Role.VIEWER, get),
    Route("PATCH", f"{_ROOT}/update", Role.EDITOR, update),
    Route("DELETE", f"{_ROOT}/delete", Role.EDITOR, delete),
    Route("POST", f"{_ROOT}/transition-stage", Role.EDITOR, stage),
    Route("GET", f"{_ROOT}/search", Role.VIEWER, search),
    Route("POST", f"{_ROOT}/search", Role.VIEWER, search),
    Route("GET", f"{_ROOT}/get-download-uri", Role.VIEWER, download_address),
    Route("POST", f"{_ROOT}/set-tag", Role.EDITOR, tag),
    Route("DELETE", f"{_ROOT}/delete-tag", Role.EDITOR, untag),
    Route("GET", "/model-versions/get-artifact", Role.VIEWER, content, large=True),
    Route("GET", "/ajax-api/2.0/mlflow/model-versions/get-artifact", Role.VIEWER, content, large=True),
)
