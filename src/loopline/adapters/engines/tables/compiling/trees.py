"""Trees of scikit-learn as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.compiling.writing import Table, Writer, known
from loopline.adapters.engines.tables.forests import CATEGORIES, Leaves, Nodes, fits_masks


@dataclass
class Tree:
    """One tree: children by their place in it, -1 at a leaf; `category` indexes `lefts`, -1 where the threshold says."""

    left: Any
    right: Any
    feature: Any
    threshold: Any
    nan_left: Any
    values: Any
    category: Any = None
    lefts: Any = field(default_factory=lambda: np.zeros((0, CATEGORIES), dtype=np.uint8))


def forest(
    writer: Writer,
    table: Table,
    trees: Sequence[Tree],
    base: Any,
    *,
    grouped: bool = False,
    single: bool = True,
    side: str = "left",
    divide: int | None = None,
    added: str = "float64",
) -> Table:
    """All trees in one operation. `grouped`: tree i adds to output i modulo their number; `single`: inputs are compared
    as float32; `side`: what is equal to a threshold goes there; `added` is the type of sums."""
    base = np.asarray(base, dtype=np.float64).ravel()
    nodes = _together(trees)
    nodes.check(table.width, len(base), grouped)
    leaves = Leaves(nodes)
    inner = nodes.left != -1
    splits = len(np.unique(np.stack([nodes.feature[inner], nodes.threshold[inner]]), axis=1).T)
    used = len(np.unique(nodes.feature[inner]))
    categories = 300 * len(np.unique(nodes.feature[inner & (nodes.category >= 0)]))
    quick = fits_masks(leaves.most, len(trees), splits + categories, used)
    known(quick or not categories, "large trees with categories")
    arrays = {name: getattr(nodes, name) for name in Nodes.__dataclass_fields__} | {"base": base}
    method = "quick" if quick and fits_masks(leaves.most, len(trees), len(inner) + 300 * used, used) else "walk"
    known(method == "quick" or not categories, "large trees with categories")
    return writer.add(
        "forest",
        len(base),
        arrays,
        method=method,
        outputs=len(base),
        grouped=grouped,
        single=single,
        side=side,
        divide=divide,
        added=added,
        at=table,
    )


def _together(trees: Sequence[Tree]) -> Nodes:
    sizes = [len(tree.left) for tree in trees]
    roots = np.cumsum([0, *sizes])[:-1]
    cats = np.cumsum([0, *[len(tree.lefts) for tree in trees]])[:-1]

    def moved(name: str, by: Any) -> Any:
        parts = [getattr(tree, name) for tree in trees]
        parts = [
            np.full(size, -1) if part is None else np.asarray(part) for part, size in zip(parts, sizes, strict=True)
        ]
        return np.concatenate(
            [np.where(part < 0, -1, part + start) for part, start in zip(parts, by, strict=True)]
        ).astype(np.int64)

    def plain(name: str, kind: Any) -> Any:
        return np.concatenate([np.asarray(getattr(tree, name)) for tree in trees]).astype(kind)

    return Nodes(
        feature=np.maximum(plain("feature", np.int64), 0),
        threshold=plain("threshold", np.float64),
        left=moved("left", roots),
        right=moved("right", roots),
        nan_left=plain("nan_left", np.uint8),
        category=moved("category", cats),
        lefts=np.concatenate([tree.lefts for tree in trees]).astype(np.uint8),
        values=plain("values", np.float64),
        roots=roots,
    )


def of_tree(estimator: Any, outputs: slice | None = None, scale: float = 1.0, missing: bool = True) -> Tree:
    """A decision tree; `outputs` are the columns of its values that are wanted."""
    tree = estimator.tree_
    known(tree.n_outputs == 1, "several outputs")
    values = tree.value[:, 0, outputs if outputs is not None else slice(None)] * scale
    nan_left = tree.missing_go_to_left if missing else np.zeros(tree.node_count, dtype=np.uint8)
    return Tree(tree.children_left, tree.children_right, tree.feature, tree.threshold, nan_left, values)


def of_boosting(writer: Writer, model: Any, table: Table) -> Table:
    """Raw sums of gradient boosting."""
    known(model.init_ == "zero" or type(model.init_).__name__ in ("DummyClassifier", "DummyRegressor"), "another start")
    base = model._raw_predict_init(np.zeros((1, table.width), dtype=np.float32)).ravel()
    trees = [of_tree(each, scale=model.learning_rate, missing=False) for stage in model.estimators_ for each in stage]
    return forest(writer, table, trees, base, grouped=len(base) > 1)


def of_histograms(writer: Writer, model: Any, table: Table) -> Table:
    """Raw sums of histogram gradient boosting; `table` is what its own preprocessor makes."""
    bits, places = model._bin_mapper.make_known_categories_bitsets()
    base = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()
    trees = [_histogram(each, bits, places) for stage in model._predictors for each in stage]
    return forest(writer, table, trees, base, grouped=len(base) > 1, single=False)


def _histogram(predictor: Any, known_bits: Any, places: Any) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    split = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf)
    category = np.full(len(nodes), -1)
    category[split] = np.arange(len(split))
    lefts = np.zeros((len(split), CATEGORIES), dtype=np.uint8)
    for row, node in enumerate(nodes[split]):
        left = _bits(predictor.raw_left_cat_bitsets[node["bitset_idx"]])
        there = _bits(known_bits[places[node["feature_idx"]]])
        lefts[row] = left | (~(left | there) & bool(node["missing_go_to_left"]))
    return Tree(
        np.where(leaf, -1, nodes["left"].astype(np.int64)),
        np.where(leaf, -1, nodes["right"].astype(np.int64)),
        nodes["feature_idx"].astype(np.int64),
        np.where(category >= 0, 0.0, nodes["num_threshold"]),
        nodes["missing_go_to_left"].astype(np.uint8),
        nodes["value"][:, None],
        category,
        lefts,
    )


def _bits(words: Any) -> Any:
    """256 bits in eight words, lowest first."""
    return np.unpackbits(np.ascontiguousarray(words, dtype="<u4").view(np.uint8), bitorder="little").astype(bool)
