"""Boosted trees of LightGBM, XGBoost and CatBoost, from what these libraries tell of them."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.compiling.trees import Tree, forest
from loopline.adapters.engines.tables.compiling.writing import Columns, Table, Writer, known
from loopline.adapters.engines.tables.forests import CATEGORIES

SINGLE = 1e-6  # libraries that add in float32 differ by so much from themselves on another processor
_LIGHTGBM_PLAIN = (
    ["regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "none", "custom"]
)  # fmt: skip
_XGBOOST_PLAIN = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror", "rank:")
_LOGS = ("poisson", "gamma", "tweedie")


def lightgbm(writer: Writer, source: Any) -> None:
    """A LightGBM booster: float64 throughout, what is equal to a threshold goes left."""
    told = source.booster.dump_model()
    objective, *rest = str(told.get("objective", "none")).split(" ")
    count = int(told["num_tree_per_iteration"])
    trees = [_lightgbm_tree(each["tree_structure"]) for each in told["tree_info"]]
    divide = len(trees) // count if told.get("average_output") else None
    raw = forest(
        writer, _filled(writer, source), trees, np.zeros(count), grouped=count > 1, single=False, divide=divide
    )
    if count > 1:
        _labels(writer, raw, source.labels)
        return
    known("sqrt" not in rest, "a square root")
    if objective in ("binary", "cross_entropy"):
        steep = next((float(word.partition(":")[2]) for word in rest if word.startswith("sigmoid:")), 1.0)
        raw = writer.add("expit", 1, at=writer.arithmetic(raw, multiply=None if steep == 1 else steep))
    elif objective in _LOGS:
        raw = writer.add("ufunc", 1, at=raw, name="exp")
    else:
        known(objective in _LIGHTGBM_PLAIN, f"the objective {objective}")
    writer.add("value", 1, at=raw)


def _lightgbm_tree(root: Mapping[str, Any]) -> Tree:
    rows: list[tuple[int, int, int, float, int, float, int]] = []
    lefts: list[Any] = []
    waiting: list[tuple[Mapping[str, Any], int]] = [(root, -1)]
    links: list[list[int]] = []
    while waiting:
        node, parent = waiting.pop()
        place = len(rows)
        if parent >= 0:
            links[parent].append(place)
        links.append([])
        if "split_feature" not in node:
            rows.append((-1, -1, 0, 0.0, 0, float(node["leaf_value"]), -1))
            continue
        threshold, nan_left, category = _lightgbm_split(node, lefts)
        rows.append((0, 0, int(node["split_feature"]), threshold, nan_left, 0.0, category))
        waiting += [(node["right_child"], place), (node["left_child"], place)]
    table = np.array(rows)
    left, right = (np.array([each[side] if each else -1 for each in links]) for side in (0, 1))
    return Tree(
        left,
        right,
        table[:, 2].astype(int),
        table[:, 3],
        table[:, 4].astype(int),
        table[:, 5:6],
        table[:, 6].astype(int),
        np.array(lefts, dtype=np.uint8).reshape(-1, CATEGORIES),
    )


def _lightgbm_split(node: Mapping[str, Any], lefts: list[Any]) -> tuple[float, int, int]:
    """Threshold, where a missing value goes, and the row of its categories or -1."""
    if node["decision_type"] == "==":
        values = [int(value) for value in str(node["threshold"]).split("||")]
        known(all(0 <= value < CATEGORIES for value in values), "more than 256 categories")
        lefts.append(np.isin(np.arange(CATEGORIES), values))
        return 0.0, 0, len(lefts) - 1
    known(node["decision_type"] == "<=" and node["missing_type"] in ("None", "NaN"), "zero as a missing value")
    threshold = float(node["threshold"])
    if node["missing_type"] == "None":  # a gap is taken for 0
        return threshold, int(threshold >= 0.0), -1
    return threshold, int(bool(node["default_left"])), -1


def xgboost(writer: Writer, source: Any) -> None:
    """An XGBoost booster: float32 throughout, what is equal to a threshold goes right."""
    told = json.loads(bytes(source.booster.save_raw("json")))["learner"]
    booster, objective = told["gradient_booster"], str(told["objective"]["name"])
    known(
        booster["name"] == "gbtree" and int(told["learner_model_param"].get("num_target", "1")) == 1, "another booster"
    )
    model = booster["model"]
    outputs = max(1, int(told["learner_model_param"]["num_class"]))
    rounds = source.rounds or len(model["trees"])
    per_round = outputs * max(1, int(model["gbtree_model_param"].get("num_parallel_tree", "1")))
    chosen = model["trees"][: rounds * per_round]
    known(outputs == 1 or per_round == outputs, "forests of several classes")
    known(model["tree_info"][: len(chosen)] == [place % outputs for place in range(len(chosen))], "another order")
    base = _margin(json.loads(told["learner_model_param"]["base_score"]), objective, outputs)
    writer.tolerance = SINGLE
    trees = [_xgboost_tree(each) for each in chosen]
    table = _filled(writer, source, refuses=["unknown"])
    raw = forest(writer, table, trees, base, grouped=outputs > 1, side="right", added="float32")
    if outputs > 1:
        _labels(writer, raw, source.labels)
        return
    if objective in ("binary:logistic", "reg:logistic"):
        raw = writer.add("expit", 1, at=raw)
    elif objective.partition(":")[2] in _LOGS:
        raw = writer.add("ufunc", 1, at=raw, name="exp")
    else:
        known(objective.startswith(_XGBOOST_PLAIN), f"the objective {objective}")
    writer.add("value", 1, at=raw)


def _margin(score: Any, objective: str, outputs: int) -> Any:
    """The base score before the link."""
    found = np.broadcast_to(np.asarray(score, dtype=np.float32).ravel(), (outputs,)).astype(np.float64)
    if objective in ("binary:logistic", "reg:logistic"):
        return np.float32(-np.log(np.float32(1.0) / found.astype(np.float32) - np.float32(1.0))).astype(np.float64)
    if objective.partition(":")[2] in _LOGS:
        return np.log(found.astype(np.float32)).astype(np.float64)
    return found


def _xgboost_tree(told: Mapping[str, Any]) -> Tree:
    left, right = np.array(told["left_children"]), np.array(told["right_children"])
    known(told["tree_param"].get("size_leaf_vector", "1") in ("0", "1"), "several outputs")
    leaf = left == -1
    category = np.full(len(left), -1)
    category[told["categories_nodes"]] = np.arange(len(told["categories_nodes"]))
    spans = zip(told["categories_segments"], told["categories_sizes"], strict=True)
    rights = [told["categories"][start : start + size] for start, size in spans]
    known(all(0 <= value < CATEGORIES for each in rights for value in each), "more than 256 categories")
    lefts = [~np.isin(np.arange(CATEGORIES), each) for each in rights]
    numbers = np.array(told["split_conditions"], dtype=np.float32).astype(np.float64)
    return _reordered(
        Tree(
            left,
            np.where(leaf, -1, right),
            np.array(told["split_indices"]),
            np.where(leaf | (category >= 0), 0.0, numbers),
            np.array(told["default_left"], dtype=int),
            np.where(leaf, numbers, 0.0)[:, None],
            category,
            np.array(lefts, dtype=np.uint8).reshape(-1, CATEGORIES),
        )
    )


def _reordered(tree: Tree) -> Tree:
    """The same tree with children after their parents and nothing that is not reached."""
    order = [0]
    for place in order:  # grows meanwhile
        if tree.left[place] != -1:
            order += [int(tree.left[place]), int(tree.right[place])]
        known(len(order) <= len(tree.left), "a tree that is none")
    new = np.full(len(tree.left), -1)
    new[order] = np.arange(len(order))
    left, right = (np.where(side[order] == -1, -1, new[side[order]]) for side in (tree.left, tree.right))
    feature, threshold, nan_left, values = (
        each[order] for each in (tree.feature, tree.threshold, tree.nan_left, tree.values)
    )
    return Tree(left, right, feature, threshold, nan_left, values, tree.category[order], tree.lefts)


def catboost(writer: Writer, source: Any) -> None:
    """A CatBoost model of symmetric trees on numbers: inputs are compared as float32, values added as float64."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        source.model.save_model(str(path), format="json")
        told = json.loads(path.read_text())
    known("oblivious_trees" in told and not told["features_info"].get("categorical_features"), "categories")
    features = told["features_info"]["float_features"]
    scale, bias = told["scale_and_bias"]
    bias = np.asarray(bias, dtype=np.float64).ravel()
    trees = [_catboost_tree(each, features, len(bias), float(scale)) for each in told["oblivious_trees"]]
    raw = forest(writer, _filled(writer, source), trees, np.zeros(len(bias)))
    raw = writer.arithmetic(raw, add=bias if bias.any() else None)
    classes, loss = getattr(source.model, "classes_", None), str(source.model.get_all_params().get("loss_function", ""))
    if raw.width > 1:
        _labels(writer, raw, None if classes is None else list(classes))
        return
    if classes is not None and len(classes) == 2:
        raw = writer.add("expit", 1, at=raw)
    elif loss.startswith(("Poisson", "Tweedie")):
        raw = writer.add("ufunc", 1, at=raw, name="exp")
    writer.add("value", 1, at=raw)


