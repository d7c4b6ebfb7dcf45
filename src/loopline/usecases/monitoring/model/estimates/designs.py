"""Rows as the columns of an additive model: the score as a broken line, each input as a step function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.estimates.rows import Floats, Rows, Words

BINS, MOST_TEXTS, MOST_INPUTS = 6, 20, 40
MOST_KEPT = 4_000_000
SCORE_PENALTY, KNOT_PENALTY = 1.0, 3.0


def logit(probability: Floats) -> Floats:
    """log odds; probabilities are kept 1e-4 away from 0 and 1, which no calibration can tell from them."""
    sure = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(sure / (1 - sure)))


@dataclass(frozen=True)
class Columns:
    """The matrix of an additive model, (n, width): a line, then a 0/1 column for each step of each input. These are never
    made: sums over the rows of a step are what they are for."""

    line: Floats
    steps: Sequence[tuple[NDArray[np.int64], int]]
    _kept: list[tuple[int, int, NDArray[np.int64]]] = field(default_factory=list, compare=False, repr=False)

    def take(self, places: NDArray[np.int64]) -> Columns:
        """These rows alone."""
        return Columns(self.line[places], [(codes[places], count) for codes, count in self.steps])

    def times(self, weights: Floats) -> Floats:
        """The matrix times `weights`."""
        place = self.line.shape[1]
        total = self.line @ weights[:place]
        for codes, count in self.steps:
            total = total + weights[place : place + count][codes]
            place += count
        return np.asarray(total)

    def against(self, values: Floats) -> Floats:
        """The matrix, turned, times `values` (one a row)."""
        sums = [np.bincount(codes, weights=values, minlength=count) for codes, count in self.steps]
        return np.concatenate([self.line.T @ values, *sums])

    def _pairs(self) -> Iterable[tuple[int, int, NDArray[np.int64]]]:
        """Of each two inputs their numbers and the steps of both as one number; kept where that is not much."""
        count = len(self.steps)
        if not self._kept and count * (count - 1) // 2 * len(self.line) <= MOST_KEPT:
            self._kept.extend(self._paired())
        return self._kept or self._paired()

    def _paired(self) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        for place, (codes, _) in enumerate(self.steps):
            for other, (later, many) in enumerate(self.steps[place + 1 :], place + 1):
                yield place, other, codes * many + later

    def curve(self, spread: Floats) -> Floats:
        """The matrix, turned, times itself, each row weighing `spread`."""
        first = self.line.shape[1]
        starts = first + np.cumsum([0, *(count for _, count in self.steps)])
        found = np.zeros((starts[-1], starts[-1]))
        weighted = self.line * spread[:, None]
        found[:first, :first] = weighted.T @ self.line
        for place, (codes, count) in enumerate(self.steps):
            own = slice(starts[place], starts[place] + count)
            found[own, own] = np.diag(np.bincount(codes, weights=spread, minlength=count))
            for column in range(first):
                found[column, own] = np.bincount(codes, weights=weighted[:, column], minlength=count)
        for place, other, codes in self._pairs():
            count, many = self.steps[place][1], self.steps[other][1]
            both = np.bincount(codes, weights=spread, minlength=count * many).reshape(count, many)
            found[starts[place] : starts[place] + count, starts[other] : starts[other] + many] = both
        return np.asarray(np.triu(found) + np.triu(found, 1).T)


@dataclass(frozen=True)
class Design:
    """Where the broken line bends (`knots`, in units of the transformed score) and the steps of each input."""

    centre: float
    scale: float
    odds: bool
    knots: Floats
    edges: dict[str, Floats]
    words: dict[str, dict[str, int]]

    def line(self, rows: Rows) -> Floats:
        """(n, 2 + knots): 1, the score, and what it exceeds each knot by."""
        z = self.position(rows.score)
        return np.column_stack([np.ones(len(z)), z, *(np.maximum(z - knot, 0) for knot in self.knots)])

    def position(self, score: Floats) -> Floats:
        """The score, centred (log odds for probabilities)."""
        return np.asarray(((logit(score) if self.odds else score) - self.centre) / self.scale)

    def steps(self, rows: Rows) -> list[tuple[NDArray[np.int64], int]]:
        """For each input the step of each row, and how many steps there are."""
        numbers = [(codes_of(rows.numbers[name], edges), len(edges) + 2) for name, edges in self.edges.items()]
        texts = [(_word_codes(rows.texts[name], words), len(words) + 1) for name, words in self.words.items()]
        return numbers + texts

    def columns(self, rows: Rows) -> Columns:
        """The rows as the model sees them."""
        return Columns(self.line(rows), self.steps(rows))

    def sum(self, rows: Rows, weights: Floats) -> Floats:
        """What the weights of these rows add up to."""
        return self.columns(rows).times(weights)

    def penalties(self, step: float) -> Floats:
        """What each squared weight costs, `step` that of an input's step; the constant is free."""
        line = [0.0, SCORE_PENALTY] + [KNOT_PENALTY] * len(self.knots)
        counts = [len(edges) + 2 for edges in self.edges.values()] + [len(words) + 1 for words in self.words.values()]
        return np.array(line + [step] * sum(counts))


