"""All inputs at once: can a model tell rows now from rows then? Imports numpy.

A ridge logistic regression (Newton's method) on ranks, their distance from the middle, missing values and the commonest texts,
cross-fitted in five parts: each row is scored by a model that has not seen it (Lopez-Paz, Oquab, "Revisiting classifier
two-sample tests", 2017). Its AUC is 1/2 where nothing tells them apart. What is normal comes from the reference's own
windows, each told from all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopline.core.tables import Signature
from loopline.kit.scores import influences
from loopline.kit.tails import f_tail, normal_above
from loopline.usecases.monitoring.model.arrays import floats_of
from loopline.usecases.monitoring.model.drifts.reports import MULTIVARIATE, ColumnDrift

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
PARTS, TURNS, RIDGE, COMMONEST = 5, 8, 5.0, 12
LEAST_WINDOWS, LEAST_ROWS, NAMED = 4, 50, 3


class Told(NamedTuple):
    """An AUC with its standard error, and what each column adds to the model's score (standard deviations)."""

    auc: float
    error: float
    weight: dict[str, float]


def classified(then: Sequence[pa.Table], now: pa.Table, signature: Signature) -> ColumnDrift | None:
    """`then` are samples of the reference's windows. None for fewer than four of them, or too few rows."""
    parts = [table for table in then if len(table) >= LEAST_ROWS]
    if len(parts) < LEAST_WINDOWS or len(now) < LEAST_ROWS:
        return None
    values, owners = features([*parts, now], signature)
    which = np.repeat(np.arange(len(parts) + 1), [len(table) for table in (*parts, now)])
    here = told(values, owners, which == len(parts))
    before = which < len(parts)
    usual = [told(values[before], owners, which[before] == place) for place in range(len(parts))]
    p_value = unusual(here, usual)
    names = sorted(here.weight, key=lambda name: -here.weight[name])[:NAMED]
    low, high = max(here.auc - 1.96 * here.error, 0.0), min(here.auc + 1.96 * here.error, 1.0)
    span = f"{min(one.auc for one in usual):.2f} to {max(one.auc for one in usual):.2f}"
    change = (
        f"a model tells these rows with AUC {here.auc:.2f} ({low:.2f} to {high:.2f}), windows of the reference {span}"
    )
    return ColumnDrift(
        name=MULTIVARIATE, kind="rows", type="rows", statistics={"auc": round(here.auc, 6)}, strongest="auc",
        times_usual=None, change=f"{change}; by {', '.join(names)}", missing_then=0.0, missing_now=0.0, bins=[],
        shares_then=[], shares_now=[], p_value=p_value, p_values={"auc": float(f"{p_value:.6g}")},
        effect=here.auc - 0.5, unit="AUC", direction="other rows",
    )  # fmt: skip


def unusual(here: Told, usual: Sequence[Told]) -> float:
    """The largest of three p-values, as for columns: rows alone, what windows of the reference differ by (Student), and
    beyond all of them no faster than the power sqrt(K)."""
    count, far = len(usual), here.auc - 0.5
    away, errors = np.array([one.auc for one in usual]) - 0.5, np.array([one.error for one in usual])
    between = max(float((np.square(away) - np.square(errors)).mean()), 0.0)
    spread = between * (1 + 1 / count) + here.error**2
    if far <= 0 or spread <= 0:
        return 1.0
    student = float(f_tail(far**2 / spread, 1.0, float(count - 1))) / 2
    beyond = int((away >= far).sum())
    tail = (max(float(away.max()), here.error) / far) ** min(6.0, np.sqrt(count)) / (count + 1)
    extremes = beyond / (count + 1) if beyond else min(float(tail), 1.0)
    return max(float(normal_above(far / max(here.error, 1e-9))), student, extremes)


def told(values: Floats, owners: Sequence[str], now: NDArray[np.bool_]) -> Told:
    """How well the marked rows are told from the others."""
    order = np.random.default_rng(0).permutation(len(now))
    fold = np.empty(len(now), dtype=np.int64)
    fold[order] = np.arange(len(now)) % PARTS
    scores, weight = np.zeros(len(now)), np.zeros(values.shape[1])
    for part in range(PARTS):
        found = fitted(values[fold != part], now[fold != part])
        scores[fold == part] = values[fold == part] @ found
        weight += np.abs(found) * values.std(axis=0) / PARTS
    auc, influence = influences("auc", now.astype(float), scores)
    by = dict.fromkeys(owners, 0.0)
    for owner, size in zip(owners, weight, strict=True):
        by[owner] += float(size)
    return Told(auc, float(np.sqrt(np.square(influence).sum())), by)


def fitted(values: Floats, now: NDArray[np.bool_]) -> Floats:
    """Weights of the regression; both sides count the same."""
    share = np.where(now, 0.5 / max(now.mean(), 1e-9), 0.5 / max(1 - now.mean(), 1e-9))
    weights = np.zeros(values.shape[1])
    for _ in range(TURNS):
        chance = 1 / (1 + np.exp(-np.clip(values @ weights, -30, 30)))
        slope = values.T @ (share * (now - chance)) - RIDGE * weights
        bend = (values * (share * chance * (1 - chance))[:, None]).T @ values + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights += step
        if np.abs(step).max(initial=0.0) < 1e-6:
            break
    return weights


def features(parts: Sequence[pa.Table], signature: Signature) -> tuple[Floats, list[str]]:
    """(rows x features, the column that each feature is of)."""
    import pyarrow as pa

    found: list[Floats] = []
    owners: list[str] = []
    for column in signature.inputs:
        if any(column.name not in part.column_names for part in parts):
            continue
        text = column.type in ("string", "boolean")
        if text:
            joined: Any = pa.chunked_array(
                [chunk for part in parts for chunk in part[column.name].cast("string").chunks], pa.string()
            )
            made = _texts(np.asarray(joined.fill_null("").to_pylist(), dtype=object))
        else:
            made = _numbers(np.concatenate([floats_of(part[column.name]) for part in parts]))
        found += made
        owners += [column.name] * len(made)
    rows = sum(len(part) for part in parts)
    return np.column_stack([*found, np.ones(rows)]), [*owners, ""]


def _numbers(values: Floats) -> list[Floats]:
    finite = np.isfinite(values)
    known = np.sort(values[finite])
    ranks = (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")) / 2 / max(len(known), 1)
    centred = np.where(finite, ranks - 0.5, 0.0) * 3.5
    apart = np.where(finite, np.abs(ranks - 0.5) - 0.25, 0.0) * 7
    return [centred, apart, *([(~finite).astype(float)] if not finite.all() else [])]


def _texts(values: NDArray[Any]) -> list[Floats]:
    names, counts = np.unique(values.astype(str), return_counts=True)
    return [(values == name).astype(float) for name in names[np.argsort(-counts, kind="stable")][:COMMONEST]]
