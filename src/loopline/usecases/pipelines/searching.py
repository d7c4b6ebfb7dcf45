"""Which points a hyper-parameter search tries next. `grid` and `random` are drawn here, `tpe` is Optuna's."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from loopline.core.errors import Invalid, Unavailable
from loopline.usecases.pipelines.model import Search

Point = dict[str, Any]
Told = Sequence[tuple[Point, float | None]]
HINT = 'Write (low, high), (low, high, "log") or a list of choices.'


class Range(msgspec.Struct, frozen=True):
    """Numbers from `low` to `high`, both included; whole numbers when both are. `log`: each power of ten counts alike."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Choices(msgspec.Struct, frozen=True):
    """One of some values."""

    values: tuple[Any, ...]

    def index(self, value: Any) -> int:
        """Where a value stands; 1, 1.0 and True are three values."""
        return next(n for n, one in enumerate(self.values) if type(one) is type(value) and one == value)


Axis = Range | Choices


def points(search: Search, told: Told) -> list[Point]:
    """The next trials' arguments, at most `width`; empty when there were `trials`, or no point of a grid is left.

    `told` holds the points tried so far in their order, each with the number that it gave (None or not finite: it
    failed). The same search and history give the same points. Raises Invalid for a space that cannot be, naming the
    argument, and Unavailable when Optuna is asked for and missing.
    """
    space = axes(search)
    count = min(search.width, search.trials - len(told))
    return SAMPLERS[search.sampler](search, space, told, count) if count > 0 else []


def summary(search: Search, told: Told) -> dict[str, Any]:
    """What a search found: {"best": the best point, "value": its number, "trials": [{"params", "value"}, …]}. Of equal
    ones the first is best; best and value are None when every trial failed."""
    better = min if search.direction == "minimize" else max
    best = better((one for one in told if _good(one[1])), key=lambda one: one[1] or 0.0, default=(None, None))
    trials = [{"params": dict(point), "value": value} for point, value in told]
    return {"best": best[0], "value": best[1], "trials": trials}


def axes(search: Search) -> dict[str, Axis]:
    """The space of a search, checked; Invalid names the argument whose space cannot be."""
    if search.sampler not in SAMPLERS:
        raise Invalid(f"A search's sampler cannot be {search.sampler!r}.", f"Write one of {', '.join(SAMPLERS)}.")
    if not search.space:
        raise Invalid("A search has no space.", "Give space={parameter: (low, high), …}.")
    found = {name: _axis(name, written) for name, written in search.space.items()}
    for name, axis in found.items():
        if search.sampler == "grid" and isinstance(axis, Range) and (axis.log or not axis.whole):
            raise Invalid(f"A grid has no steps for {name!r}.", "List its values, or take another sampler.")
    return found


def _axis(name: str, written: Any) -> Axis:
    if isinstance(written, Mapping) and set(written) == {"range"}:
        return _range(name, tuple(written["range"]))
    if isinstance(written, tuple):
        return _range(name, written)
    if not isinstance(written, list) or not written:
        raise Invalid(f"The space of {name!r} cannot be {str(written)[:60]!r}.", HINT)
    return Choices(tuple(written))


def _range(name: str, written: tuple[Any, ...]) -> Range:
    low, high, *log = written if len(written) in (2, 3) else (None, None)
    if log not in ([], ["log"]) or not _number(low) or not _number(high):
        raise Invalid(f"The space of {name!r} cannot be {str(written)[:60]!r}.", HINT)
    if low > high:
        raise Invalid(f"The space of {name!r} begins at {low} and ends at {high}.", "Write the lower one first.")
    if log and low <= 0:
        raise Invalid(f"The space of {name!r} begins at {low}: a logarithm needs more than 0.", 'Leave "log" away.')
    whole = isinstance(low, int) and isinstance(high, int)
    return Range(low, high, bool(log)) if whole else Range(float(low), float(high), bool(log))


