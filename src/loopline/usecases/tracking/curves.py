"""Long curves in few points: pure arithmetic on arrays.

Thinning is M4 (Jugel, Jerzak, Hackenbroich, Markl: M4, a visualization-oriented time series data aggregation, VLDB
2014): of each slice of the x axis the first, the last, the lowest and the highest point stay, so that a line drawn one
slice a pixel wide is the line that all points would draw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FEWEST = 10
OF_A_SLICE = 5  # first, last, lowest, highest, and one that is no number, so that its gap shows
BLOCK = 512


def thinned(x: Any, y: Any, points: int) -> Any:
    """The places (int64[]) of at most `points` (>= 10) of the points (x float64[], ascending; y float64[]), in order.

    The very first and last, and of each of the equally wide slices of x the first, last, lowest, highest point and the
    first that is not finite, are among them.
    """
    import numpy as np

    count = len(x)
    if count <= points:
        return np.arange(count)
    starts = slices(x, points // OF_A_SLICE)
    ends = np.append(starts[1:], count)
    finite = np.isfinite(y)
    kept = [starts, ends - 1]
    for extreme, lacking in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        kept.append(places(np.where(finite, y, lacking), extreme, starts, ends, finite))
    if not finite.all():
        kept.append(firsts(~finite, starts))
    return np.unique(np.concatenate(kept))


def slices(x: Any, most: int) -> Any:
    """Where each slice of x that is not empty begins (int64[], the first is 0); slices are equally wide."""
    import numpy as np

    low, high = float(x[0]), float(x[-1])
    edges = low + (high - low) * (np.arange(most) / most)
    return np.unique(np.append(0, np.searchsorted(x, edges[1:], "left")[: most - 1])).clip(0, len(x) - 1)


def places(y: Any, extreme: Any, starts: Any, ends: Any, usable: Any) -> Any:
    """The first place in each slice where y is the slice's extreme; none in a slice without a usable value."""
    import numpy as np

    best = np.repeat(extreme.reduceat(y, starts), ends - starts)
    return firsts((y == best) & usable, starts)


def firsts(wanted: Any, starts: Any) -> Any:
    """The first place in each slice where `wanted` is true."""
    import numpy as np

    found = np.flatnonzero(wanted)
    belongs = np.searchsorted(starts, found, "right")
    return found[np.flatnonzero(np.diff(belongs, prepend=-1))]


def within(x: Any, first: float | None, last: float | None) -> slice:
    """The places whose x lies between `first` and `last`, and one more at each side, so that a line leaves the frame."""
    import numpy as np

    low = 0 if first is None else max(int(np.searchsorted(x, first, "left")) - 1, 0)
    high = len(x) if last is None else int(np.searchsorted(x, last, "right")) + 1
    return slice(low, max(high, low))


def smoothed(y: Any, weight: float) -> Any:
    """The exponential moving average of y (float64[]) as TensorBoard draws it: s = weight * s + (1 - weight) * y, divided
    by 1 - weight ** n so that it does not begin at zero. What is not finite stays and counts for nothing."""
    import numpy as np

    finite = np.isfinite(y)
    if not 0 < weight < 1 or not finite.any():
        return y
    values = y[finite]
    mean = averaged(values, weight) / -np.expm1(np.arange(1, len(values) + 1) * np.log(weight))
    result = np.array(y, dtype="float64")
    result[finite] = mean
    return result


def averaged(values: Any, weight: float) -> Any:
    """The average that begins at zero, of finite values. Blocks go side by side, each from zero; then each takes what the
    block before it ended with."""
    import numpy as np

    rows = -(-len(values) // BLOCK)
    padded = np.zeros(rows * BLOCK)
    padded[: len(values)] = (1 - weight) * values
    table = np.ascontiguousarray(padded.reshape(rows, BLOCK).T)
    for place in range(1, BLOCK):
        table[place] += weight * table[place - 1]
    carried = running(table[-1], weight**BLOCK)
    table += np.power(weight, np.arange(1, BLOCK + 1))[:, None] * carried
    return table.T.reshape(-1)[: len(values)]


def running(ends: Any, decay: float) -> Any:
    """What each block begins with, from what each ends with when it begins with zero."""
    import numpy as np

    carried = np.zeros(len(ends))
    for place in range(1, len(ends)):
        carried[place] = ends[place - 1] + decay * carried[place - 1]
    return carried


def best_so_far(y: Any, lower: bool) -> Any:
    """The lowest (or highest) value up to each point; what is not finite stays as it is before the first number."""
    import numpy as np

    choose: Callable[[Any], Any] = (np.fmin if lower else np.fmax).accumulate
    return choose(np.where(np.isfinite(y), y, np.nan))
