"""Measuring versions side by side: the same held-out rows, the same process, one after the other.

Imports numpy: import this module only where models may be loaded.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import LooplineError
from loopline.core.times import from_ms
from loopline.kit.scores import influences, standard_error
from loopline.usecases.promotion.gating import label_of, trained_on
from loopline.usecases.promotion.model import Evidence, GateConfig, SliceRule, comparison
from loopline.usecases.promotion.model.sides import Bin, Calibration, Score, Side, Sides, Slice
from loopline.usecases.promotion.needs import Registry, Version

if TYPE_CHECKING:
    import pyarrow as pa

TENTHS = 10
MOST_COLUMNS, MOST_VALUES, LEAST_ROWS = 5, 20, 30
LATENCY_ROWS = (1, 1000)
OF_CLASSES, OF_NUMBERS = ("auc", "log_loss", "brier", "accuracy"), ("mae", "mse")
Floats = NDArray[np.float64]


def measured(
    registry: Registry, versions: Sequence[Version], source: Version, columns: Sequence[str], at: str
) -> Sides:
    """All versions on the held-out rows of `source`. What one of them cannot do is said in its side, never raised;
    NotFound and Invalid when there are no such rows or their label cannot be told."""
    table = registry.evaluation(source.model, source.version)
    label = label_of(source, table)
    names = sliced_by(table, label, source, columns)
    rows = comparison.held_out(table, label, GateConfig(slices=tuple(SliceRule(column=name) for name in names)))
    classes = bool(len(rows)) and bool(np.isin(rows.truth, (0.0, 1.0)).all())
    metrics = OF_CLASSES if classes else OF_NUMBERS
    answers = [_answers(registry, version, rows) for version in versions]
    times = rows.times_ms if rows.times_ms is not None and len(rows) else None
    sides = [_side(registry, version, rows, found, metrics) for version, found in zip(versions, answers, strict=True)]
    return Sides(
        model=source.model,
        versions=tuple(version.version for version in versions),
        held_out_of=source.version,
        label=label,
        rows=len(rows),
        positives=int(rows.truth.sum()) if classes else 0,
        held_out_from="" if times is None else from_ms(int(times.min())),
        held_out_until="" if times is None else from_ms(int(times.max())),
        metrics=metrics,
        sides=tuple(sides),
        slices=tuple(_slices(metrics[0], rows, names, answers)),
        measured_at=at,
        measured_on=f"{platform.machine()}, Python {platform.python_version()}",
    )


def sliced_by(table: pa.Table, label: str, source: Version, columns: Sequence[str]) -> list[str]:
    """The columns to slice by: those that a gate names, then those of texts and truth values with few values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = [name for name in columns if name in table.column_names]
    for field in table.schema:
        few = pa.types.is_string(field.type) or pa.types.is_large_string(field.type) or pa.types.is_boolean(field.type)
        if few and field.name not in (label, "event_time", *found) and len(found) < MOST_COLUMNS:
            found += [field.name] * (1 < pc.count_distinct(table[field.name]).as_py() <= MOST_VALUES)
    return found[:MOST_COLUMNS]


def calibration(truth: Floats, predicted: Floats) -> Calibration | None:
    """The reliability of n probabilities of class 1 against n truths of 0 and 1; None where they are no probabilities."""
    if len(truth) == 0 or predicted.min() < 0 or predicted.max() > 1:
        return None
    places = np.minimum((predicted * TENTHS).astype(np.int64), TENTHS - 1)
    counts = np.bincount(places, minlength=TENTHS)
    means = np.bincount(places, weights=predicted, minlength=TENTHS) / np.maximum(counts, 1)
    shares = np.bincount(places, weights=truth, minlength=TENTHS) / np.maximum(counts, 1)
    bins = tuple(
        Bin(place / TENTHS, int(counts[place]), float(means[place]), float(shares[place]))
        for place in range(TENTHS)
        if counts[place]
    )
    return Calibration(float((counts * np.abs(means - shares)).sum() / len(truth)), bins)


def _answers(registry: Registry, version: Version, rows: comparison.HeldOut) -> tuple[Any, Floats] | str:
    """The model with its n predictions, or why there are none."""
    if not len(rows):
        return "no held-out row has a label"
    try:
        model = registry.load(version.model, version.version)
        return model, comparison.predicted(model, version.signature, rows.table)
    except LooplineError as error:
        return str(error)
    except Exception as error:  # a model may fail on rows that it was not made for, in any way
        return f"It cannot predict these rows: {type(error).__name__}: {error}."[:300]


def _side(
    registry: Registry,
    version: Version,
    rows: comparison.HeldOut,
    found: tuple[Any, Floats] | str,
    metrics: Sequence[str],
) -> Side:
    if isinstance(found, str):
        return Side(version=version.version, problem=found)
    model, predicted = found
    probable = bool(predicted.min() >= 0 and predicted.max() <= 1)
    usable = [name for name in metrics if name in ("auc", *OF_NUMBERS) or probable]
    return Side(
        version=version.version,
        scores={name: _score(name, rows, predicted) for name in usable},
        calibration=calibration(rows.truth, predicted) if metrics is OF_CLASSES else None,
        latency=tuple(
            comparison.latency(model, version.signature, rows.table, size) for size in LATENCY_ROWS if size <= len(rows)
        ),
        notes=_notes(version, rows, probable or metrics is OF_NUMBERS),
    )


def _notes(version: Version, rows: comparison.HeldOut, probable: bool) -> tuple[str, ...]:
    evidence = comparison.with_rows(Evidence(metric="auc", challenger=version.version, champion=None), rows)
    seen = trained_on(version, evidence)
    notes = [f"{seen}: it has seen these rows" if seen else "", "" if probable else "its answers are no probabilities"]
    return tuple(note for note in notes if note)


def _score(metric: str, rows: comparison.HeldOut, predicted: Floats) -> Score:
    value, influence = influences(metric, rows.truth, predicted)
    if value != value:
        return Score(None)
    error, degrees = standard_error(influence, rows.blocks, rows.times_ms is not None)
    return Score(value, error if degrees and error == error else None)


def _slices(
    metric: str, rows: comparison.HeldOut, names: Sequence[str], answers: Sequence[tuple[Any, Floats] | str]
) -> list[Slice]:
    found = []
    for name in names:
        values, counts = np.unique(rows.slices[name], return_counts=True)
        for place in np.argsort(-counts, kind="stable")[:MOST_VALUES]:
            where = rows.slices[name] == values[place]
            scores = tuple(_part(metric, rows.truth, where, one) for one in answers)
            found.append(Slice(column=name, value=str(values[place]), rows=int(counts[place]), scores=scores))
    return found


def _part(metric: str, truth: Floats, where: NDArray[Any], found: tuple[Any, Floats] | str) -> float | None:
    if isinstance(found, str) or int(where.sum()) < LEAST_ROWS:
        return None
    value = influences(metric, truth[where], found[1][where])[0]
    return None if value != value else value
