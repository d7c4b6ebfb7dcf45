"""The models that all sides serve: made anew from the same seeds, so that no file needs to be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODEL_FILE = "BENCHMARK_MODEL"
INPUTS = [f"x{place}" for place in range(15)]
KINDS = ("no-op", "logistic", "boosting")


def trained(kind: str = "boosting") -> tuple[Any, np.ndarray]:
    """A fitted classifier on 15 inputs, and 100 rows to ask about.

    "no-op": always the same probability; "logistic": scaler and logistic regression; "boosting": scaler and gradient
    boosting (100 trees).
    """
    chance = np.random.default_rng(20130401)
    rows = chance.normal(size=(4000, 15))
    late = (rows[:, 0] + rows[:, 1] * rows[:, 2] + chance.normal(size=4000) > 0).astype(int)
    made: dict[str, BaseEstimator | ClassifierMixin] = {
        "no-op": DummyClassifier(strategy="prior"),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "boosting": make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=100, random_state=1)),
    }
    return made[kind].fit(rows, late), rows[:100]


def loaded(kind: str) -> Any:
    """The model from the file that the benchmark has just written, as a peer would load it at its start."""
    import os

    import joblib

    return joblib.load(os.environ[MODEL_FILE]) if MODEL_FILE in os.environ else trained(kind)[0]
