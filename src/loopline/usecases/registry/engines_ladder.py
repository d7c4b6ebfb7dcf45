"""The ladder: every way to run a model is compared with the library itself, and the quickest that agrees is taken."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopline.ports.runtime import LoadedModel
from loopline.usecases.registry.engines_model import PLAIN, SIZES
from loopline.usecases.registry.engines_rows import Columns, rows_of, some

SMALLEST = 1e-3  # differences of smaller numbers are taken relative to this
MEASURE_S = 0.025
_TWICE = 4.0  # as a product over both sizes
_MEANT = (1, 32)  # rows for which a rung must be quicker than the library


@dataclass(frozen=True)
class Rung:
    """A way to run the model, loaded; `content` is what an engine keeps of it."""

    name: str
    model: LoadedModel
    tolerance: float = 0.0
    content: bytes | None = None


@dataclass(frozen=True)
class Outcome:
    """What was taken, how far from the library it is, how long each took, and why others were not taken."""

    rung: Rung
    difference: float
    rows: int
    timings: dict[str, list[float]]
    fallen: dict[str, str]


def climbed(
    rungs: Sequence[Rung],
    plain: LoadedModel,
    batches: Sequence[Columns],
    fallen: Mapping[str, str],
    real: bool = False,
) -> Outcome:
    """The quickest of `rungs` that answers as `plain` does on all `batches`, or `plain`. `real`: the first batch
    holds rows that the model was made for."""
    library = Rung(PLAIN, plain)
    expected = [answers(plain, batch) for batch in batches]
    why, timings, differences = dict(fallen), {PLAIN: timed(plain, batches[0])}, {PLAIN: 0.0}
    agreeing = []
    if (
        real and None in expected[0]
    ):  # whoever serves it must see it fail on these rows, and not take a quicker way past them
        why |= {rung.name: "its library refuses some of its own rows" for rung in rungs}
        rungs = ()
    for rung in rungs:
        difference, reason = compared(rung, batches, expected)
        if reason:
            why[rung.name] = reason
            continue
        timings[rung.name], differences[rung.name] = timed(rung.model, batches[0]), difference
        slower = [size for size in _MEANT if _took(timings, rung.name, size) >= _took(timings, PLAIN, size)]
        if slower:
            why[rung.name] = f"not quicker than the library for {' and '.join(map(str, slower))} rows"
            continue
        agreeing.append(rung)
    best = _best([*agreeing, library], timings)
    for rung in agreeing:
        if rung is not best:
            why[rung.name] = f"{best.name} is quicker, or closer and not much slower"
    return Outcome(best, differences[best.name], sum(map(rows_of, batches)), timings, why)


def _best(rungs: Sequence[Rung], timings: Mapping[str, list[float]]) -> Rung:
    """The quickest; or an engine that is held to less difference and takes at most twice as long."""

    def product(rung: Rung) -> float:
        return math.prod(_took(timings, rung.name, size) for size in _MEANT)

    quickest = min(rungs, key=product)
    near = [rung for rung in rungs if rung.content is not None and product(rung) <= _TWICE * product(quickest)]
    return min(near, key=lambda rung: (rung.tolerance, product(rung))) if near else quickest


def _took(timings: Mapping[str, list[float]], name: str, size: int) -> float:
    return timings[name][SIZES.index(size)]


def answers(model: LoadedModel, columns: Columns) -> list[Any]:
    """A value for each row, or None where the model refuses the row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _some(model, columns, 0, rows_of(columns))


def _some(model: LoadedModel, columns: Columns, start: int, stop: int) -> list[Any]:
    try:
        found = model.predict({name: values[start:stop] for name, values in columns.items()})
        return [float(one) if isinstance(one, bool | int | float) else one for one in found.tolist()]
    except Exception:  # whatever a model raises is its answer to a row
        if stop - start == 1:
            return [None]
    middle = (start + stop) // 2
    return [*_some(model, columns, start, middle), *_some(model, columns, middle, stop)]


def compared(rung: Rung, batches: Sequence[Columns], expected: Sequence[list[Any]]) -> tuple[float, str]:
    """The largest difference, and what speaks against the rung ("" for nothing)."""
    largest = 0.0
    for batch, wanted in zip(batches, expected, strict=True):
        for found in (answers(rung.model, batch), _one_by_one(rung.model, batch)):
            for row, (got, want) in enumerate(zip(found, wanted, strict=False)):
                difference = _difference(got, want)
                if difference is None or difference > rung.tolerance:
                    return largest, f"row {row}: {_shown(got)} where the library says {_shown(want)}"
                largest = max(largest, difference)
    return largest, ""


def _one_by_one(model: LoadedModel, batch: Columns) -> list[Any]:
    """The first rows, each asked alone: sums of few rows may be taken in another way."""
    few = min(8, rows_of(batch))
    return [
        one
        for row in range(few)
        for one in answers(model, {name: value[row : row + 1] for name, value in batch.items()})
    ]


def _difference(got: Any, want: Any) -> float | None:
    """0 for equal ones, None for what cannot be compared."""
    if got == want or (isinstance(got, float) and isinstance(want, float) and math.isnan(got) and math.isnan(want)):
        return 0.0
    if not isinstance(got, float) or not isinstance(want, float) or not math.isfinite(got - want):
        return None
    return abs(got - want) / max(SMALLEST, abs(want))


def _shown(value: Any) -> str:
    return "nothing (it refuses the row)" if value is None else repr(value)[:60]


def timed(model: LoadedModel, columns: Columns) -> list[float]:
    """Microseconds for batches of `SIZES` rows: the smallest of several, since others use this machine too."""
    return [round(_quickest(model, some(columns, size)) * 1e6, 1) for size in SIZES]


def _quickest(model: LoadedModel, columns: Columns) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best, until = math.inf, time.perf_counter() + MEASURE_S
        for _ in range(2000):
            began = time.perf_counter()
            answers_once(model, columns)
            ended = time.perf_counter()
            best = min(best, ended - began)
            if ended > until:
                break
    return best


def answers_once(model: LoadedModel, columns: Columns) -> None:
    """One prediction, whatever comes of it."""
    try:
        model.predict(columns)
    except Exception:  # a row that the model refuses takes its time too
        return