def _catboost_tree(told: Mapping[str, Any], features: Sequence[Mapping[str, Any]], width: int, scale: float) -> Tree:
    splits = told["splits"] or []
    depth = len(splits)
    known(depth <= 6 and all(each["split_type"] == "FloatFeature" for each in splits), "deep trees or categories")
    inner, count = 2**depth - 1, 2 ** (depth + 1) - 1
    place = np.arange(count)
    level = np.floor(np.log2(place + 1)).astype(int)
    of = [features[each["float_feature_index"]] for each in splits] + [{"flat_feature_index": 0}]
    border = np.array([float(np.float32(each["border"])) for each in splits] + [0.0])
    values = np.zeros((count, width))
    bits = np.array([int(f"{leaf:0{depth}b}"[::-1], 2) if depth else 0 for leaf in range(2**depth)])
    values[inner:] = np.asarray(told["leaf_values"]).reshape(-1, width)[bits] * scale
    is_leaf = place >= inner
    lower = np.minimum(level, depth)
    gap_left = np.array([each.get("nan_value_treatment", "AsIs") != "AsTrue" for each in of])
    return Tree(
        np.where(is_leaf, -1, 2 * place + 1),
        np.where(is_leaf, -1, 2 * place + 2),
        np.array([each["flat_feature_index"] for each in of])[lower],
        border[lower],
        gap_left[lower].astype(int),
        values,
    )


