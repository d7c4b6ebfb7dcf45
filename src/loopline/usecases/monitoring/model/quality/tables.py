"""Metrics of confusion tables. Imports numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.quality.scoring import Score, of_cells, ratio
from loopline.usecases.monitoring.model.tallies import BINS, Binary, Classes

Floats = NDArray[np.float64]
KINDS = ("true_positive", "false_positive", "true_negative", "false_negative")


def _over(top: float, bottom: float) -> float:
    return top / bottom if bottom else 0.0


def confusion(buckets: Sequence[Binary | None]) -> Floats:
    """Counts of shape (buckets, 4), in the order of KINDS."""
    return np.array([[0.0 if one is None else float(getattr(one, kind)) for kind in KINDS] for one in buckets])


def decided(cells: Floats, costs: Mapping[Any, float]) -> Iterator[Score]:
    """Metrics of decisions at the threshold, of counts of shape (buckets, 4); where nothing was called positive (or nothing
    is), precision (or recall) is 0, and so is what depends on it. `cost` is the mean cost of a row."""
    tp, fp, tn, fn = cells.sum(axis=0)
    yield share("accuracy", cells, (1, 0, 1, 0), (1, 1, 1, 1))
    yield share("precision", cells, (1, 0, 0, 0), (1, 1, 0, 0))
    yield share("recall", cells, (1, 0, 0, 0), (1, 0, 0, 1))
    yield share("specificity", cells, (0, 0, 1, 0), (0, 1, 1, 0))
    yield share("f1", cells, (2, 0, 0, 0), (2, 1, 0, 1))
    if tp + fn and tn + fp:
        yield _balanced(cells)
    yield _matthews(cells)
    if costs:
        each = np.array([float(costs.get(kind, 0.0)) for kind in KINDS])
        yield ratio("cost", cells @ each, cells.sum(axis=1), float(cells.sum(axis=0) @ each**2))


def share(name: str, cells: Floats, top: Sequence[int], bottom: Sequence[int]) -> Score:
    """A ratio of two sums of cells."""
    a, b = np.array(top, dtype=float), np.array(bottom, dtype=float)

    def slope(whole: Floats) -> Floats:
        below = float(whole @ b)
        return (a - _over(float(whole @ a), below) * b) / below if below else np.zeros(len(a))

    found = of_cells(name, cells, lambda whole: _over(float(whole @ a), float(whole @ b)), slope)
    fewest = float(np.minimum(b, 1) @ cells.sum(axis=0))
    return replace(found, fewest=fewest, share=name != "f1")


def _balanced(cells: Floats) -> Score:
    recall, specificity = share("", cells, (1, 0, 0, 0), (1, 0, 0, 1)), share("", cells, (0, 0, 1, 0), (0, 1, 1, 0))
    # No row counts in both: the squares add up.
    squares = (recall.squares + specificity.squares) / 4
    blocks = (recall.blocks + specificity.blocks) / 2
    value, fewest = (recall.value + specificity.value) / 2, min(recall.fewest, specificity.fewest)
    return Score("balanced_accuracy", value, blocks, recall.counts, squares, fewest=fewest)


def _matthews(cells: Floats) -> Score:
    """Matthews' correlation (1975); 0 where a margin is empty."""

    def sides(whole: Floats) -> tuple[float, Floats]:
        tp, fp, tn, fn = whole
        return float(tp * tn - fp * fn), np.array([tp + fp, tp + fn, tn + fp, tn + fn])

    def value(whole: Floats) -> float:
        top, margins = sides(whole)
        return _over(top, float(np.sqrt(margins).prod()))

    def slope(whole: Floats) -> Floats:
        top, margins = sides(whole)
        if not margins.all():
            return np.zeros(4)
        tp, fp, tn, fn = whole
        root = float(np.sqrt(margins).prod())
        of_top = np.array([tn, -fn, tp, -fp])
        one = 1 / margins
        of_root = np.array([one[0] + one[1], one[0] + one[2], one[2] + one[3], one[1] + one[3]]) / 2
        return (of_top - top * of_root) / root

    return of_cells("mcc", cells, value, slope)


def calibration_error(buckets: Sequence[Binary | None]) -> Score:
    """The expected calibration error over BINS equal parts of 0 to 1 (Naeini, Cooper and Hauskrecht, 2015).

    Being a sum of sizes it is too large by chance (Kumar, Liang and Ma, "Verified uncertainty calibration", 2019): by as much
    as the size of a normal gap exceeds that of its mean, bin by bin.
    """
    bins = np.array([np.zeros((BINS, 3)) if one is None else np.array(one.bins, dtype=float) for one in buckets])
    counts = bins[:, :, 0].sum(axis=1)
    apart = bins[:, :, 1] - bins[:, :, 2]
    whole = apart.sum(axis=0)
    units = max(float(counts.sum()), 1.0)
    value = float(np.abs(whole).sum() / units)
    blocks = (apart @ np.sign(whole) - value * counts) / units
    squares, chance = _calibration_squares(bins, value), _by_chance(bins, apart, whole) / units
    return Score("ece", value, blocks, counts, squares, chance)


