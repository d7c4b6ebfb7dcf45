"""How flights that have landed fared: exact sums over windows of time, for any group, at any moment.

All sums are of integers, so a window's answer depends on nothing outside it, not even by rounding.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SPAN = 1 << 32  # more minutes than any time here has since 1970: keeps the groups apart on one sorted axis


def minutes(moments: pd.Series) -> np.ndarray:
    """Whole minutes since 1970 UTC (int64), rounded down."""
    return moments.dt.tz_convert(None).to_numpy("datetime64[m]").astype(np.int64)


def group_codes(past: pd.DataFrame, asked: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """One int64 per row of each frame, equal where all `columns` are equal; no columns: one group."""
    codes = np.zeros(len(past) + len(asked), dtype=np.int64)
    for column in columns:
        values, names = pd.factorize(pd.concat([past[column], asked[column]], ignore_index=True))
        codes = codes * (len(names) + 1) + values
    return codes[: len(past)], codes[len(past) :]


class History:
    """Outcomes of one grouping, each known from its own minute on.

    `group`, `known` (minutes since 1970) and each of `values` are int64 arrays of equal length, in any order.
    """

    def __init__(self, group: np.ndarray, known: np.ndarray, values: dict[str, np.ndarray]) -> None:
        axis = group * SPAN + known
        order = np.argsort(axis, kind="stable")
        self.axis = axis[order]
        self.sums = {name: np.concatenate([[0], np.cumsum(value[order])]) for name, value in values.items()}

    def window(self, group: np.ndarray, until: np.ndarray, length: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """How many outcomes became known in (until - length, until], and the sum of each value over them."""
        end = np.searchsorted(self.axis, group * SPAN + until, side="right")
        start = np.searchsorted(self.axis, group * SPAN + until - length, side="right")
        return end - start, {name: total[end] - total[start] for name, total in self.sums.items()}


def mean(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """total / count as float64, NaN where nothing was counted."""
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
