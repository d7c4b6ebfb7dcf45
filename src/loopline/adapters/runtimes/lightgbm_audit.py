"""What is checked on a LightGBM text file before LightGBM sees it: that every index in it lies inside its tree.

LightGBM reads the file at the places that the file itself names and follows children, categories and classes
unchecked; a forged file would have it read foreign memory or never return.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from loopline.adapters.runtimes.skops_audit import DAMAGED
from loopline.core.errors import Invalid, Refused

Read = TypeVar("Read")
HINT = "The file is damaged or forged; save the model again."
LARGEST = 4 << 30
MOST_COLUMNS = 100_000
_OBJECTIVE = re.compile(
    r"[a-z_]+( (sigmoid|num_class|alpha|c|tweedie_variance_power|lambdarank_norm|sqrt)(:[-+.0-9e]+)?)*"
)
_NUMBER = rb"[-+]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|nan|inf)"
_NUMBERS = re.compile(rb" *(?:%b(?: +%b)* *)?" % (_NUMBER, _NUMBER))
# LightGBM reads trees on several threads, where anything that is no number ends the process.
_FIELDS = frozenset(
    b"num_leaves num_cat split_feature split_gain threshold decision_type left_child right_child leaf_value leaf_weight "
    b"leaf_count internal_value internal_weight internal_count cat_boundaries cat_threshold is_linear leaf_const "
    b"num_features leaf_features leaf_coeff shrinkage".split()
)
_COUNTED = {b"leaf_weight": 0, b"leaf_count": 0, b"split_gain": 1, b"internal_value": 1, b"internal_weight": 1,
            b"internal_count": 1}  # fmt: skip


class Text(NamedTuple):
    """What the file says of the model. `classes` is 1 for one score a row; `categorical` the places of columns that
    hold categories; `categories` those of pandas columns in order."""

    columns: list[str]
    classes: int
    objective: str
    trees: int
    categorical: list[int]
    categories: list[list[Any]]


def audit(path: Path) -> Text:
    """What the file says, when all of it may be loaded. Invalid says what is damaged, Refused what points outside."""
    return checked(path, lambda: _audited(path.read_bytes()))


def audit_content(path: Path, content: bytes) -> Text:
    """The same for a text that was read from the file at `path`."""
    return checked(path, lambda: _audited(content))


def checked(path: Path, read: Callable[[], Read]) -> Read:
    """What `read` answers; Invalid for whatever it stumbles over in the file."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 30} GB")
        return read()
    except DAMAGED as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise Invalid(f"{path.name!r} is no readable LightGBM model ({reason}).", HINT) from None


def _audited(content: bytes) -> Text:
    first = content.find(b"\nTree=0\n") + 1
    end = content.find(b"\nend of trees")
    whole = content.startswith(b"tree\n") and content.find(b"\nend of parameters\n", end) > 0
    if not whole or b"\0" in content or not 0 < first < end:
        raise ValueError("it does not begin or end as one")
    head = _fields(content[:first])
    columns = head[b"feature_names"].decode().split(" ")
    classes, rounds = int(head[b"num_class"]), int(head[b"num_tree_per_iteration"])
    if len(columns) != int(head[b"max_feature_idx"]) + 1 or len(columns) > MOST_COLUMNS:
        raise ValueError("it names another number of columns than it has")
    if len(head[b"feature_infos"].split(b" ")) != len(columns):
        raise ValueError("it describes another number of columns than it has")
    trees = _trees(content, first, end, head[b"tree_sizes"])
    objective = head.get(b"objective", b"").decode()
    _check_classes(objective, classes, rounds, len(trees))
    for tree in trees:
        _check_tree(tree, len(columns))
    categorical, categories = _categories(content[end:])
    return Text(columns, classes, objective, len(trees), categorical, categories)


def _fields(block: bytes) -> dict[bytes, bytes]:
    """The `key=value` lines of a block; a key that is there twice could be read in two ways."""
    found: dict[bytes, bytes] = {}
    for line in block.split(b"\n"):
        key, _, value = line.partition(b"=")
        if key and key in found:
            raise ValueError(f"{key[:40].decode(errors='replace')!r} is there twice")
        if key:
            found[key] = value
    return found


def _trees(content: bytes, first: int, end: int, sizes: bytes) -> list[dict[bytes, bytes]]:
    """The trees, each where LightGBM will look for it."""
    found, start = [], first
    for number, size in enumerate(sizes.split(b" ")):
        stop = start + int(size)
        if int(size) < 1 or stop > end + 1 or not content.startswith(b"Tree=%d\n" % number, start):
            raise ValueError(f"tree {number} is not where it should be")
        found.append(_fields(content[start:stop]))
        start = stop
    if content[start : end + 1].strip():
        raise ValueError("there is something between the last tree and the end")
    return found


