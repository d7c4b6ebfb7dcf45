"""How often a gate calls a model better than itself trained on other rows, on real flights.

The rows of January to March are dealt at random into seven parts that share no row (or no day); the example's own recipe
is trained on each, and 20 pairs are compared on five later fortnights: 100 comparisons. Beside the gate's interval (rows
of one day count as one witness) stands the usual one that takes rows as independent. `python gates.py`
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "late-arrival"
sys.path.insert(0, str(EXAMPLE))

import features  # noqa: E402
import flights  # noqa: E402
import modelling  # noqa: E402
import pandas as pd  # noqa: E402

from loopline.kit.scores import influences, standard_error  # noqa: E402
from loopline.kit.student import t_quantile  # noqa: E402
from loopline.usecases.promotion.model import Estimate, Evidence, GateConfig, Verdict, decide  # noqa: E402

FORTNIGHTS = pd.to_datetime(["2013-04-02", "2013-04-23", "2013-05-14", "2013-06-04", "2013-06-25"], utc=True)
EPOCH = pd.Timestamp("1970-01-01", tz="UTC")
PARTS, PAIRS = 7, 20
RULES = GateConfig(better=True)


def gain(truth: np.ndarray, days: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[Estimate, bool]:
    """The gate's estimate, and whether an interval of independent rows would call `one` better."""
    first, second = influences("auc", truth, one), influences("auc", truth, other)
    error, degrees = standard_error(first[1] - second[1], days, neighbours=True)
    rowwise, rows = standard_error(first[1] - second[1], np.arange(len(days)))
    value = first[0] - second[0]
    return Estimate(value, error, degrees), value > t_quantile(0.975, rows) * rowwise


def verdicts(estimate: Estimate) -> dict[str, bool]:
    """Which of the gate's checks pass."""
    evidence = Evidence(metric="auc", challenger=2, champion=1, rows=9999, gain=estimate)
    return {check.name: check.verdict is Verdict.PASSED for check in decide(evidence, RULES).checks}


def dealt(training: pd.DataFrame, by_day: bool, rng: np.random.Generator) -> list[pd.DataFrame]:
    """The training rows in disjoint parts, dealt row by row or day by day."""
    day = training["event_time"].dt.floor("D")
    keys = day.unique() if by_day else training.index.to_numpy()
    part = pd.Series(rng.integers(0, PARTS, len(keys)), index=keys)
    codes = (day.map(part) if by_day else part).to_numpy()
    return [training[codes == number] for number in range(PARTS)]


def fortnights(frame: pd.DataFrame, models: list[Any]) -> Iterator[tuple[np.ndarray, np.ndarray, list[np.ndarray]]]:
    """(truth, day numbers, scores by model) of each."""
    for start in FORTNIGHTS:
        part = frame[(frame["event_time"] >= start) & (frame["event_time"] < start + pd.Timedelta(days=14))]
        scores = [modelling.probabilities(model, part) for model in models]
        yield part["late"].to_numpy(dtype=float), (part["event_time"] - EPOCH).dt.days.to_numpy(), scores


def line(name: str, found: list[tuple[Estimate, bool]]) -> None:
    """One line of the table."""
    passed = [verdicts(estimate) for estimate, _ in found]
    spread = np.std([estimate.value for estimate, _ in found])
    error = np.mean([estimate.standard_error for estimate, _ in found])
    better, rowwise = sum(checks["better"] for checks in passed), sum(wrong for _, wrong in found)
    print(f"| {name} | {len(found)} | {better} | {rowwise} | {spread:.4f} | {error:.4f} |", flush=True)


def compare(frame: pd.DataFrame, by_day: bool) -> None:
    """Train, compare and print the lines of the table."""
    rng = np.random.default_rng(2013)
    training = frame[frame["event_time"] < pd.Timestamp("2013-04-01", tz="UTC")]
    models = [modelling.fit(rows) for rows in dealt(training, by_day, rng)]
    pairs = list(itertools.combinations(range(PARTS), 2))[:PAIRS]
    plain, swapped = [], []
    for truth, days, scores in fortnights(frame, models):
        for one, other in pairs:
            plain.append(gain(truth, days, scores[one], scores[other]))
            coin = (rng.random(60) < 0.5)[days - days.min()]
            sides = [np.where(coin, scores[a], scores[b]) for a, b in ((one, other), (other, one))]
            swapped.append(gain(truth, days, *sides))
    dealt_by = "days" if by_day else "rows"
    line(f"dealt by {dealt_by}, a coin for every day", swapped)
    line(f"dealt by {dealt_by}, as they are", plain)


def main() -> None:
    began = time.perf_counter()
    frame = features.featurize(flights.read_flights(), flights.read_weather())
    frame = frame[frame["late"].notna()].reset_index(drop=True)
    print("| models | comparisons | better by the gate | better if rows were independent | sd of gain | mean error |")
    print("|---|---|---|---|---|---|")
    for by_day in (False, True):
        compare(frame, by_day)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
