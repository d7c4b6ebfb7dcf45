"""Training, step by step. Steps are plain functions: call them in a notebook or a test as they stand."""

from __future__ import annotations

import features
import modelling
import pandas as pd
from flights import ground_minutes, timed

from loopline import Column, Dataset, Model, Signature, pipeline, step


@step
def load(dataset: Dataset) -> pd.DataFrame:
    """The rows of a snapshot (an Arrow table) as a pandas frame."""
    return dataset.to_pandas()


@step
def validate(flights: pd.DataFrame) -> pd.DataFrame:
    """What a contract of single columns cannot say: each flight once, and no flight longer in the air than away.

    Raises ValueError naming the first offender.
    """
    rows = timed(flights)
    wrong = rows["key"][rows["key"].duplicated() | (ground_minutes(rows) < 0)]
    if len(wrong):
        raise ValueError(f"{len(wrong)} flights are given twice or land before they can, {wrong.iloc[0]} first.")
    return flights


@step
def featurize(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Each flight with what was known three hours before its scheduled departure."""
    return features.featurize(flights, weather)


def signature() -> Signature:
    """What a request must carry. Said and not read off the training rows: a history or the weather may be missing live
    where it never was before."""
    always = {*features.TEXTS, *features.SCHEDULE}
    kinds = dict.fromkeys(features.NUMBERS, "float") | dict.fromkeys(features.TEXTS, "string")
    inputs = tuple(Column(name, kinds[name], nullable=name not in always) for name in features.INPUTS)
    return Signature(inputs, Column("prediction", "float"))


@step
def train(
    frame: pd.DataFrame, learning_rate: float = 0.06, iterations: int = 120, holdout_days: int = 14, days: int = 0
) -> Model:
    """A model of all flights but those of the last `holdout_days`; `days` above 0 keeps only so many before them."""
    learned, held_out = modelling.split(frame, holdout_days, days)
    estimator = modelling.fit(learned, learning_rate, iterations)
    return Model(
        estimator,
        signature=signature(),
        example=learned[list(features.INPUTS)],
        profile=learned[[*features.INPUTS, "event_time"]],
        metrics=modelling.judge(estimator, held_out),
        evaluation=held_out,
        metadata={
            "label": "late",
            "trained_from": learned["event_time"].min().isoformat(),
            "trained_until": learned["landed_at"].max().isoformat(),
        },
    )


@step
def evaluate(model: Model, frame: pd.DataFrame, holdout_days: int = 14) -> dict[str, float]:
    """Quality on the held-out flights, overall and by carrier."""
    _, held_out = modelling.split(frame, holdout_days)
    return modelling.judge(model.estimator, held_out) | modelling.by_carrier(model.estimator, held_out)


@pipeline(registers="late-arrival")
def training(
    flights: Dataset = "flights",
    weather: Dataset = "weather",
    learning_rate: float = 0.06,
    iterations: int = 120,
    holdout_days: int = 14,
    days: int = 0,
) -> Model:
    """From raw rows to a model with its evidence. `days=7` makes a weak candidate, trained on one week."""
    frame = featurize(validate(load(flights)), load(weather))
    model = train(frame, learning_rate, iterations, holdout_days, days)
    evaluate(model, frame, holdout_days)
    return model
