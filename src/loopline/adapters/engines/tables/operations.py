"""What a compiled model is made of. Each builds, from a checked description, what runs, and says how wide its result is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.forests import Leaves, Nodes, Quick, Sum, Walk, distinct, fits_masks
from loopline.adapters.engines.tables.lookups import lookup
from loopline.adapters.engines.tables.running import Build, Run, float_columns

Made = tuple[Run, int]
UFUNCS = (
    "absolute", "arccos", "arcsin", "arctan", "arcsinh", "arctanh", "cbrt", "ceil", "cos", "cosh",
    "exp", "exp2", "expm1", "floor", "log", "log10", "log1p", "log2", "negative", "reciprocal",
    "rint", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip
ARITHMETIC = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
_LOWEST = -709.0  # exp overflows beyond


def numbers(build: Build) -> Made:
    """Columns of the request."""
    names = build.names("dq?")
    build.must(names, "no column")
    return lambda columns, values: float_columns(columns, names), len(names)


def join(build: Build) -> Made:
    """Tables one under the other."""
    places = build.sources()
    return lambda columns, values: np.concatenate([values[place] for place in places]), sum(
        build.widths[place] for place in places
    )


def take(build: Build) -> Made:
    """Some rows of a table, in any order."""
    place, rows = build.source(), build.array("rows", None, whole=True).astype(np.intp)
    build.must(((rows >= 0) & (rows < build.widths[place])).all(), "it takes a row that is not there")
    return lambda columns, values: values[place].take(rows, axis=0), len(rows)


def arithmetic(build: Build) -> Made:
    """One number a feature added, subtracted, multiplied or divided, several times."""
    place = build.source()
    width = build.widths[place]
    steps = [(ARITHMETIC[how], build.array(name, width)[:, None]) for how, name in build.spec["steps"]]
    build.must(steps, "nothing to do")
    (first, by), rest = steps[0], steps[1:]

    def run(columns: Any, values: Any) -> Any:
        out = first(values[place], by)
        for do, number in rest:
            do(out, number, out)
        return out

    return run, width


def fill(build: Build) -> Made:
    """Missing values replaced, one number a feature."""
    place = build.source()
    width = build.widths[place]
    instead = build.array("instead", width)[:, None]

    def run(columns: Any, values: Any) -> Any:
        table = values[place]
        gaps = np.isnan(table)
        return np.where(gaps, instead, table) if gaps.any() else table

    return run, width


def gaps(build: Build) -> Made:
    """1 where a value is missing."""
    place = build.source()
    return lambda columns, values: np.isnan(values[place]).astype(np.float64), build.widths[place]


def clip(build: Build) -> Made:
    """Between a lowest and a highest value a feature."""
    place = build.source()
    width = build.widths[place]
    low, high = build.array("low", width)[:, None], build.array("high", width)[:, None]
    return lambda columns, values: np.clip(values[place], low, high), width


def ufunc(build: Build) -> Made:
    """A function of numpy by its name."""
    place, name = build.source(), build.spec["name"]
    build.must(name in UFUNCS, "an unknown function")
    function = getattr(np, name)

    def run(columns: Any, values: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(values[place])

    return run, build.widths[place]


def products(build: Build) -> Made:
    """Products of features: row i of `factors` names them, -1 for none; multiplied from the right, as the library."""
    place = build.source()
    factors = build.array("factors", None, None, whole=True).astype(np.intp)
    build.must(factors.shape[1] > 0 and ((factors >= -1) & (factors < build.widths[place])).all(), "factors")

    def run(columns: Any, values: Any) -> Any:
        table = np.concatenate([values[place], np.ones((1, values[place].shape[1]))])
        out = table[factors[:, -1]]
        for at in range(factors.shape[1] - 2, -1, -1):
            out *= table[factors[:, at]]
        return out

    return run, len(factors)


def linear(build: Build) -> Made:
    """Weighted sums."""
    place = build.source()
    weights = build.array("weights", None, build.widths[place])
    start = build.array("start", len(weights))[:, None]
    if len(weights) == 1 and (one := weights[0].copy()).size:

        def single(columns: Any, values: Any) -> Any:
            return (one @ values[place] + start[0])[None]

        return single, 1
    return lambda columns, values: weights @ values[place] + start, len(weights)


def total(build: Build) -> Made:
    """Tables of the same width added, each times its weight."""
    places, weights = build.sources(), build.array("weights", len(build.spec["from"]))
    width = build.widths[places[0]]
    build.must(all(build.widths[place] == width for place in places), "widths differ")
    ones = bool((weights == 1).all())

    def run(columns: Any, values: Any) -> Any:
        out = values[places[0]].copy() if ones else values[places[0]] * weights[0]
        for place, weight in zip(places[1:], weights[1:], strict=True):
            out += values[place] if ones else values[place] * weight
        return out

    return run, width


def forest(build: Build) -> Made:
    """Trees. See `forests`."""
    place, spec = build.source(), build.spec
    width, outputs, grouped = build.widths[place], int(spec["outputs"]), spec["grouped"] is True
    whole = {name: build.array(name, None, whole=True) for name in ("feature", "left", "right", "nan_left", "category")}
    nodes = Nodes(
        **{name: array.astype(np.int64) for name, array in whole.items()},
        threshold=build.array("threshold", None),
        lefts=build.array("lefts", None, None, whole=True),
        values=build.array("values", None, None),
        roots=build.array("roots", None, whole=True).astype(np.int64),
    )
    nodes.check(width, outputs, grouped)
    build.must(spec["side"] in ("left", "right"), "it compares in another way")
    leaves, add = Leaves(nodes), Sum(build.array("base", outputs), outputs, grouped, spec["added"] == "float32")
    single = spec["single"] is True
    if spec["method"] == "quick":
        used = len(distinct(nodes.feature[nodes.left != -1]))
        build.must(fits_masks(leaves.most, len(nodes.roots), len(nodes.feature) + 300 * used, used), "too large")
        ask: Any = Quick(nodes, leaves, add, spec["side"], single)
    else:
        ask = Walk(nodes, leaves, add, spec["side"], single, width)
    divide = spec.get("divide")
    build.must(divide is None or (type(divide) is int and divide > 0), "it divides by nothing")
    if divide is None:
        return lambda columns, values: ask(values[place]), outputs
    return lambda columns, values: ask(values[place]) / divide, outputs


def expit(build: Build) -> Made:
    """1 / (1 + exp(-x)) with the exponential of the C library, which is what SciPy takes: numpy's own may differ in the
    last bit."""
    place = build.source()

    def run(columns: Any, values: Any) -> Any:
        below = np.maximum(values[place], _LOWEST)
        powers = np.fromiter(map(math.exp, (-below).ravel().tolist()), np.float64, below.size)
        powers += 1.0
        return np.divide(1.0, powers, powers).reshape(below.shape)

    return run, build.widths[place]


def softmax(build: Build) -> Made:
    """Shares that add up to 1."""
    place = build.source()

    def run(columns: Any, values: Any) -> Any:
        out = np.exp(values[place] - values[place].max(axis=0))
        out /= out.sum(axis=0)
        return out

    return run, build.widths[place]


def shares(build: Build) -> Made:
    """Divided by their sum; equal shares where that is 0."""
    place = build.source()
    width = build.widths[place]

    def run(columns: Any, values: Any) -> Any:
        sums = values[place].sum(axis=0)
        with np.errstate(all="ignore"):
            return np.where(sums == 0, 1 / width, values[place] / sums)

    return run, width


def relu(build: Build) -> Made:
    """Nothing below 0."""
    place = build.source()
    return lambda columns, values: np.maximum(values[place], 0), build.widths[place]


def interpolated(build: Build) -> Made:
    """A line through points, its ends kept beyond them."""
    place, x, y = build.source(), build.array("x", None), build.array("y", None)
    build.must(len(x) == len(y) > 0 and (np.diff(x) >= 0).all() and np.isfinite(x).all(), "points out of order")
    return lambda columns, values: np.interp(values[place], x, y), build.widths[place]


def gaussian(build: Build) -> Made:
    """Joint log likelihood of independent normal features, one row a class."""
    place = build.source()
    width = build.widths[place]
    mean = build.array("mean", None, width)
    variance, prior = build.array("variance", len(mean), width), build.array("prior", len(mean))
    build.must((variance > 0).all(), "a variance is not positive")
    start = prior - 0.5 * np.log(2.0 * np.pi * variance).sum(axis=1)

    def run(columns: Any, values: Any) -> Any:
        away = values[place][None] - mean[:, :, None]
        return start[:, None] - 0.5 * ((away**2) / variance[:, :, None]).sum(axis=1)

    return run, len(mean)


def value(build: Build) -> Made:
    """The end: one number a row."""
    place = build.source()
    build.must(build.widths[place] == 1, "more than one number a row")
    return lambda columns, values: np.ascontiguousarray(values[place][0]), 1


def labels(build: Build) -> Made:
    """The end: the label of the largest value, or by the sign of one."""
    place, words = build.source(), build.spec.get("words")
    if words is None:
        names = build.array("numbers", None)
    else:
        build.must(all(isinstance(word, str) for word in words), "a label is no text")
        names = np.empty(len(words), dtype=object)
        names[:] = words
    width = build.widths[place]
    build.must(len(names) == (2 if width == 1 else width), "labels")
    if width == 1:
        limit = float(build.spec.get("limit", 0.0))
        return lambda columns, values: names.take((values[place][0] > limit).astype(np.intp)), 1
    return lambda columns, values: names.take(values[place].argmax(axis=0)), 1


OPERATIONS: dict[str, Callable[[Build], Made]] = {
    each.__name__: each
    for each in (
        numbers, lookup, join, take, arithmetic, fill, gaps, clip, ufunc, products, linear, total, forest, expit, softmax,
        shares, relu, interpolated, gaussian, value, labels,
    )
}  # fmt: skip
