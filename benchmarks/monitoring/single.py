"""Single tests of rows against a reference that is known: each with one statistic, at 1 %."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binom, chi2, kstwobign, norm

Values = np.ndarray
Test = Callable[[Values], float]


def numeric_tests(then: Values) -> dict[str, Test]:
    """p-values of a window of rows; each closes over what it needs of the reference."""
    known = np.sort(then[np.isfinite(then)])
    low, high = np.quantile(known, [0.0005, 0.9995])
    gone = 1 - len(known) / len(then)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, 17)))[1:-1]
    ranks = ranked(known, known)
    apart, parts = np.abs(known - known.mean()), np.bincount(np.searchsorted(edges, known), minlength=len(edges) + 1)

    def shift(x: Values) -> float:
        return both((x.mean() - known.mean()) / np.sqrt(x.var() / len(x) + known.var() / len(known)))

    def rank(x: Values) -> float:
        return both((ranked(known, x).mean() - 0.5) / (ranks.std() * np.sqrt(1 / len(x) + 1 / len(known))))

    def width(x: Values) -> float:
        mine = np.abs(x - x.mean())
        return both((mine.mean() - apart.mean()) / np.sqrt(mine.var() / len(x) + apart.var() / len(known)))

    def largest(x: Values) -> float:
        at = np.sort(x)
        cdf = np.searchsorted(known, at, side="right") / len(known)
        mine = np.searchsorted(at, at, side="right") / len(at)
        below = np.searchsorted(known, at, side="left") / len(known)
        gap = max(np.abs(mine - cdf).max(), np.abs(np.searchsorted(at, at, side="left") / len(at) - below).max())
        return float(kstwobign.sf(gap * np.sqrt(len(x) * len(known) / (len(x) + len(known)))))

    def shares(x: Values) -> float:
        return pearson(np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1), parts)

    def outside(x: Values) -> float:
        return of_share(int(((x < low) | (x > high)).sum()), len(x), float(((known < low) | (known > high)).mean()))

    tests = {"t": shift, "rank sum": rank, "Levene": width, "KS": largest, "chi-square": shares, "outside": outside}
    finite = {name: (lambda x, test=test: test(x[np.isfinite(x)])) for name, test in tests.items()}
    return finite | {"missing": lambda x: of_share(int((~np.isfinite(x)).sum()), len(x), gone)}


def text_tests(then: Values) -> dict[str, Test]:
    names, counts = np.unique(then.astype(str), return_counts=True)

    def shares(x: Values) -> float:
        found, many = np.unique(x.astype(str), return_counts=True)
        place = {name: at for at, name in enumerate(names)}
        mine = np.zeros(len(names) + 1)
        for name, count in zip(found, many, strict=True):
            mine[place.get(name, len(names))] += count
        return pearson(mine[:-1], counts)

    def new(x: Values) -> float:
        hits = int((~np.isin(x.astype(str), names)).sum())
        return of_share(hits, len(x), float((counts == 1).sum() / counts.sum()))

    return {"chi-square": shares, "new values": new}


def best_single(then: Values, changed: Sequence[Values], quiet: Sequence[Values]) -> tuple[float, str]:
    """(power, name) of the test that finds the change most often, among those that are quiet without it: at a p-value
    of 0.01, or lower where more than 1 % of the quiet windows would be below."""
    tests = text_tests(then) if then.dtype == object else numeric_tests(then)
    found = {}
    for name, test in tests.items():
        bound = min(0.01, float(np.quantile([test(x) for x in quiet], 0.01)) or 0.01)
        found[name] = float(np.mean([test(x) <= bound for x in changed]))
    best = max(found, key=lambda name: found[name])
    return found[best], best


def ranked(known: Values, x: Values) -> Values:
    return (np.searchsorted(known, x, "left") + np.searchsorted(known, x, "right")) / 2 / len(known)


def both(z: float) -> float:
    return float(2 * norm.sf(abs(z)))


def of_share(hits: int, rows: int, share: float) -> float:
    return float(min(1.0, binom.sf(hits - 1, rows, share) if hits else 1.0))


def pearson(now: Values, then: Values) -> float:
    expected = then / then.sum() * max(now.sum(), 1)
    return float(chi2.sf((np.square(now - expected) / expected).sum() / (1 + now.sum() / then.sum()), len(then) - 1))
