"""Models that keep rows of their training, whose native code follows lengths and labels without looking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Require = Callable[[Any, str], None]
KERNELS = ("linear", "poly", "rbf", "sigmoid")
METRICS = ("chebyshev", "cityblock", "euclidean", "l1", "l2", "manhattan", "minkowski", "sqeuclidean")


def check_support_vectors(machine: Any, require: Require) -> None:
    """libsvm takes the number of classes from one array and reads others by it."""
    what = "support vector machine"
    vectors, coefficients, counts = machine.support_vectors_, machine._dual_coef_, machine._n_support
    classes = len(counts)
    pairs = classes * (classes - 1) // 2
    require(machine.kernel in KERNELS and machine._sparse is False and classes > 1, what)
    require(vectors.ndim == 2 and vectors.shape[1] == machine.n_features_in_, what)
    require(all(one.flags.c_contiguous for one in (vectors, coefficients, machine._intercept_)), what)
    require(all(str(one.dtype) == "float64" for one in (vectors, coefficients, machine._intercept_)), what)
    require(str(counts.dtype) == "int32" and (counts >= 0).all(), what)
    require(machine.support_.shape == (len(vectors),) and str(machine.support_.dtype) == "int32", what)
    require(coefficients.shape == (classes - 1, len(vectors)) and machine._intercept_.shape == (pairs,), what)
    require(machine._probA.shape == machine._probB.shape and len(machine._probA) in (0, 1, pairs), what)
    if hasattr(machine, "classes_"):
        require(counts.sum() == len(vectors) and len(machine.classes_) == classes, what)
        require(len(machine._probA) in (0, pairs), what)
    else:
        require(classes == 2, what)


def check_neighbours(neighbours: Any, require: Require) -> None:
    """Found by comparing with all rows: their width, and that each label is one of the classes."""
    what = "list of neighbours"
    rows, labels = neighbours._fit_X, neighbours._y
    require(neighbours._fit_method == "brute" and neighbours._tree is None, what)
    require(neighbours.effective_metric_ in METRICS and neighbours.weights in ("uniform", "distance"), what)
    require(neighbours.effective_metric_params_ in ({}, {"p": neighbours.p}) and neighbours.metric_params is None, what)
    require(rows.ndim == 2 and rows.shape == (neighbours.n_samples_fit_, neighbours.n_features_in_), what)
    require(str(rows.dtype) in ("float32", "float64") and labels.shape == (len(rows),), what)
    require(type(neighbours.n_neighbors) is int and 0 < neighbours.n_neighbors <= len(rows), what)
    if hasattr(neighbours, "classes_"):
        require(neighbours.outputs_2d_ is False and str(labels.dtype) == "int64", what)
        require(((labels >= 0) & (labels < len(neighbours.classes_))).all(), what)
