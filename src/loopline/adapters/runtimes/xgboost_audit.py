"""What is checked on an XGBoost file (UBJSON or JSON) before XGBoost sees it: that every index lies inside its tree."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from loopline.adapters.runtimes import ubjson
from loopline.core.errors import Invalid, Refused

HINT = "The file is damaged or forged; save the model again."
LARGEST = 4 << 30
MOST_COLUMNS = 100_000
NOBODY = (1 << 31) - 1  # the parent of a root
_OBJECTIVE = re.compile(r"(reg|binary|multi|count|rank|survival):[a-z]+\Z")


class Description(NamedTuple):
    """What the file says of the model. `classes` is 1 for one score a row; `categories` those of a column by its
    place; `categorical` the places of columns that hold categories."""

    columns: list[str]
    types: list[str]
    width: int
    classes: int
    objective: str
    linear: bool
    categories: dict[int, list[Any]]
    attributes: dict[str, str]


def audit(path: Path) -> Description:
    """What the file says, when all of it may be loaded. Invalid says what is damaged, Refused what points outside."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 30} GB")
        return described(content_of(path.read_bytes()))
    except (
        AttributeError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
        RecursionError,
        OSError,
    ) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise Invalid(f"{path.name!r} is no readable XGBoost model ({reason}).", HINT) from None


def content_of(content: bytes) -> Any:
    """The file as plain values, in whichever of the two forms it is written."""
    if re.match(rb"\{\s*(\"|\})", content):
        return msgspec.json.decode(content)  # a DecodeError is a ValueError
    return ubjson.decoded(content)


def described(document: Any) -> Description:
    """What a decoded file says; raises like `audit`, or any error of a value of another type."""
    learner = document["learner"]
    shape = learner["learner_model_param"]
    width, classes = int(shape["num_feature"]), max(1, int(shape["num_class"]))
    objective = learner["objective"]["name"]
    if not 0 < width <= MOST_COLUMNS or not 0 < classes <= 1_000_000 or int(shape.get("num_target", "1")) > 1:
        raise ValueError("it has no columns, too many, or several outputs")
    if not _OBJECTIVE.match(objective):
        raise ValueError(f"it has an unknown objective {objective[:40]!r}")
    _check_classes(learner["objective"], objective, classes, shape)
    names, types = list(learner.get("feature_names", ())), list(learner.get("feature_types", ()))
    if len(names) not in (0, width) or len(types) not in (0, width):
        raise ValueError("it names another number of columns than it has")
    booster = learner["gradient_booster"]
    linear = booster["name"] == "gblinear"
    categories = {} if linear else _check_trees(booster, width, classes)
    if linear:
        _require(len(booster["model"]["weights"]) == (width + 1) * classes, "linear model")
    attributes = {str(key): str(value) for key, value in learner.get("attributes", {}).items()}
    return Description(
        [str(one) for one in names],
        [str(one) for one in types],
        width,
        classes,
        objective,
        linear,
        categories,
        attributes,
    )


def _check_classes(objective: dict[str, Any], name: str, classes: int, shape: dict[str, Any]) -> None:
    told = objective.get("softmax_multiclass_param")
    if name.startswith("multi:") != (told is not None):
        raise ValueError("its objective and its classes do not agree")
    _require(told is None or int(told["num_class"]) == classes, "number of classes")
    _require(told is not None or classes == 1, "number of classes")
    scores = str(shape["base_score"]).strip("[]").split(",")
    _require(len(scores) in (1, classes), "base score")


def _check_trees(booster: dict[str, Any], width: int, classes: int) -> dict[int, list[Any]]:
    import numpy as np

    if booster["name"] not in ("gbtree", "dart"):
        raise ValueError(f"it is a booster of an unknown kind {str(booster['name'])[:40]!r}")
    inner = booster if booster["name"] == "gbtree" else booster["gbtree"]
    model = inner["model"]
    trees, groups = model["trees"], np.asarray(model["tree_info"], dtype=np.int64)
    if len(trees) < 1 or len(groups) != len(trees) or int(model["gbtree_model_param"]["num_trees"]) != len(trees):
        raise ValueError("it has another number of trees than it says")
    _require(((groups >= 0) & (groups < classes)).all(), "number of classes")
    if booster is not inner:
        _require(len(booster["weight_drop"]) == len(trees), "trees")
    rounds = np.asarray(model.get("iteration_indptr", [0, len(trees)]), dtype=np.int64)
    _require(rounds[0] == 0 and rounds[-1] == len(trees) and (np.diff(rounds) >= 0).all(), "rounds")
    for tree in trees:
        _check_tree(tree, width)
    return _categories(model.get("cats") or {}, width)


