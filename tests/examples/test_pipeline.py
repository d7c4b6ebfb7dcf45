"""The steps called as plain functions, from weekly files to a judged model."""

from __future__ import annotations

import batches
import features
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pipeline(own_modules):
    import pipeline

    return pipeline


@pytest.fixture(scope="module")
def frame(pipeline, fortnight, weather, tmp_path_factory):
    """As a run would: datasets are Arrow tables read from the weekly files."""
    folder = tmp_path_factory.mktemp("data")
    paths = batches.write_batches(folder, flights=fortnight)
    flights = pipeline.load(pa.concat_tables([pq.read_table(path) for path in paths]))
    return pipeline.featurize(pipeline.validate(flights), pipeline.load(pa.Table.from_pandas(weather)))


def test_the_steps_make_a_model_with_its_evidence(pipeline, frame):
    model = pipeline.train(frame, iterations=20, holdout_days=4)
    assert model.metrics["auc"] > 0.6
    assert set(model.evaluation.columns) >= {*features.INPUTS, "late", "event_time", "key"}
    assert list(model.example.columns) == list(features.INPUTS)
    found = pipeline.evaluate(model, frame, holdout_days=4)
    assert found["auc"] == model.metrics["auc"]
    assert "auc_UA" in found


def test_the_signature_lets_history_and_weather_be_missing_but_not_the_schedule(pipeline, frame):
    model = pipeline.train(frame, iterations=5, holdout_days=4)
    assert [column.name for column in model.signature.inputs] == list(features.INPUTS)
    optional = {column.name for column in model.signature.inputs if column.nullable}
    assert optional == set(features.INPUTS) - set(features.TEXTS) - set(features.SCHEDULE)
    assert not frame[[name for name in features.INPUTS if name not in optional]].isna().any().any()
    assert model.metadata["trained_until"] < frame["event_time"].max().isoformat()


def test_a_candidate_of_one_week_learns_from_less(pipeline, frame):
    weak = pipeline.train(frame, iterations=20, holdout_days=4, days=7)
    assert len(weak.example) < len(pipeline.train(frame, iterations=20, holdout_days=4).example)


def test_a_flight_given_twice_is_refused_by_name(pipeline, fortnight):
    united = fortnight[(fortnight["carrier"] == "UA") & (fortnight["origin"] == "EWR")]
    with pytest.raises(ValueError, match="2013-02-01-EWR-UA-"):
        pipeline.validate(pd.concat([united, united.head(1)], ignore_index=True))


def test_a_landing_too_early_is_refused(pipeline, fortnight):
    spoilt = fortnight.assign(air_time=fortnight["air_time"] + 400)
    with pytest.raises(ValueError, match="land before they can"):
        pipeline.validate(spoilt)
