"""What is checked on a CatBoost file (.cbm) before CatBoost sees it: that every index in its trees lies inside of it.

Field numbers are those of CatBoost's model.fbs and features.fbs.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from loopline.adapters.runtimes import catboost_statistics
from loopline.adapters.runtimes.beside import Label
from loopline.adapters.runtimes.flatbuffer import Table, root
from loopline.core.errors import Invalid, Refused

HINT = "The file is damaged or forged; save the model again."
LARGEST = 4 << 30
MOST_COLUMNS = 100_000
FORMAT = b"FlabuffersModel_v1"  # as CatBoost spells it
MOST_DEPTH = 16
(_DIMENSION, _SPLITS, _SIZES, _STARTS, _CATEGORIES, _FLOATS, _ONE_HOTS, _STATISTICS, _LEAVES) = range(9)
_STEPS, _LEAF_OF_NODE, _TEXTS, _ESTIMATED, _BIASES, _BINS, _EMBEDDINGS = 10, 11, 12, 13, 16, 17, 18
_PER_BIN = 254  # so many thresholds share a byte of a row


class Description(NamedTuple):
    """What the file says: names of the columns by their place, the places that hold categories, the values that it
    gives a row, its classes in order (None for a model that gives numbers) and its loss."""

    columns: list[str]
    categorical: list[int]
    width: int
    classes: list[Label] | None
    loss: str


class _Classes(msgspec.Struct):
    class_names: list[Label] = []
    class_to_label: list[Label] = []


def audit(path: Path) -> Description:
    """What the file says, when all of it may be loaded. Invalid says what is damaged, Refused what points outside."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 30} GB")
        return _audited(path.read_bytes())
    except (
        AttributeError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
        RecursionError,
        OSError,
        struct.error,
    ) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise Invalid(f"{path.name!r} is no readable CatBoost model ({reason}).", HINT) from None


def _audited(content: bytes) -> Description:
    if content[:4] != b"CBM1" or len(content) < 16:
        raise ValueError("it does not begin as one")
    length = struct.unpack_from("<I", content, 4)[0]
    core = root(content[8 : 8 + length])
    trees = core.table(1)
    if len(content) < 8 + length or core.bytes(0) != FORMAT or trees is None:
        raise ValueError("it is of another format or ends too early")
    told = {entry.bytes(0): entry.bytes(1) for entry in core.tables(2)}
    columns, categorical = _columns(trees)
    width = int(trees.scalar(_DIMENSION, "<i", 1))
    _check_trees(trees, width)
    catboost_statistics.check(trees, content, 8 + length, core.count(3), len(categorical))
    classes = _classes(told[b"class_params"]) if b"class_params" in told else None
    if classes is not None and (
        len(classes) < 2 or width not in (1, len(classes)) or (width == 1) != (len(classes) == 2)
    ):
        raise Refused("The model's classes point outside of itself.", HINT)
    return Description(columns, categorical, width, classes, _loss(told.get(b"params", b"{}")))


def _classes(params: bytes) -> list[Label]:
    """The labels in order; without names (of a model of probabilities) their numbers."""
    found = msgspec.json.decode(params, type=_Classes)
    return found.class_names or found.class_to_label


def _loss(params: bytes) -> str:
    found = msgspec.json.decode(params).get("loss_function", {})
    return str(found.get("type", "")) if isinstance(found, dict) else ""


def _columns(trees: Table) -> tuple[list[str], list[int]]:
    """Names by place, and the places of categories."""
    if any(trees.count(field) for field in (_TEXTS, _ESTIMATED, _EMBEDDINGS)):
        raise Refused(
            "The CatBoost model takes texts or embeddings as features, which are not served.",
            "Fit it on numbers and categories.",
        )
    floats = [(int(one.scalar(2, "<i", -1)), one.bytes(4).decode()) for one in trees.tables(_FLOATS)]
    cats = [(int(one.scalar(1, "<i", -1)), one.bytes(2).decode()) for one in trees.tables(_CATEGORIES)]
    both = sorted(floats + cats)
    if not both or len(both) > MOST_COLUMNS or [place for place, _ in both] != list(range(len(both))):
        raise Refused("The model's columns point outside of itself.", HINT)
    for number, features in ((_FLOATS, 1), (_CATEGORIES, 0)):
        places = [int(one.scalar(features, "<i", -1)) for one in trees.tables(number)]
        _require(places == list(range(len(places))), "columns")
    return [name or f"x{place}" for place, name in both], sorted(place for place, _ in cats)


def _check_trees(trees: Table, width: int) -> None:
    import numpy as np

    if not 0 < width <= 100_000:
        raise ValueError("it gives no value")
    splits, sizes, starts = (trees.numbers(field, "<i4").astype(np.int64) for field in (_SPLITS, _SIZES, _STARTS))
    leaves = len(trees.numbers(_LEAVES, "<f8"))
    _require(len(sizes) > 0 and len(sizes) == len(starts) and (sizes >= 0).all(), "trees")
    _require(starts.tolist() == [0, *accumulate(sizes.tolist())][:-1] and int(sizes.sum()) == len(splits), "trees")
    _require(((splits >= 0) & (splits < max(1, _thresholds(trees)))).all(), "trees")
    _require(trees.count(_BIASES) in (0, 1, width), "bias")
    _check_bins(trees, len(splits))
    if trees.count(_STEPS):
        _check_steps(trees, sizes, starts, leaves, width)
    else:
        _require((sizes <= MOST_DEPTH).all() and int((2**sizes).sum()) * width == leaves, "trees")


def _thresholds(trees: Table) -> int:
    """How many yes-or-no questions the trees may ask."""
    asked = sum(one.count(3) for one in trees.tables(_FLOATS))
    for one in trees.tables(_ONE_HOTS):
        _require(0 <= one.scalar(0, "<i", -1) < trees.count(_CATEGORIES), "columns")
        asked += one.count(1)
    return int(asked + sum(one.count(1) for one in trees.tables(_STATISTICS)))


def _check_bins(trees: Table, splits: int) -> None:
    """The splits once more, by the byte of a row that they look at."""
    bins = trees.numbers(_BINS, [("byte", "<u2"), ("mask", "u1"), ("threshold", "u1")])
    asked = [one.count(3) for one in trees.tables(_FLOATS)]
    asked += [one.count(1) for field in (_ONE_HOTS, _STATISTICS) for one in trees.tables(field)]
    bytes_of_row = sum(-(-one // _PER_BIN) for one in asked)
    _require(len(bins) in (0, splits) and (bins["byte"] < max(1, bytes_of_row)).all(), "trees")


def _check_steps(trees: Table, sizes: Any, starts: Any, leaves: int, width: int) -> None:
    """Trees that are not symmetric: each node says how far ahead its children lie, 0 for a leaf."""
    import numpy as np

    steps = trees.numbers(_STEPS, np.dtype([("left", "<u2"), ("right", "<u2")]))
    leaf = trees.numbers(_LEAF_OF_NODE, "<u4").astype(np.int64)
    nodes = int(sizes.sum())
    _require(len(steps) == nodes == len(leaf) and (sizes > 0).all(), "trees")
    place, end = np.arange(nodes), np.repeat(starts + sizes, sizes)
    for side in ("left", "right"):
        _require((place + steps[side] < end).all(), "trees")
    final = (steps["left"] == 0) | (steps["right"] == 0)
    _require((leaf[final] + width <= leaves).all(), "trees")


def _require(holds: Any, what: str) -> None:
    if not holds:
        raise Refused(f"The model's {what} point outside of itself.", HINT)