def design(rows: Rows, odds: bool, residual: Floats | None) -> Design:
    """Steps at the quantiles of each input. `residual` (one value a row) chooses the MOST_INPUTS inputs that explain it
    best; None leaves all inputs out."""
    z = logit(rows.score) if odds else rows.score
    centre = float(z.mean())
    scale = 1.0 if odds else float(z.std()) or 1.0
    knots = np.unique(np.quantile((z - centre) / scale, [0.2, 0.4, 0.6, 0.8, 0.95]))
    edges: dict[str, Floats] = {}
    words: dict[str, dict[str, int]] = {}
    if residual is not None:
        edges = {name: _edges(values) for name, values in rows.numbers.items()}
        words = {name: _words(values) for name, values in rows.texts.items()}
        kept = _best(rows, edges, words, residual)
        edges = {name: found for name, found in edges.items() if name in kept and len(found)}
        words = {name: found for name, found in words.items() if name in kept and found}
    return Design(centre, scale, odds, knots, edges, words)


def codes_of(values: Floats, edges: Floats) -> NDArray[np.int64]:
    """The step of each value; empty ones have the last."""
    codes = np.searchsorted(edges, values)
    return np.where(np.isnan(values), len(edges) + 1, codes).astype(np.int64)


def _edges(values: Floats) -> Floats:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(0)
    found = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)[1:-1]))
    return found if finite.min() < finite.max() else np.zeros(0)


def _words(values: Words) -> dict[str, int]:
    common = sorted(values.counts().items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_TEXTS]
    return {name: place + 1 for place, (name, _) in enumerate(common)}


def _word_codes(values: Words, words: dict[str, int]) -> NDArray[np.int64]:
    steps = np.array([0 if name is None else words.get(name, 0) for name in values.names], dtype=np.int64)
    return np.asarray(steps[values.codes])


def _best(rows: Rows, edges: dict[str, Floats], words: dict[str, dict[str, int]], residual: Floats) -> set[str]:
    if len(edges) + len(words) <= MOST_INPUTS:
        return {*edges, *words}
    codes = {name: codes_of(rows.numbers[name], found) for name, found in edges.items()}
    codes |= {name: _word_codes(rows.texts[name], found) for name, found in words.items()}
    gains = {name: _explained(code, residual) for name, code in codes.items()}
    return set(sorted(gains, key=lambda name: -gains[name])[:MOST_INPUTS])


def _explained(codes: NDArray[np.int64], residual: Floats) -> float:
    counts = np.bincount(codes)
    sums = np.bincount(codes, weights=residual)
    return float((sums**2 / np.maximum(counts, 1)).sum() - (counts > 0).sum() * residual.var())
