"""Which blobs a stored value needs."""

from __future__ import annotations

import msgspec

from loopline.usecases.pipelines.model import Leaf

_OF_FILES = ("model", "folder", "custom")


def blobs_of(leaf: Leaf) -> list[str]:
    """Digests of the blobs that a stored value needs; none for one that lives in its row."""
    if leaf.kind in _OF_FILES and leaf.content is not None:
        about = msgspec.json.decode(leaf.content)
        beside = [about.get(name) for name in ("manifest", "evaluation", "profile")]
        return [digest for digest in (*about["files"].values(), *beside) if digest]
    return [] if leaf.content is not None else [leaf.digest]
