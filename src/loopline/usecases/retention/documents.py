"""Which bytes hang together: a document that is kept as a blob may name others."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loopline.core.errors import NotFound
from loopline.ports.blobs import Blobs

DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
LARGEST = 1 << 24


def closed(blobs: Blobs, digests: Iterable[str]) -> dict[str, int]:
    """The sizes of blobs, and of those that JSON documents among them name, and so on. Lost ones are left out."""
    sizes: dict[str, int] = {}
    fresh = set(digests)
    while fresh:
        digest = fresh.pop()
        try:
            sizes[digest] = size = blobs.size(digest)
        except NotFound:
            continue
        if size <= LARGEST:
            fresh.update(named for named in inside(blobs, digest) if named not in sizes)
    return sizes


def inside(blobs: Blobs, digest: str) -> list[str]:
    """The digests that a JSON document names; none for other bytes."""
    if blobs.peek(digest, 1) not in (b"{", b"["):
        return []
    return [found.decode() for found in DIGEST.findall(blobs.peek(digest, LARGEST))]
