"""The late-arrival example without Loopline: plain functions on frames, for the peers. `FLIGHTS_CODE` is the example's
folder, `FLIGHTS_DATA` where its batches lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["FLIGHTS_CODE"])

import features
import modelling
import pandas as pd
from flights import ground_minutes, timed


def load(name: str) -> Any:
    """All batches of one kind as a frame."""
    files = sorted(Path(os.environ["FLIGHTS_DATA"], name).glob("*.parquet"))
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def validate(flights: Any) -> Any:
    """Each flight once, none longer in the air than away."""
    rows = timed(flights)
    wrong = rows["key"].duplicated() | (ground_minutes(rows) < 0)
    if wrong.any():
        raise ValueError(f"{int(wrong.sum())} flights are wrong.")
    return flights


def featurize(flights: Any, weather: Any) -> Any:
    """Flights joined with the weather and their history."""
    return features.featurize(flights, weather)


def train(frame: Any) -> Any:
    """The estimator on all but the last two weeks."""
    return modelling.fit(modelling.split(frame, 14)[0], 0.06, 120)


def evaluate(model: Any, frame: Any) -> Any:
    """Quality on the last two weeks."""
    held_out = modelling.split(frame, 14)[1]
    return modelling.judge(model, held_out) | modelling.by_carrier(model, held_out)