def _filled(writer: Writer, source: Any, refuses: Sequence[str] = ()) -> Table:
    """The columns in the booster's order, categories as their codes."""
    order, coded = list(source.order), dict(source.coded)
    plain = [name for name in order if name not in coded]
    tables = [writer.numbers(Columns(tuple(plain)))] if plain else []
    tables += [_codes(writer, name, coded[name], list(refuses)) for name in order if name in coded]
    whole = writer.join(tables)
    places = [*plain, *[name for name in order if name in coded]]
    if places == order:
        return whole
    return writer.add("take", len(order), {"rows": np.array([places.index(name) for name in order])}, at=whole)


def _codes(writer: Writer, name: str, codes: Mapping[Any, float], refuses: list[str]) -> Table:
    text = writer.kinds[name] == "s"
    known(codes and all(isinstance(value, str) == text for value in codes), "mixed categories")
    ordered = sorted(codes)
    column: dict[str, Any] = {"name": name, "refuses": refuses}
    arrays: dict[str, Any] = {"table0": np.array([*[codes[value] for value in ordered], math.nan, math.nan])[:, None]}
    if text:
        column["texts"] = ordered
    else:
        column["numbers"], arrays["numbers"] = "numbers", np.array(ordered, dtype=np.float64)
    return writer.add("lookup", 1, arrays, columns=[column], add=False)


def _labels(writer: Writer, raw: Table, labels: Sequence[Any] | None) -> None:
    words = list(range(raw.width)) if labels is None else list(labels)
    if any(isinstance(one, str) for one in words):
        writer.add("labels", 1, at=raw, words=[str(one) for one in words])
    else:
        writer.add("labels", 1, {"numbers": np.array(words, dtype=np.float64)}, at=raw)


BOOSTERS: dict[str, Callable[[Writer, Any], None]] = {"lightgbm": lightgbm, "xgboost": xgboost, "catboost": catboost}
