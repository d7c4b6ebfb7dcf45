"""Which blobs a stored value needs."""

from __future__ import annotations

import msgspec

from loopline.usecases.pipelines.model import Leaf


def blobs_of(leaf: Leaf) -> list[str]:
    """Digests of the blobs that a stored value needs; none for one that lives in its row."""
    if leaf.kind == "model" and leaf.content is not None:
        about = msgspec.json.decode(leaf.content)
        beside = [about[name] for name in ("evaluation", "profile") if about[name]]
        return [about["manifest"], *about["files"].values(), *beside]
    return [] if leaf.content is not None else [leaf.digest]