def _number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= 2**53  # whole numbers that a float can tell apart
    return isinstance(value, float) and abs(value) <= 1e300


def _good(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _grid(search: Search, space: Mapping[str, Axis], told: Told, count: int) -> list[Point]:
    """Every point in order; when there are more than trials, a fair draw of them."""
    lists = [
        one.values if isinstance(one, Choices) else range(int(one.low), int(one.high) + 1) for one in space.values()
    ]
    size = math.prod(len(one) for one in lists)
    if size > search.trials:
        if size >= 2**63:
            raise Invalid(f"The grid has {size:.0e} points.", "Make it coarser, or take another sampler.")
        order: Sequence[int] = random.Random(search.seed).sample(range(size), search.trials)  # noqa: S311
    else:
        order = range(size)
    return [_nth(number, space, lists) for number in order[len(told) : len(told) + count]]


def _nth(number: int, space: Mapping[str, Axis], lists: Sequence[Sequence[Any]]) -> Point:
    point = {}
    for name, values in reversed(list(zip(space, lists, strict=True))):
        number, place = divmod(number, len(values))
        point[name] = values[place]
    return {name: point[name] for name in space}


def _random(search: Search, space: Mapping[str, Axis], told: Told, count: int) -> list[Point]:
    """Each point hangs on the seed and its number alone, so the width does not matter."""
    numbers = range(len(told), len(told) + count)
    draws = [random.Random(f"{search.seed}:{number}") for number in numbers]  # noqa: S311  (nothing secret)
    return [{name: _drawn(draw, axis) for name, axis in space.items()} for draw in draws]


def _drawn(draw: random.Random, axis: Axis) -> Any:
    if isinstance(axis, Choices):
        return draw.choice(axis.values)
    half = 0.5 if axis.whole else 0.0  # so that the ends of whole numbers are drawn as often as what lies between
    low, high = (math.log(axis.low - half), math.log(axis.high + half)) if axis.log else (axis.low, axis.high)
    found = math.exp(draw.uniform(low, high)) if axis.log else draw.uniform(low, high)
    return min(max(round(found) if axis.whole else found, axis.low), axis.high)


def _tpe(search: Search, space: Mapping[str, Axis], told: Told, count: int) -> list[Point]:
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), in a study made anew from the history; trials
    of one round count as bad ones for each other, so that they spread."""
    try:
        import optuna
    except ImportError:
        raise Unavailable(
            "A search by tpe needs Optuna.", "`pip install 'loopline[search]'`, or take sampler=\"random\"."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ranges = {name: _distribution(axis) for name, axis in space.items()}
    seed = int.from_bytes(blake2b(f"{search.seed}:{len(told)}".encode(), digest_size=4).digest())
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(sampler=sampler, direction=search.direction)
    study.add_trials([_trial(space, ranges, point, value) for point, value in told])
    asked = [study.ask(ranges).params for _ in range(count)]
    return [{name: _meant(axis, found[name]) for name, axis in space.items()} for found in asked]


def _distribution(axis: Axis) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, Choices):
        return CategoricalDistribution(range(len(axis.values)))  # any value may be a choice: Optuna sees its place
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _trial(space: Mapping[str, Axis], ranges: Mapping[str, Any], point: Point, value: float | None) -> Any:
    from optuna.trial import TrialState, create_trial

    params = {
        name: axis.index(point[name]) if isinstance(axis, Choices) else point[name] for name, axis in space.items()
    }
    state = TrialState.COMPLETE if _good(value) else TrialState.FAIL
    return create_trial(state=state, value=value if _good(value) else None, params=params, distributions=dict(ranges))


def _meant(axis: Axis, found: Any) -> Any:
    return axis.values[found] if isinstance(axis, Choices) else found


SAMPLERS: Mapping[str, Callable[[Search, Mapping[str, Axis], Told, int], list[Point]]] = {
    "tpe": _tpe,
    "random": _random,
    "grid": _grid,
}
