"""What a registered model is: frozen values and the rules that need no storage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature

ALIAS_MOVED, ALIAS_REMOVED = "alias.moved", "alias.removed"
VERSION_REGISTERED, VERSION_DELETED = "model.version_registered", "model.version_deleted"
VERSION_STAGED = "model.version_staged"
CREATED, RENAMED, DELETED = "model.created", "model.renamed", "model.deleted"
DESCRIBED, TAGGED, UNTAGGED = "model.described", "model.tagged", "model.untagged"
NO_STAGE = "None"
STAGES = (NO_STAGE, "Staging", "Production", "Archived")
MANIFEST_NAME = "model.json"
_REFERENCE = re.compile(r"(?P<model>[^/@][^/]*?)(?:/v?(?P<version>[0-9]{1,18})|@(?P<alias>[^/@]+))?\Z")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}\Z")


NO_SIGNATURE = Signature((), Column("", "float"))


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model folder by content: the format's files as blob digests. Its own digest names the model.

    `beside` are files that belong to the version and that no runtime reads, under any relative name.
    """

    format: str
    signature: Signature
    files: dict[str, str]
    beside: dict[str, str] = {}


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a registered model; `aliases` are those that point to it just now.

    `digest` names the manifest; `profile_digest` and `evaluation_digest` are blobs, or None. `metadata` holds the
    lineage (code digest, snapshot digests, trained_from, trained_until); `not_servable` in it says why a version is
    never loaded. What follows `aliases` is what MLflow's clients know of a version: where it came from, its stage, …
    """

    model: str
    version: int
    digest: str
    format: str
    signature: Signature
    metrics: dict[str, float]
    run_id: str
    metadata: dict[str, Any]
    servable: bool
    created_at: str
    created_by: str
    profile_digest: str | None = None
    evaluation_digest: str | None = None
    aliases: tuple[str, ...] = ()
    updated_at: str = ""
    user_id: str = ""
    source: str = ""
    run_link: str = ""
    model_id: str = ""
    status: str = "ready"
    status_message: str = ""
    stage: str = NO_STAGE
    description: str = ""
    tags: dict[str, str] = {}


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A name with its versions counted and its aliases."""

    name: str
    latest: int
    versions: int
    aliases: dict[str, int]
    created_at: str
    created_by: str
    updated_at: str = ""
    description: str = ""
    tags: dict[str, str] = {}


class AliasMove(msgspec.Struct, frozen=True, kw_only=True):
    """One move of an alias; `seq` is that of the fact in the ledger. It points to nothing where a version is None."""

    seq: int
    model: str
    alias: str
    from_version: int | None
    version: int | None
    reason: str
    actor: str
    moved_at: str


def parsed_reference(text: str) -> tuple[str, int | None, str | None]:
    """(model, version, alias) for `model/3`, `model@production` or `model`; Invalid for anything else."""
    match = _REFERENCE.match(text)
    if match is None:
        raise Invalid(f"{text!r} names no model version.", "Write model/3, model@alias, or model for the newest.")
    version = match["version"]
    return match["model"], int(version) if version else None, match["alias"]


def parsed_manifest(content: bytes) -> Manifest:
    """The manifest in a blob; Invalid when it is none, or names a file that could leave the model's folder."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise Invalid(f"This is no model manifest: {error}.", "Register the folder that a runtime saved.") from None
    for name in manifest.files:
        if not _FILE_NAME.match(name) or PurePosixPath(name).name == MANIFEST_NAME:
            raise Invalid(f"{name!r} cannot be the name of a file in a model folder.", "Use plain relative names.")
    return manifest


def encoded_manifest(manifest: Manifest) -> bytes:
    """The manifest as the bytes whose digest names the model: keys sorted, no spaces."""
    return msgspec.json.encode(manifest, order="sorted")


def is_pickle(head: bytes) -> bool:
    """Whether a file that starts with `head` is a pickle of protocol 2 or newer. No pickle goes on with a zero, as the
    length does with which a safetensors file may begin alike."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5 and head[2:3] != b"\0"


def alias_key(model: str, alias: str) -> str:
    """The subject under which an alias is written in the ledger."""
    return f"{model}@{alias}"


def version_key(model: str, version: int) -> str:
    """The subject under which a version is written in the ledger."""
    return f"{model}/{version}"


def stage_key(model: str, version: int) -> str:
    """The name under which a version's stage stands."""
    return f"{version_key(model, version)} stage"


def lineage(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the metadata that the fact of a registration repeats."""
    kept = ("code", "release", "snapshots", "trained_from", "trained_until")
    return {key: metadata[key] for key in kept if key in metadata}
