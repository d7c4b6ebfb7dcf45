"""The traffic of a replay and the statistics behind the README's numbers."""

from __future__ import annotations

import features
import modelling
import numpy as np
import pandas as pd
import pytest
import study
from traffic import one_in, traffic

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def frame(fortnight, weather):
    return features.featurize(fortnight, weather)


def test_traffic_is_every_flight_in_order_cancelled_ones_too(frame):
    asked = traffic(frame, "2013-02-04", "2013-02-11")
    assert asked["event_time"].is_monotonic_increasing
    assert asked["late"].isna().sum() > 500  # the snow storm of 8 and 9 February
    inside = frame["event_time"].between(
        pd.Timestamp("2013-02-04", tz="UTC"), pd.Timestamp("2013-02-11", tz="UTC"), "left"
    )
    assert set(asked["key"]) == set(frame["key"][inside])


def test_a_sample_is_chosen_by_key_alone(frame):
    chosen = one_in(frame["key"], 4)
    assert 0.23 < chosen.mean() < 0.27
    shuffled = frame.sample(frac=1, random_state=3)
    assert set(shuffled["key"][one_in(shuffled["key"], 4)]) == set(frame["key"][chosen])
    assert len(traffic(frame, "2013-01-31", "2013-02-16", share=4)) == chosen.sum()


def test_limits_are_students_prediction_interval():
    low, high = study.limits(pd.Series([0.6, 0.62, 0.64, 0.66, 0.7, 0.74, 0.76, 0.78, 0.8]))
    assert (low + high) / 2 == pytest.approx(0.7)
    assert (high - low) / 2 == pytest.approx(2.306 * 0.0734847 * np.sqrt(10 / 9), rel=1e-5)


def test_a_model_gains_nothing_over_itself(frame):
    learned, held_out = modelling.split(frame, holdout_days=4)
    model = modelling.fit(learned, iterations=10)
    assert study.days_interval(held_out, model, model, draws=5) == (0.0, 0.0)


def test_an_unknown_score_counts_as_the_median():
    rows = pd.DataFrame({"late": [1.0, 0.0, 1.0, 0.0]})
    assert study.auc(rows, [0.9, 0.1, np.nan, 0.5]) == pytest.approx(3.5 / 4)
