"""The intervals keep their promise: equal models are seldom told apart, also when whole days go wrong together."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.kit.scores import influences, standard_error
from loopline.usecases.promotion.model import Estimate, Evidence, GateConfig, SliceEvidence, SliceRule, Verdict, decide

pytestmark = pytest.mark.unit


def pair(rng: np.random.Generator, days: int, per_day: int) -> tuple[np.ndarray, ...]:
    """Labels, day, and the scores of two equally good models, each with its own bad days."""
    day = np.repeat(np.arange(days), rng.poisson(per_day, days))
    logit = rng.normal(size=len(day)) * 1.2 - 1.3
    late = (rng.random(len(day)) < 1 / (1 + np.exp(-logit))).astype(float)

    def scored() -> np.ndarray:
        noisy = logit + (rng.normal(size=days) * 0.3)[day] + rng.normal(size=len(day)) * 0.3
        return 1 / (1 + np.exp(-noisy))

    return late, day, scored(), scored()


def gain(metric: str, late: np.ndarray, day: np.ndarray, one: np.ndarray, other: np.ndarray) -> Estimate:
    first, second = influences(metric, late, one), influences(metric, late, other)
    error, degrees = standard_error(first[1] - second[1], day)
    return Estimate(first[0] - second[0], error, degrees)


@pytest.mark.parametrize("days", [7, 30])
def test_of_100_comparisons_of_equal_models_at_most_5_are_called_better(days: int) -> None:
    rng = np.random.default_rng(2013)
    config, better = GateConfig(better=True), 0
    for _ in range(100):
        evidence = Evidence(metric="auc", challenger=2, champion=1, rows=9999, gain=gain("auc", *pair(rng, days, 200)))
        checks = {check.name: check.verdict for check in decide(evidence, config).checks}
        better += checks["better"] is Verdict.PASSED
    assert better <= 5


def test_equal_slices_are_seldom_called_worse_however_many_there_are() -> None:
    rng = np.random.default_rng(2014)
    config, failed = GateConfig(slices=(SliceRule(column="carrier"),)), 0
    for _ in range(40):
        parts = tuple(
            SliceEvidence(column="carrier", value=str(n), rows=999, blocks=20, gain=gain("auc", *pair(rng, 20, 40)))
            for n in range(16)
        )
        evidence = Evidence(metric="auc", challenger=2, champion=1, rows=9999, slices=parts)
        failed += {check.name: check.verdict for check in decide(evidence, config).checks}["slices_carrier"] is (
            Verdict.FAILED
        )
    assert failed <= 4
