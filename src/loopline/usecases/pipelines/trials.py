"""What the trials of a search were given and what came of them, also of those taken from the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

import msgspec

from loopline.core.errors import LooplineError
from loopline.ports.database import Transaction
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.expanding import measured
from loopline.usecases.pipelines.model import Argument, Leaf, Node, Tree


def known(tx: Transaction, keys: Sequence[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The arguments and the results kept under keys."""
    if not keys:
        return {}, {}
    marks, values = store.marked(keys)
    given = tx.rows(f"SELECT key, arguments FROM pipelines_keys WHERE key IN ({marks})", values)
    made = tx.rows(f"SELECT key, value FROM pipelines_results WHERE key IN ({marks})", values)
    return {row["key"]: row["arguments"] for row in given}, {row["key"]: row["value"] for row in made}


def given_to(arguments: bytes | None, node: Node) -> dict[str, str]:
    """What a trial was given of the space that is searched."""
    if arguments is None or node.search is None:
        return {}
    found = msgspec.json.decode(arguments, type=dict[str, Argument])
    return {name: found[name].shown for name in node.search.space if name in found}


def number(value: bytes | None, node: Node, blob: Callable[[str], bytes]) -> float | None:
    """The number of a trial; None when its result is gone or has none."""
    if value is None:
        return None
    try:
        found = measured(node, msgspec.json.decode(value, type=Tree), lambda leaf: content(leaf, blob))
    except LooplineError:
        return None
    return found if found is not None and isfinite(found) else None


def content(leaf: Leaf, blob: Callable[[str], bytes]) -> bytes:
    """The bytes of a stored value."""
    return leaf.content if leaf.content is not None else blob(leaf.digest)
