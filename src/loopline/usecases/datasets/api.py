"""The verbs of datasets for people and programs."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.datasets.model import Batch, Dataset, Snapshot

MOST_ROWS = 1000


class Nothing(msgspec.Struct):
    """Nothing to say."""


class Named(msgspec.Struct):
    name: str


class Digest(msgspec.Struct):
    digest: str


class Batches(msgspec.Struct):
    """`state`: accepted, refused, released or gone (refused, then corrected or taken away); all when empty."""

    name: str
    state: str = ""


class Release(msgspec.Struct):
    name: str
    batch: str
    reason: str = ""


class Rows(msgspec.Struct):
    """The first rows of a snapshot."""

    digest: str
    limit: int = 20


def datasets(service: Any, request: Nothing, caller: Caller) -> list[Dataset]:
    return list(service.datasets())


def dataset(service: Any, request: Named, caller: Caller) -> Any:
    return service.dataset(request.name)


def snapshots(service: Any, request: Named, caller: Caller) -> list[Snapshot]:
    return list(service.snapshots(request.name))


def latest(service: Any, request: Named, caller: Caller) -> Any:
    return service.latest(request.name)


def get(service: Any, request: Digest, caller: Caller) -> Any:
    return service.get(request.digest)


def batches(service: Any, request: Batches, caller: Caller) -> list[Batch]:
    if request.state not in ("", "accepted", "refused", "released", "gone"):
        raise Invalid(f"{request.state!r} is no state of a batch.", "Use accepted, refused, released or gone.")
    return list(service.batches(request.name, request.state))


def snapshot(service: Any, request: Named, caller: Caller) -> Any:
    return service.snapshot(request.name, caller.name)


def accept(service: Any, request: Release, caller: Caller) -> Any:
    return service.accept(request.name, request.batch, caller.name, request.reason)


def rows(service: Any, request: Rows, caller: Caller) -> list[dict[str, Any]]:
    limit = max(1, min(request.limit, MOST_ROWS))
    return list(service.table(request.digest).slice(0, limit).to_pylist())


VERBS = (
    Verb("datasets.datasets", "GET", "/datasets", Role.VIEWER, Nothing, datasets, "List datasets"),
    Verb("datasets.dataset", "GET", "/datasets/{name}", Role.VIEWER, Named, dataset, "Show one dataset"),
    Verb("datasets.snapshots", "GET", "/datasets/{name}/snapshots", Role.VIEWER, Named, snapshots, "List snapshots"),
    Verb("datasets.latest", "GET", "/datasets/{name}/latest", Role.VIEWER, Named, latest, "Show the newest snapshot"),
    Verb("datasets.batches", "GET", "/datasets/{name}/batches", Role.VIEWER, Batches, batches, "List batches"),
    Verb("datasets.snapshot", "POST", "/datasets/{name}/snapshots", Role.EDITOR, Named, snapshot, "Take a snapshot"),
    Verb(
        "datasets.accept",
        "POST",
        "/datasets/{name}/batches/accept",
        Role.APPROVER,
        Release,
        accept,
        "Release a batch that was kept aside",
    ),
    Verb("datasets.get", "GET", "/snapshots/{digest}", Role.VIEWER, Digest, get, "Show one snapshot"),
    Verb("datasets.rows", "GET", "/snapshots/{digest}/rows", Role.VIEWER, Rows, rows, "Show the first rows"),
)