def _by_chance(bins: Floats, apart: Floats, whole: Floats) -> float:
    """The sum over bins of E|X| - |m| for normal X with mean m and the error of the bin's gap, from buckets or rows, whichever
    is larger."""
    counts, _, labels = bins.sum(axis=0).T
    share = np.divide(counts, counts.sum(), out=np.zeros(BINS), where=counts > 0)
    of_buckets = np.square(apart - np.outer(bins[:, :, 0].sum(axis=1), whole / max(float(counts.sum()), 1.0))).sum(
        axis=0
    )
    of_rows = labels * (1 - np.divide(labels, counts, out=np.zeros(BINS), where=counts > 0))
    errors = np.sqrt(np.maximum(of_buckets if len(bins) > 1 else 0.0, of_rows))[share > 0]
    return sum(_folded(float(m), float(s)) for m, s in zip(np.abs(whole)[share > 0], errors, strict=True))


def _folded(mean: float, error: float) -> float:
    if error <= 0:
        return 0.0
    far = mean / error
    density = math.exp(-far * far / 2) * math.sqrt(2 / math.pi)
    return error * density - mean * math.erfc(far / math.sqrt(2))


def _calibration_squares(bins: Floats, value: float) -> float:
    """Rows of one bin share its mean score here: how their scores spread within it is left out, their labels are not."""
    counts, scores, labels = bins.sum(axis=0).T
    mean, side = scores / np.maximum(counts, 1), np.sign(scores - labels)
    squares = labels * (side * (mean - 1) - value) ** 2 + (counts - labels) * (side * mean - value) ** 2
    return float(squares.sum()) / max(float(counts.sum()), 1.0) ** 2


def classified(buckets: Sequence[Classes | None], costs: Mapping[Any, float]) -> Iterator[Score]:
    """Metrics of classes. Macro averages are over all classes that occur as truth or prediction; balanced accuracy over those
    that occur as truth. `cost` takes true_positive for a right answer and false_positive for a wrong one."""
    names = sorted({name for one in buckets if one for row in one.table.items() for name in (row[0], *row[1])})
    counts = np.array([0.0 if one is None else float(one.count) for one in buckets])
    correct = np.array([0.0 if one is None else float(one.correct) for one in buckets])
    right_ones = ratio("accuracy", correct, counts, float(correct.sum()))
    yield replace(right_ones, fewest=float(counts.sum()), share=True)
    kept = [name for name in names if name]
    if kept:
        yield from _macro(np.array([_matrix(one, names) for one in buckets]), np.array([bool(name) for name in names]))
    if costs:
        right, wrong = float(costs.get("true_positive", 0.0)), float(costs.get("false_positive", 0.0))
        sums = right * correct + wrong * (counts - correct)
        squares = right * right * correct.sum() + wrong * wrong * (counts - correct).sum()
        yield ratio("cost", sums, counts, float(squares))


def both_classes(cells: Floats) -> Iterator[Score]:
    """Macro averages over the two classes of decisions, of counts of shape (buckets, 4)."""
    tp, fp, tn, fn = cells.T
    found = _macro(np.stack([np.stack([tn, fp], axis=-1), np.stack([fn, tp], axis=-1)], axis=1), np.ones(2, dtype=bool))
    yield from (score for score in found if score.name.startswith("macro_"))


def _matrix(one: Classes | None, names: list[str]) -> Floats:
    found, place = np.zeros((len(names), len(names))), {name: at for at, name in enumerate(names)}
    for truth, row in ({} if one is None else one.table).items():
        for called, count in row.items():
            found[place[truth], place[called]] = count
    return found


def _macro(tables: Floats, kept: NDArray[np.bool_]) -> Iterator[Score]:
    """`tables` has the shape (buckets, truth, predicted); classes that are not `kept` are not averaged over."""
    whole = tables.sum(axis=0)
    right, said, called = np.diag(whole), whole.sum(axis=1), whole.sum(axis=0)
    every, true = kept & (said + called > 0), kept & (said > 0)
    for name, weights, parts in (
        ("balanced_accuracy", true, (said, 1.0, 0.0)),
        ("macro_recall", every, (said, 1.0, 0.0)),
        ("macro_precision", every, (called, 0.0, 1.0)),
        ("macro_f1", every, ((said + called) / 2, 0.5, 0.5)),
    ):
        bottom, by_truth, by_call = parts
        safe = np.where(bottom > 0, bottom, 1.0)
        each, weight = right / safe, weights / max(weights.sum(), 1)
        lost = weight * each / safe
        slope = -(by_truth * lost[:, None] + by_call * lost[None, :]) + np.diag(weight / safe)
        blocks = np.einsum("bij,ij->b", tables, slope)
        yield Score(name, float(each @ weight), blocks, tables.sum(axis=(1, 2)), float((whole * slope**2).sum()))
