"""Which features moved, and how much the model goes by them. Imports numpy.

How far a feature moved is the total variation between its values then and now (in the bins of `rows.coded`), less what it
reaches in 95 % of the cases when the blocks of time are given to the windows by chance. How much the model goes by it
is taken from logged explanations (mean absolute contribution), else from a copy of the model: predictions as a sum of one
function per feature, fitted to the rows then by backfitting (Hastie and Tibshirani, Generalized Additive Models, 1990),
where it is the spread of the feature's function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from loopline.usecases.monitoring.model.blame.rows import Coded, Flags, Floats, Ints

PERMUTATIONS = 39
ROUNDS = 8
SHRINK = 20.0  # a bin of so many rows is believed by half
LEAST_USE = 0.01
CLEARLY, LEAST_MOVE = 1.25, 0.01


class Moved(NamedTuple):
    """Total variation between then and now (0 to 1), and what chance makes of it."""

    distance: float
    usual: float

    @property
    def excess(self) -> float:
        """Beyond chance; what hardly exceeds it counts as nothing, for there are many features."""
        return self.distance - self.usual if self.distance > CLEARLY * self.usual + LEAST_MOVE else 0.0


def moved(column: Coded, block: Ints, now: Flags, seed: int = 0) -> Moved:
    """How far the values of one column moved."""
    blocks, width = int(block.max()) + 1, len(column.names)
    table = np.bincount(block * width + column.codes, minlength=blocks * width).reshape(blocks, width).astype(float)
    sides = np.zeros(blocks, dtype=bool)
    sides[block[now]] = True
    rng = np.random.default_rng(seed)
    chance = [_distance(table, rng.permutation(sides)) for _ in range(PERMUTATIONS)]
    return Moved(_distance(table, sides), float(np.quantile(chance, 0.95)))


def _distance(table: Floats, now: Flags) -> float:
    after, before = table[now].sum(axis=0), table[~now].sum(axis=0)
    return float(np.abs(after / max(after.sum(), 1) - before / max(before.sum(), 1)).sum() / 2)


def explained_use(column: Any) -> dict[str, float]:
    """Mean absolute contribution of each input, from a log column of maps; {} where no row was explained."""
    import pyarrow as pa

    combined = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if not pa.types.is_map(combined.type) or combined.null_count == len(combined):
        return {}
    kept = combined.drop_null()
    names, values = kept.keys, np.abs(np.asarray(kept.items.to_numpy(zero_copy_only=False), dtype=float))
    encoded = names.dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    totals = np.bincount(codes, weights=np.nan_to_num(values), minlength=len(encoded.dictionary))
    return dict(zip(encoded.dictionary.to_pylist(), (totals / len(kept)).tolist(), strict=True))


def copied_use(predicted: Floats, columns: Sequence[Coded], then: Flags) -> tuple[dict[str, float], float]:
    """(spread of each feature's function, share of the predictions' variance that the copy explains)."""
    chosen = then & np.isfinite(predicted)
    target = _scale(predicted[chosen])
    if len(target) < 50 or target.std() < 1e-12:
        return {}, 0.0
    codes = [column.codes[chosen] for column in columns]
    functions = [np.zeros(len(column.names)) for column in columns]
    left = target - target.mean()
    for _ in range(ROUNDS):
        for at, place in enumerate(codes):
            partial = left + functions[at][place]
            functions[at] = _means(place, partial, len(functions[at]))
            left = partial - functions[at][place]
    spread = {column.name: float(f[place].std()) for column, f, place in zip(columns, functions, codes, strict=True)}
    return spread, max(0.0, 1 - float(left.var() / target.var()))


def _means(codes: Ints, values: Floats, count: int) -> Floats:
    rows = np.bincount(codes, minlength=count)
    found = np.bincount(codes, weights=values, minlength=count) / (rows + SHRINK)
    return np.asarray(found - (found * rows).sum() / max(rows.sum(), 1))


def _scale(predicted: Floats) -> Floats:
    """Probabilities as log odds, where effects add up; other numbers as they are."""
    if predicted.size and predicted.min() >= 0 and predicted.max() <= 1:
        sure = np.clip(predicted, 1e-4, 1 - 1e-4)
        return np.asarray(np.log(sure / (1 - sure)))
    return predicted


def weights(found: Mapping[str, Moved], use: Mapping[str, float]) -> dict[str, float]:
    """Excess times use, as shares of their sum (all 0 where nothing moved). A feature whose use is unknown, or next to
    none, counts with LEAST_USE of the whole: the copy may have overlooked it."""
    whole = sum(use.values()) or 1.0
    raw = {name: one.excess * max(use.get(name, 0.0) / whole, LEAST_USE) for name, one in found.items()}
    total = sum(raw.values())
    return {name: value / total if total else 0.0 for name, value in raw.items()}


def told(name: str, column: Any, now: Flags, chosen: Flags | None = None) -> str:
    """How a column moved, in plain words: its median, its missing share, or the value whose share changed most."""
    import pyarrow as pa

    rows = np.ones(len(now), dtype=bool) if chosen is None else chosen
    sides = [rows & ~now, rows & now]
    if not all(side.any() for side in sides):
        return ""
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        values = np.asarray(column.cast("float64", safe=False).to_numpy(zero_copy_only=False), dtype=float)
        return _numbers(name, values, sides)
    return _texts(name, column.cast("string"), sides)


def _numbers(name: str, values: Floats, sides: list[Flags]) -> str:
    lost = [float(np.isnan(values[side]).mean()) for side in sides]
    if abs(lost[1] - lost[0]) >= 0.02:
        return f"{name} is missing in {100 * lost[1]:.0f} % of rows (was {100 * lost[0]:.0f} %)"
    middles = [float(np.nanmedian(values[side])) if np.isfinite(values[side]).any() else np.nan for side in sides]
    change = middles[1] - middles[0]
    if change == 0 or not np.isfinite(change):
        means = [float(np.nanmean(values[side])) if np.isfinite(values[side]).any() else np.nan for side in sides]
        return f"the mean of {name} went from {means[0]:.4g} to {means[1]:.4g}"
    return f"the median of {name} moved by {change:+.4g} ({middles[0]:.4g} to {middles[1]:.4g})"


def _texts(name: str, column: Any, sides: list[Flags]) -> str:
    combined = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    encoded = combined.dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    names = [*encoded.dictionary.to_pylist(), None]
    shares = [
        np.bincount(np.where(codes[s] < 0, len(names) - 1, codes[s]), minlength=len(names)) / s.sum() for s in sides
    ]
    most = int(np.argmax(np.abs(shares[1] - shares[0])))
    value = "a missing value" if names[most] is None else repr(names[most])
    return f"{name} is {value} in {100 * shares[1][most]:.0f} % of rows (was {100 * shares[0][most]:.0f} %)"
