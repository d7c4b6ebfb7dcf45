"""Versions beside one another, on the same days. Imports numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loopline.usecases.monitoring.model.blame.rows import Flags, Floats, Ints

LEAST = 30


class Beside(NamedTuple):
    """How much one version's metric differs from the others' in the blocks where both answered, and its error."""

    gap: float
    error: float


def beside(value: Floats, block: Ints, mine: Flags) -> Beside | None:
    """The mean over blocks of (mine - others), each with the weight of its smaller side; None with fewer than two blocks."""
    count = int(block.max(initial=-1)) + 1
    rows = [np.bincount(block[side], minlength=count).astype(float) for side in (mine, ~mine)]
    sums = [np.bincount(block[side], weights=value[side], minlength=count) for side in (mine, ~mine)]
    shared = (rows[0] >= LEAST) & (rows[1] >= LEAST)
    if shared.sum() < 2:
        return None
    differences = sums[0][shared] / rows[0][shared] - sums[1][shared] / rows[1][shared]
    weight = np.minimum(rows[0], rows[1])[shared]
    weight = weight / weight.sum()
    gap, held = float(weight @ differences), int(shared.sum())
    return Beside(gap, float(np.sqrt((weight**2 * (differences - gap) ** 2).sum() * held / (held - 1))))
