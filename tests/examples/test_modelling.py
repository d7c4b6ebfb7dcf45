"""Training and judging on a fortnight, and the model through the format that serves it."""

from __future__ import annotations

import features
import modelling
import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def frame(fortnight, weather):
    return features.featurize(fortnight, weather)


@pytest.fixture(scope="module")
def parts(frame):
    return modelling.split(frame, holdout_days=4)


@pytest.fixture(scope="module")
def model(parts):
    return modelling.fit(parts[0], iterations=30)


def test_held_out_days_are_never_trained_on(parts):
    learned, held_out = parts
    assert set(learned["key"]).isdisjoint(held_out["key"])
    assert learned["landed_at"].max() <= held_out["event_time"].min()
    assert held_out["event_time"].max() - held_out["event_time"].min() <= pd.Timedelta(days=4)
    assert not learned["late"].isna().any()
    assert not held_out["late"].isna().any()


def test_a_single_week_can_be_asked_for(frame):
    learned, held_out = modelling.split(frame, holdout_days=2, days=7)
    assert held_out["event_time"].min() - learned["event_time"].min() <= pd.Timedelta(days=7, minutes=30)


def test_too_few_flights_are_refused(frame):
    with pytest.raises(ValueError, match="too few"):
        modelling.split(frame, holdout_days=30)


def test_the_model_ranks_better_than_chance_and_judging_says_so(model, parts):
    quality = modelling.judge(model, parts[1])
    assert quality["auc"] > 0.6
    assert quality["rows"] == len(parts[1])
    by_carrier = modelling.by_carrier(model, parts[1])
    assert {"auc_UA", "auc_B6", "auc_EV"} <= set(by_carrier)
    assert "auc_HA" not in by_carrier


def test_training_twice_gives_the_same_probabilities(model, parts):
    again = modelling.fit(parts[0], iterations=30)
    assert np.array_equal(modelling.probabilities(model, parts[1]), modelling.probabilities(again, parts[1]))


def test_an_unknown_carrier_and_missing_numbers_still_get_a_probability(model, parts):
    row = parts[1].head(1).assign(carrier="ZZ", dest="XXX", pressure=np.nan, origin_late_3h=np.nan)
    assert 0.0 < modelling.probabilities(model, row)[0] < 1.0


def test_the_stored_model_answers_alike_without_a_pickle(model, parts, tmp_path):
    from loopline.adapters.runtimes.skops import Skops
    from loopline.core.tables import Column, Signature

    texts = tuple(Column(name, "string") for name in features.TEXTS)
    numbers = tuple(Column(name, "float", nullable=True) for name in features.NUMBERS)
    Skops().save(model, tmp_path)
    loaded = Skops().load(tmp_path, Signature(texts + numbers, Column("late", "float")))
    rows = parts[1]
    columns = {name: rows[name].to_numpy(object) for name in features.TEXTS}
    columns |= {name: rows[name].to_numpy(np.float64) for name in features.NUMBERS}
    assert np.array_equal(loaded.predict(columns), modelling.probabilities(model, rows))


def test_the_frame_has_what_a_model_a_gate_and_a_monitor_need(frame):
    assert 15 <= len(features.INPUTS) <= 25
    assert {"key", "event_time", "landed_at", "late", *features.INPUTS} == set(frame.columns)
    assert (frame[list(features.NUMBERS)].dtypes == np.float64).all()
    assert frame[list(features.TEXTS)].notna().all().all()