def _check_tree(tree: dict[str, Any], width: int) -> None:
    import numpy as np

    nodes = int(tree["tree_param"]["num_nodes"])
    if int(tree["tree_param"].get("size_leaf_vector", "1")) > 1 or int(tree["tree_param"]["num_feature"]) != width:
        raise ValueError("a tree gives several values or takes other columns")
    left, right, feature = (
        np.asarray(tree[name], dtype=np.int64) for name in ("left_children", "right_children", "split_indices")
    )
    values = [tree[name] for name in ("split_conditions", "default_left", "base_weights", "parents")]
    if nodes < 1 or any(len(one) != nodes for one in (left, right, feature, *values)):
        raise ValueError("a tree has another number of nodes than it says")
    inner = left != -1
    _require(((right == -1) == ~inner).all(), "tree")
    children = np.concatenate([left[inner], right[inner]])
    _require(((children > 0) & (children < nodes)).all() and len(np.unique(children)) == len(children), "tree")
    place = np.flatnonzero(inner)
    parents = np.asarray(tree["parents"], dtype=np.int64)
    _require(parents[0] in (NOBODY, -1) and ((parents[1:] >= 0) & (parents[1:] < nodes)).all(), "tree")
    _require((parents[left[inner]] == place).all() and (parents[right[inner]] == place).all(), "tree")
    _require(((feature[inner] >= 0) & (feature[inner] < width)).all(), "tree")
    _check_categories(tree, nodes, inner)


def _check_categories(tree: dict[str, Any], nodes: int, inner: Any) -> None:
    import numpy as np

    kinds = np.asarray(tree.get("split_type", np.zeros(nodes)), dtype=np.int64)
    held, starts, sizes, values = (
        np.asarray(tree.get(f"categories{name}", ()), dtype=np.int64) for name in ("_nodes", "_segments", "_sizes", "")
    )
    _require(len(kinds) == nodes and len(held) == len(starts) == len(sizes), "tree")
    _require(((held >= 0) & (held < nodes)).all() and (starts >= 0).all() and (sizes >= 0).all(), "tree")
    _require((starts + sizes <= len(values)).all() and ((values >= 0) & (values < 1 << 24)).all(), "tree")
    _require(np.array_equal(np.flatnonzero((kinds == 1) & inner), np.sort(held)), "tree")


def _categories(cats: dict[str, Any], width: int) -> dict[int, list[Any]]:
    """The categories of pandas columns by their place, in the order of their codes (XGBoost 3.1 and newer)."""
    import numpy as np

    listed = cats.get("enc", [])
    if not listed:
        return {}
    bounds = np.asarray(cats["feature_segments"], dtype=np.int64)
    found = {place: _values(one) for place, one in enumerate(listed) if len(one["values"])}
    sizes = [len(found.get(place, ())) for place in range(len(listed))]
    _require(len(listed) == width and bounds.tolist() == [0, *np.cumsum(sizes).tolist()], "list of categories")
    order = np.asarray(cats["sorted_idx"], dtype=np.int64)
    _require(len(order) == bounds[-1], "list of categories")
    for place in range(width):
        mine = order[bounds[place] : bounds[place + 1]]
        _require(sorted(mine.tolist()) == list(range(sizes[place])), "list of categories")
    return found


def _values(written: dict[str, Any]) -> list[Any]:
    import numpy as np

    values = np.asarray(written["values"])
    if "offsets" not in written:
        return [int(one) if float(one).is_integer() else float(one) for one in values.tolist()]
    content, bounds = values.astype(np.uint8).tobytes(), np.asarray(written["offsets"], dtype=np.int64).tolist()
    _require(bounds[0] == 0 and bounds[-1] == len(content) and bounds == sorted(bounds), "list of categories")
    return [content[start:stop].decode() for start, stop in pairwise(bounds)]


def _require(holds: Any, what: str) -> None:
    if not holds:
        raise Refused(f"The model's {what} points outside of itself.", HINT)
