"""Stored indices that native code follows without looking: each must lie inside what it points into.

A file of allowed types may still hold a forged tree whose child lies outside its own array; scikit-learn would read
foreign memory or never return. Checked once, after loading and before the first prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from loopline.adapters.runtimes.skops_vectors import check_neighbours, check_support_vectors
from loopline.core.errors import Refused


def check_structure(model: Any) -> None:
    """Refused when any tree or encoder inside `model` points outside of itself."""
    for item in _parts(model):
        state, check = _CHECKS.get(type(item).__name__, ("", None))
        if check is not None and hasattr(item, state):  # without it the estimator is an unfitted template
            check(item)


def _parts(root: Any) -> Iterator[Any]:
    import numpy as np

    seen: set[int] = set()
    waiting = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, (str, bytes, int, float, type(None))):
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            waiting.extend(item)
        elif isinstance(item, np.ndarray):
            waiting.extend(item.ravel().tolist() if item.dtype == object else ())
        else:
            waiting.extend(getattr(item, "__dict__", {}).values())


def _require(holds: Any, what: str) -> None:
    if not holds:
        raise Refused(f"The model's {what} points outside of itself.", "The file is forged or damaged; train again.")


def _check_tree_estimator(estimator: Any) -> None:
    tree = estimator.tree_
    _require(tree.n_features == estimator.n_features_in_, "decision tree")
    _require(tree.n_outputs == estimator.n_outputs_, "decision tree")
    _check_children(tree.children_left, tree.children_right, tree.feature, tree.n_features, tree.children_left == -1)


def _check_forest(forest: Any) -> None:
    for tree in _flat(forest.estimators_):
        _require(tree.n_features_in_ == forest.n_features_in_, "forest")


def _check_isolation_forest(forest: Any) -> None:
    for tree, features in zip(forest.estimators_, forest.estimators_features_, strict=True):
        _require(tree.n_features_in_ == len(features), "forest")


def _check_boosting(boosting: Any) -> None:
    import numpy as np

    mapper = boosting._bin_mapper
    categorical = np.zeros(boosting.n_features_in_, dtype=bool)
    if mapper.is_categorical_ is not None:
        _require(len(mapper.is_categorical_) == boosting.n_features_in_, "bin mapper")
        categorical = np.asarray(mapper.is_categorical_, dtype=bool)
    _require(len(mapper.bin_thresholds_) == boosting.n_features_in_, "bin mapper")
    for predictor in _flat(boosting._predictors):
        _check_predictor(predictor, boosting.n_features_in_, categorical)


def _check_predictor(predictor: Any, features: int, categorical: Any) -> None:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    _check_children(nodes["left"], nodes["right"], nodes["feature_idx"], features, leaf)
    split = nodes[~leaf & nodes["is_categorical"].astype(bool)]
    _require(predictor.raw_left_cat_bitsets.shape[1:] == (8,), "boosted tree")
    _require((split["bitset_idx"] < len(predictor.raw_left_cat_bitsets)).all(), "boosted tree")
    _require(categorical[split["feature_idx"]].all(), "boosted tree")


def _check_children(left: Any, right: Any, feature: Any, features: int, leaf: Any) -> None:
    """Children come after their parent in the array, which also rules out a walk that never ends."""
    import numpy as np

    _require(len(left) > 0, "tree")
    inner = np.flatnonzero(~leaf)
    for child in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        _require(((child > inner) & (child < len(left))).all(), "tree")
    _require(((feature[inner] >= 0) & (feature[inner] < features)).all(), "tree")


def _check_support_vectors(machine: Any) -> None:
    check_support_vectors(machine, _require)


def _check_neighbours(neighbours: Any) -> None:
    check_neighbours(neighbours, _require)


def _check_encoder(encoder: Any) -> None:
    _require(list(encoder._n_features_outs) == list(encoder._compute_n_features_outs()), "one-hot encoder")


def _flat(trees: Any) -> Iterator[Any]:
    for item in trees:
        if isinstance(item, list) or hasattr(item, "ravel"):
            yield from _flat(item)
        else:
            yield item


_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
_FORESTS = (
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
)
_BOOSTINGS = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
# Class → the attribute that holds what is followed, and the check of it.
_CHECKS: dict[str, tuple[str, Callable[[Any], None]]] = {
    **dict.fromkeys(_TREES, ("tree_", _check_tree_estimator)),
    **dict.fromkeys(_FORESTS, ("estimators_", _check_forest)),
    "IsolationForest": ("estimators_", _check_isolation_forest),
    **dict.fromkeys(_BOOSTINGS, ("_predictors", _check_boosting)),
    **dict.fromkeys(("SVC", "NuSVC", "SVR", "NuSVR"), ("_n_support", _check_support_vectors)),
    **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), ("_fit_X", _check_neighbours)),
    "OneHotEncoder": ("categories_", _check_encoder),
}