def _check_classes(objective: str, classes: int, rounds: int, trees: int) -> None:
    if not _OBJECTIVE.fullmatch(objective or "none"):
        raise ValueError(f"it has an unknown objective {objective[:40]!r}")
    told = re.search(r" num_class:([0-9]+)", objective)
    if classes < 1 or rounds != classes or trees % rounds or (int(told[1]) if told else classes) != classes:
        raise Refused("The model's classes point outside of itself.", HINT)
    if told is None and objective.startswith("multiclass"):
        raise Refused("The model's classes point outside of itself.", HINT)


def _check_tree(tree: dict[bytes, bytes], columns: int) -> None:
    import numpy as np

    leaves, cats = int(tree[b"num_leaves"]), int(tree[b"num_cat"])
    if leaves < 1 or cats < 0 or len(_numbers(tree, b"leaf_value", float)) != leaves:
        raise ValueError("a tree has another number of leaves than it says")
    _check_fields(tree, leaves)
    if tree.get(b"is_linear", b"0") not in (b"0", b"1"):
        raise ValueError("a tree is of an unknown kind")
    if tree.get(b"is_linear") == b"1":
        _check_linear(tree, leaves, columns)
    if leaves == 1:
        return
    left, right, feature, kind = (
        _numbers(tree, key, int) for key in (b"left_child", b"right_child", b"split_feature", b"decision_type")
    )
    threshold = _numbers(tree, b"threshold", float)
    if any(len(one) != leaves - 1 for one in (left, right, feature, kind, threshold)):
        raise ValueError("a tree has another number of splits than it says")
    children = np.concatenate([left, right])
    _require(((children < leaves - 1) & (children >= -leaves) & (children != 0)).all(), "tree")
    _require(len(np.unique(children)) == len(children), "tree")
    _require(((feature >= 0) & (feature < columns)).all(), "tree")
    _check_categories(tree, cats, threshold[(kind & 1) == 1])


def _check_fields(tree: dict[bytes, bytes], leaves: int) -> None:
    """Every field is known, holds numbers only, and as many as there are leaves or splits."""
    for key, value in tree.items():
        if not key.startswith(b"Tree") and (key not in _FIELDS or not _NUMBERS.fullmatch(value)):
            raise ValueError(f"a tree holds {key[:40].decode(errors='replace')!r} with something that is no number")
        if key in _COUNTED and value and len(value.split()) != leaves - _COUNTED[key] and leaves > 1:
            raise ValueError("a tree has another number of leaves than it says")
    if any(len(tree.get(key, b"0").split()) != 1 for key in (b"num_leaves", b"num_cat", b"is_linear", b"shrinkage")):
        raise ValueError("a tree has two numbers where one belongs")


def _check_categories(tree: dict[bytes, bytes], cats: int, used: Any) -> None:
    import numpy as np

    if not cats:
        _require(len(used) == 0, "tree")
        return
    bounds = _numbers(tree, b"cat_boundaries", int)
    _require(len(bounds) == cats + 1 and bounds[0] == 0 and (np.diff(bounds) >= 0).all(), "tree")
    _require(len(_numbers(tree, b"cat_threshold", int)) == bounds[-1], "tree")
    _require(((used >= 0) & (used < cats)).all(), "tree")


def _check_linear(tree: dict[bytes, bytes], leaves: int, columns: int) -> None:
    counts = _numbers(tree, b"num_features", int)
    features = _numbers(tree, b"leaf_features", int)
    _require(len(counts) == leaves and (counts >= 0).all() and counts.sum() == len(features), "linear tree")
    _require(len(_numbers(tree, b"leaf_coeff", float)) == len(features), "linear tree")
    _require(len(_numbers(tree, b"leaf_const", float)) == leaves, "linear tree")
    _require(((features >= 0) & (features < columns)).all(), "linear tree")


def _numbers(tree: dict[bytes, bytes], key: bytes, kind: type) -> Any:
    import numpy as np

    text = tree.get(key, b"")
    if not _NUMBERS.fullmatch(text):
        raise ValueError(f"{key.decode()} holds something that is no number")
    dtype = np.int64 if kind is int else np.float64
    return np.array([kind(one) for one in text.split()], dtype=dtype)  # an int with a point is a ValueError


def _require(holds: Any, what: str) -> None:
    if not holds:
        raise Refused(f"The model's {what} points outside of itself.", HINT)


def _categories(tail: bytes) -> tuple[list[int], list[list[Any]]]:
    """The places of categorical columns by the parameters, and the categories of pandas columns in order."""
    places = re.search(rb"\n\[categorical_feature: ([0-9,]*)\]", tail)
    categorical = [int(one) for one in places[1].split(b",") if one] if places else []
    written = re.search(rb"\npandas_categorical:([^\n]*)\s*\Z", tail)
    found = json.loads(written[1]) if written else None
    if found is None:
        return categorical, []
    if not isinstance(found, list) or not all(isinstance(one, list) for one in found):
        raise ValueError("its categories are not lists")
    if not all(isinstance(value, (str, int, float)) for one in found for value in one):
        raise ValueError("its categories are neither texts nor numbers")
    return categorical, found
