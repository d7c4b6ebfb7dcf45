from __future__ import annotations

import numpy as np
import pytest

from loopline.kit import scores
from loopline.kit.student import t_quantile, t_upper_tail

pytestmark = pytest.mark.unit


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random(200) < 0.3).astype(float)
    predicted = np.round(rng.random(200) + 0.3 * truth, 1)
    difference = predicted[truth == 1][:, None] - predicted[truth == 0][None, :]
    expected = float(((difference > 0) + 0.5 * (difference == 0)).mean())
    assert scores.influences("auc", truth, predicted)[0] == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["auc", "log_loss", "brier"])
def test_scores_agree_with_scikit_learn(metric: str) -> None:
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    rng = np.random.default_rng(2)
    truth = (rng.random(500) < 0.2).astype(float)
    predicted = np.clip(rng.random(500) * 0.5 + 0.3 * truth, 0.01, 0.99)
    reference = {"auc": roc_auc_score, "log_loss": log_loss, "brier": brier_score_loss}[metric]
    assert scores.influences(metric, truth, predicted)[0] == pytest.approx(reference(truth, predicted))


@pytest.mark.parametrize("metric", sorted(scores.LARGER_IS_BETTER))
def test_influence_is_what_leaving_a_row_out_changes(metric: str) -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random(400) < 0.4).astype(float)
    predicted = np.clip(rng.random(400) * 0.6 + 0.3 * truth, 0.01, 0.99)
    value, influence = scores.influences(metric, truth, predicted)
    left_out = np.array([scores.influences(metric, np.delete(truth, i), np.delete(predicted, i))[0] for i in range(20)])
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    assert value - left_out == pytest.approx(influence[:20] * 400 / 399, abs=2e-5)


def test_one_class_has_no_auc() -> None:
    assert np.isnan(scores.influences("auc", np.ones(3), np.ones(3))[0])
    assert np.isnan(scores.influences("brier", np.ones(0), np.ones(0))[0])


def test_rows_that_repeat_within_a_block_add_no_certainty() -> None:
    values = np.random.default_rng(4).normal(size=50)
    once = scores.standard_error((values - values.mean()) / 50, np.arange(50))
    repeated = np.repeat(values, 10)
    tenfold = scores.standard_error((repeated - values.mean()) / 500, np.repeat(np.arange(50), 10))
    assert tenfold == pytest.approx(once)
    assert once[0] == pytest.approx(values.std(ddof=1) / np.sqrt(50))


@pytest.mark.parametrize("degrees", [1, 2, 5, 9, 30, 400])
@pytest.mark.parametrize("probability", [0.6, 0.95, 0.975, 0.9985, 0.99999])
def test_student_quantiles_agree_with_scipy(probability: float, degrees: int) -> None:
    from scipy.stats import t

    quantile = t_quantile(probability, degrees)
    assert quantile == pytest.approx(t.ppf(probability, degrees), rel=1e-7)
    assert t_upper_tail(quantile, degrees) == pytest.approx(1 - probability, rel=1e-6)
    assert t_quantile(1 - probability, degrees) == pytest.approx(-quantile, rel=1e-6)


def test_neighbouring_blocks_that_move_together_add_doubt_and_never_take_any_away() -> None:
    together, against = np.array([1.0, 1.0, -1.0, -1.0]), np.array([1.0, -1.0, 1.0, -1.0])
    for influence, wider in ((together, True), (against, False)):
        plain, _ = scores.standard_error(influence, np.arange(4))
        beside, degrees = scores.standard_error(influence, np.arange(4), neighbours=True)
        apart, _ = scores.standard_error(influence, np.arange(4) * 2, neighbours=True)
        assert (beside > plain) is wider
        assert (apart, degrees) == (plain, 3)
