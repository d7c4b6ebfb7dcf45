"""Digests over several fields: every field has its length before it, so that no two lists of fields look alike."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable

from blake3 import blake3

from loopline.usecases.pipelines.model import Leaf, Many, Tree

_LENGTH = struct.Struct("<Q").pack


def digest(*fields: str | bytes) -> str:
    """BLAKE3 of the fields as 64 hexadecimal digits."""
    return digest_all(fields)


def digest_all(fields: Iterable[str | bytes]) -> str:
    """BLAKE3 of the fields as 64 hexadecimal digits."""
    parts = list(fields)
    if bytes not in map(type, parts):
        text = "".join([f"{len(part)}:{part}" for part in parts])  # type: ignore[str-bytes-safe]
        return blake3(text.encode(errors="surrogatepass")).hexdigest()
    pieces: list[bytes] = [b"\xff"]  # no text begins so
    for part in parts:
        content = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        pieces += (b"s" if isinstance(part, str) else b"b", _LENGTH(len(content)), content)
    return blake3(b"".join(pieces)).hexdigest()


def of_tree(tree: Tree) -> str:
    """The digest of a resolved value (leaves only): of a leaf its kind and bytes, of several all of theirs."""
    if isinstance(tree, Leaf):
        return of_leaf(tree.kind, tree.meta.get("frame", ""), tree.digest)
    if isinstance(tree, Many):
        parts = [of_tree(item) for item in tree.items]
        return digest("many", tree.form, tree.title, str(len(tree.names)), *tree.names, *parts)
    raise TypeError(f"{tree!r} is not resolved")


@functools.lru_cache(maxsize=1 << 16)
def of_leaf(kind: str, frame: str, content: str) -> str:
    """The digest of a stored value."""
    return digest("leaf", kind, frame, content)
