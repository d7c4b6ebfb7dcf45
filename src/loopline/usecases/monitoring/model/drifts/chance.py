"""What each statistic of a column does by chance, for independent rows of the reference's own law. Imports numpy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.cells import cell_values, unpacked
from loopline.usecases.monitoring.model.drifts.statistics import Ranks, common, scores
from loopline.usecases.monitoring.model.profile import CategoricalColumn, NumericColumn, ProfiledColumn

Floats = NDArray[np.float64]
# Kolmogorov's law: the mean of K^2 is pi^2/12, of K^4 7 pi^4/720; its square is about chi-square with 3.3 degrees.
KS_SQUARE, KS_DEGREES = np.pi**2 / 12, 3.3
PIECES = 64


class Chance(NamedTuple):
    """A statistic's mean square in one row (divide by the rows), `degrees`: of the chi-square that its square is nearest
    to, `shape`: of the gamma law of the statistic itself (Wasserstein), `share`: what the reference's own share is, and
    `skew`: the skewness in one row."""

    square: float
    degrees: float = 1.0
    shape: float = 0.0
    share: float = 0.0
    curved: float = 0.0
    skew: float = 0.0


def chance(column: ProfiledColumn) -> dict[str, Chance]:
    """By statistic. Statistics of values (all but `missing`) count rows that have one."""
    missing = _of_share(column.missing / max(column.rows, 1))
    if isinstance(column, NumericColumn):
        return {"missing": missing} | _numeric(column)
    return {"missing": missing} | _categorical(column)


def _numeric(column: NumericColumn) -> dict[str, Chance]:
    cells, counts = unpacked(column.cells)
    if len(cells) == 0:
        return {}
    values = cell_values(cells, column.centre, column.scale)
    shares, ranked = counts / counts.sum(), Ranks(counts, values)
    reached = np.cumsum(shares)
    middles = reached - shares / 2
    return {
        "rank_mean": Chance(_variance(shares, middles)),
        "rank_spread": Chance(_variance(shares, scores(middles)), skew=_skew(shares, scores(middles))),
        "ks": Chance(KS_SQUARE, KS_DEGREES),
        "chi_square": _pearson(np.bincount(ranked.parts, weights=shares).astype(np.float64)),
        "wasserstein": _wasserstein(reached[:-1], np.diff(values)),
        "outside": _of_share(float(shares[ranked.ends].sum())),
    }


def _categorical(column: CategoricalColumn) -> dict[str, Chance]:
    counts = np.array([*column.values.values(), column.others], dtype=float)
    total = max(counts.sum(), 1.0)
    shares = counts / total
    variation = float(np.sqrt(2 / np.pi * shares * (1 - shares)).sum() / 2) ** 2
    return {
        "chi_square": _pearson(np.bincount(common(counts), weights=shares).astype(np.float64)),
        "total_variation": Chance(variation),
        "new": _of_share(float((counts[:-1] == 1).sum()) / total),
    }


def _of_share(share: float) -> Chance:
    return Chance(share * (1 - share), share=share)


def _variance(shares: Floats, values: Floats) -> float:
    mean = float(shares @ values)
    return float(shares @ np.square(values - mean))


def _skew(shares: Floats, values: Floats) -> float:
    away = values - float(shares @ values)
    variance = float(shares @ np.square(away))
    return float(shares @ away**3) / variance**1.5 if variance > 1e-12 else 0.0


def _pearson(shares: Floats) -> Chance:
    """Mean k - 1; the variance 2 (k - 1) + (sum 1/p - k^2 - 2k + 2) / n is Haldane's (1937): `curved` is the latter part."""
    shares = shares[shares > 0]
    k = len(shares)
    return Chance(float(max(k - 1, 1)), float(k - 1), curved=float((1 / shares).sum() - k * k - 2 * k + 2))


def _wasserstein(lower: Floats, width: Floats) -> Chance:
    """First two moments of the integral of the absolute Brownian bridge over the values: E|XY| of two normal variables
    with correlation r is 2/pi (sqrt(1 - r^2) + r asin r)."""
    weight = width * np.sqrt(np.maximum(lower * (1 - lower), 0))
    if not weight.sum() > 0:
        return Chance(0.0)
    place = np.minimum((np.cumsum(weight) / weight.sum() * PIECES).astype(np.int64), PIECES - 1)
    pieces = np.bincount(place, weights=weight, minlength=PIECES)
    at = np.bincount(place, weights=weight * lower, minlength=PIECES)[pieces > 0] / pieces[pieces > 0]
    pieces, at = pieces[pieces > 0], np.clip(at, 1e-9, 1 - 1e-9)
    low, high = np.minimum(at[:, None], at), np.maximum(at[:, None], at)
    together = np.sqrt(low * (1 - high) / (high * (1 - low)))
    first = np.sqrt(2 / np.pi) * pieces.sum()
    second = float(
        (np.outer(pieces, pieces) * 2 / np.pi * (np.sqrt(1 - together**2) + together * np.arcsin(together))).sum()
    )
    return Chance(second, 2.0, shape=float(first**2 / max(second - first**2, 1e-12 * second)))


def gamma_scale(entry: Chance) -> float:
    """The scale of the gamma law of the statistic in one row: its second moment is shape (shape + 1) scale^2."""
    return float(np.sqrt(entry.square / (entry.shape * (entry.shape + 1)))) if entry.shape > 0 else 0.0


def table(entries: list[Chance]) -> dict[str, Any]:
    """The fields of many as arrays."""
    return {name: np.array([getattr(entry, name) for entry in entries]) for name in Chance._fields}
