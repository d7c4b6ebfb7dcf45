"""How a model treats protected groups, by fairlearn's definitions, with intervals. Imports numpy.

Selection rate: the share called positive, of all predictions. True and false positive rate, accuracy and precision: of those with
truth. Demographic parity compares selection rates; equal opportunity true positive rates; equalized odds the worse of true and
false positive rates. A difference is the largest rate less the smallest, a ratio the smallest over the largest (Bird et al.,
"Fairlearn", 2020; Hardt, Price and Srebro, "Equality of opportunity in supervised learning", 2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.quality.results import Disparity, Estimate, FairnessOf, Group
from loopline.usecases.monitoring.model.quality.scoring import LEAST_BLOCKS, Score, error_of, reach
from loopline.usecases.monitoring.model.tallies import Tally, of_one_kind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 50
Counts = Callable[[Tally], tuple[float, float, float]]
DIFFERENCES = {
    "demographic_parity_difference": ("selection_rate",),
    "equal_opportunity_difference": ("true_positive_rate",),
    "equalized_odds_difference": ("true_positive_rate", "false_positive_rate"),
    "accuracy_difference": ("accuracy",),
    "mean_absolute_error_difference": ("mean_absolute_error",),
}
RATIOS = {
    "demographic_parity_ratio": ("selection_rate",),
    "equal_opportunity_ratio": ("true_positive_rate",),
    "equalized_odds_ratio": ("true_positive_rate", "false_positive_rate"),
}


@np.errstate(all="ignore")
def fairness(
    column: str, groups: Mapping[str, Mapping[int, Tally]], confidence: float = 0.95, least: int = LEAST
) -> FairnessOf:
    """Rates of each group and how far groups are apart. `groups`: by value the tallies by start of bucket.

    Intervals are from days as blocks (a day's groups move together) when there are five, else from rows. That of a difference or
    ratio holds for all pairs of groups at once (Bonferroni), because which two are farthest apart was not chosen beforehand. A
    rate over fewer than `least` rows is marked, and not compared.
    """
    groups = _of_one_kind(groups)
    starts = sorted({start for tallies in groups.values() for start in tallies})
    rates = {value: dict(_rates(tallies, starts)) for value, tallies in groups.items()}
    days = np.array(starts, dtype=np.int64) // DAY_MS
    told = [_group(value, groups[value], rates[value], days, confidence, least) for value in sorted(groups)]
    found = [_difference(name, measures, rates, days, confidence, least) for name, measures in DIFFERENCES.items()]
    found += [_ratio(name, measures, rates, days, confidence, least) for name, measures in RATIOS.items()]
    known = {name for of_group in rates.values() for name in of_group}
    asked = DIFFERENCES | RATIOS
    return FairnessOf(
        column=column, groups=told, disparities=[one for one in found if known.issuperset(asked[one.name])]
    )


def _of_one_kind(groups: Mapping[str, Mapping[int, Tally]]) -> dict[str, dict[int, Tally]]:
    """All groups are of one model: whether it predicts 0 and 1 is asked of them together."""
    whole = iter(of_one_kind([tally for tallies in groups.values() for tally in tallies.values()]))
    return {value: {start: next(whole) for start in tallies} for value, tallies in groups.items()}


def _rates(tallies: Mapping[int, Tally], starts: Sequence[int]) -> Iterator[tuple[str, Score]]:
    """Each measure that the group's tallies tell, over all buckets of `starts`."""
    buckets = [tallies.get(start) for start in starts]
    for name, counts in _MEASURES.items():
        told = np.array([(0.0, 0.0, 0.0) if one is None else counts(one) for one in buckets])
        tops, units, squares = told.sum(axis=0)
        if units:
            value = float(tops / units)
            spread = max(float(squares - units * value * value), 0.0)
            if name in _SHARES and (not tops or tops == units):
                # Nothing varied: as if two of each kind had been seen besides (Agresti and Coull, 1998).
                near = (tops + 2) / (units + 4)
                spread = max(spread, units**2 * float(near * (1 - near)) / (units + 4))
            blocks = (told[:, 0] - value * told[:, 1]) / units
            yield name, Score(name, value, blocks, told[:, 1], spread / units**2)


def _selection(one: Tally) -> tuple[float, float, float]:
    return float(one.called), float(one.numbered), float(one.called)


def _of_confusion(tops: Sequence[str], units: Sequence[str]) -> Counts:
    def counts(one: Tally) -> tuple[float, float, float]:
        if one.binary is None:
            return 0.0, 0.0, 0.0
        top = float(sum(getattr(one.binary, name) for name in tops))
        return top, float(sum(getattr(one.binary, name) for name in units)), top

    return counts


def _right(one: Tally) -> tuple[float, float, float]:
    if one.classes is not None:
        return float(one.classes.correct), float(one.classes.count), float(one.classes.correct)
    return _of_confusion(("true_positive", "true_negative"), _ALL)(one)


def _absolute(one: Tally) -> tuple[float, float, float]:
    if one.numbers is None or not one.numbers.other:
        return 0.0, 0.0, 0.0
    return one.numbers.absolute, float(one.numbers.count), one.numbers.squared


_ALL = ("true_positive", "false_positive", "true_negative", "false_negative")
_SHARES = frozenset(("selection_rate", "true_positive_rate", "false_positive_rate", "accuracy", "precision"))
_MEASURES: dict[str, Counts] = {
    "selection_rate": _selection,
    "true_positive_rate": _of_confusion(("true_positive",), ("true_positive", "false_negative")),
    "false_positive_rate": _of_confusion(("false_positive",), ("false_positive", "true_negative")),
    "accuracy": _right,
    "precision": _of_confusion(("true_positive",), ("true_positive", "false_positive")),
    "mean_absolute_error": _absolute,
}


def _group(
    value: str, tallies: Mapping[int, Tally], rates: Mapping[str, Score], days: Ints, confidence: float, least: int
) -> Group:  # fmt: skip
    told = {}
    for name, score in rates.items():
        error, degrees, _ = _error(score, days)
        times = reach(confidence, degrees) if degrees else math.nan
        told[name] = _estimate(score.value, times * error, 1.0 if name in _SHARES else math.inf)
    return Group(
        value=value,
        predictions=sum(one.rows for one in tallies.values()),
        labelled=sum(one.labelled for one in tallies.values()),
        rates=told,
        few=tuple(name for name, score in rates.items() if score.counts.sum() < least),
    )


def _estimate(value: float, reached: float, most: float) -> Estimate:
    if not math.isfinite(reached):
        return Estimate(value=value)
    return Estimate(value=value, low=max(value - reached, 0.0), high=min(value + reached, most))


def _error(score: Score, days: Ints) -> tuple[float, int, int]:
    """As `error_of`; where no day differs from another, from the rows."""
    error, degrees, blocks = error_of(score, days)
    if error > 0 or not blocks:
        return error, degrees, blocks
    units = int(score.counts.sum())
    return math.sqrt(score.squares), max(units - 1, 1), 0


def _difference(
    name: str, measures: Sequence[str], rates: Mapping[str, Mapping[str, Score]], days: Ints, confidence: float, least: int
) -> Disparity:  # fmt: skip
    """The largest difference of two groups in any of the measures."""
    pairs = list(_pairs(measures, rates, least))
    found = [
        (one.value - other.value, *_span(one, other, one.value - other.value, days, confidence, len(pairs)), a, b)
        for a, one, b, other in pairs
    ]
    if not found:
        return Disparity(name=name)
    value, _, _, largest, smallest = max(found, key=lambda each: each[0])
    low, high = max(each[1] for each in found), max(each[2] for each in found)
    return _disparity(name, value, max(low, 0.0), high, largest, smallest)


def _ratio(
    name: str, measures: Sequence[str], rates: Mapping[str, Mapping[str, Score]], days: Ints, confidence: float, least: int
) -> Disparity:  # fmt: skip
    """The smallest ratio of two groups in any of the measures; intervals on the logarithm."""
    pairs = [pair for pair in _pairs(measures, rates, least) if pair[1].value > 0]
    found = []
    for a, one, b, other in pairs:
        if other.value > 0:
            middle = math.log(other.value / one.value)
            scaled = [_scaled(score, 1 / score.value) for score in (other, one)]
            low, high = _span(scaled[0], scaled[1], middle, days, confidence, len(pairs))
            found.append((math.exp(middle), math.exp(low), math.exp(high), a, b))
        else:
            reached = _span(other, one, 0.0, days, confidence, len(pairs))[1] / one.value
            found.append((0.0, 0.0, reached, a, b))
    if not found:
        return Disparity(name=name)
    value, _, _, largest, smallest = min(found, key=lambda each: each[0])
    low, high = min(each[1] for each in found), min(each[2] for each in found)
    return _disparity(name, value, low, min(high, 1.0), largest, smallest)


def _disparity(name: str, value: float, low: float, high: float, largest: str, smallest: str) -> Disparity:
    known = math.isfinite(low) and math.isfinite(high)
    return Disparity(
        name=name,
        value=value,
        low=low if known else None,
        high=high if known else None,
        largest=largest,
        smallest=smallest,
    )


def _pairs(
    measures: Sequence[str], rates: Mapping[str, Mapping[str, Score]], least: int
) -> Iterator[tuple[str, Score, str, Score]]:
    """Each two groups with rows enough, the one with the larger rate first, in each measure."""
    for measure in measures:
        there = [(rates[value][measure], value) for value in sorted(rates) if measure in rates[value]]
        enough = sorted((pair for pair in there if pair[0].counts.sum() >= least), key=lambda pair: -pair[0].value)
        for place, (one, a) in enumerate(enough):
            for other, b in enough[place + 1 :]:
                yield a, one, b, other


def _span(
    one: Score, other: Score, middle: float, days: Ints, confidence: float, pairs: int
) -> tuple[float, float]:  # fmt: skip
    """The interval of one less other that holds for so many pairs at once. Over days both are taken together."""
    within = 1 - (1 - confidence) / max(pairs, 1)
    counts = one.counts + other.counts
    joint = Score("", middle, one.blocks - other.blocks, counts, one.squares + other.squares)
    shared = np.unique(days[(one.counts > 0) & (other.counts > 0)])
    error, degrees, _ = _error(joint, days)
    if len(shared) < LEAST_BLOCKS:
        error, degrees = math.sqrt(joint.squares), int(min(one.counts.sum(), other.counts.sum())) - 1
    if not degrees or not math.isfinite(error):
        return -math.inf, math.inf
    reached = reach(within, degrees) * error
    return middle - reached, middle + reached


def _scaled(score: Score, factor: float) -> Score:
    return Score(score.name, score.value, score.blocks * factor, score.counts, score.squares * factor * factor)
