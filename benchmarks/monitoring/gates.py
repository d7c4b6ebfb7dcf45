"""How often a gate calls a model better than itself trained on other rows, on real flights.

The rows of January to March are dealt at random into seven parts that share no row (or no day); the example's own recipe
is trained on each, and 20 pairs are compared on five later fortnights: 100 comparisons. Beside the gate's interval (rows
of one day count as one witness) stands the usual one that takes rows as independent. `python gates.py`
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

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
PARTS, PAIRS = 7, 20
RULES = GateConfig(better=True)


def gain(truth: np.ndarray, days: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[Estimate, bool]:
    """The gate's estimate, and whether an interval of independent rows would call `one` better."""
    first, second = influences("auc", truth, one), influences("auc", truth, other)
    error, degrees = standard_error(first[1] - second[1], days)
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


def compare(frame: pd.DataFrame, by_day: bool) -> None:
    """Train, compare and print one table line."""
    rng = np.random.default_rng(2013)
    training = frame[frame["event_time"] < pd.Timestamp("2013-04-01", tz="UTC")]
    models = [modelling.fit(rows) for rows in dealt(training, by_day, rng)]
    pairs = list(itertools.combinations(range(PARTS), 2))[:PAIRS]
    results, gaps = [], []
    for start in FORTNIGHTS:
        part = frame[(frame["event_time"] >= start) & (frame["event_time"] < start + pd.Timedelta(days=14))]
        scores = [modelling.probabilities(model, part) for model in models]
        days = part["event_time"].dt.floor("D").astype("int64").to_numpy()
        for one, other in pairs:
            estimate, rowwise = gain(part["late"].to_numpy(dtype=float), days, scores[one], scores[other])
            results.append(verdicts(estimate) | {"rowwise": rowwise})
            gaps.append((estimate.value, estimate.standard_error))
    values, errors = np.array(gaps).T
    print(
        f"| {'days' if by_day else 'rows'} | {len(results)} | {sum(r['better'] for r in results)} "
        f"| {sum(r['rowwise'] for r in results)} | {values.std():.4f} | {errors.mean():.4f} |"
    )


def main() -> None:
    began = time.perf_counter()
    frame = features.featurize(flights.read_flights(), flights.read_weather())
    frame = frame[frame["late"].notna()].reset_index(drop=True)
    print("| dealt by | comparisons | better by the gate | better if rows were independent | sd of gain | mean error |")
    print("|---|---|---|---|---|---|")
    for by_day in (False, True):
        compare(frame, by_day)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
