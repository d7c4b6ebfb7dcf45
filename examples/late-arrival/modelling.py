"""Training and judging: plain scikit-learn on the frames that `features.featurize` makes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from features import INPUTS, NUMBERS, TEXTS

DAY = timedelta(days=1)


def split(frame: pd.DataFrame, holdout_days: int, days: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(training rows, held-out rows), both with truth.

    Held out are the last `holdout_days` of event time. A training row had landed before they began, as it would
    have for a model trained on that day; with `days` above 0 it was also predicted in the last `days` before.
    Raises ValueError when either is empty or the training rows are all late or all on time.
    """
    judged = frame[frame["late"].notna()]
    begins = judged["event_time"].max() - holdout_days * DAY
    learned, held_out = judged[judged["landed_at"] <= begins], judged[judged["event_time"] > begins]
    if days:
        learned = learned[learned["event_time"] > begins - days * DAY]
    if held_out.empty or learned["late"].nunique() < 2:
        raise ValueError(f"{len(judged)} landed flights are too few to hold out {holdout_days} days and train.")
    return learned, held_out


def estimator(learning_rate: float, iterations: int) -> Any:
    """A pipeline of scikit-learn's own types only, so that skops can store it: codes for texts, then trees."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    columns = ColumnTransformer([("texts", codes, list(TEXTS)), ("numbers", "passthrough", list(NUMBERS))])
    trees = HistGradientBoostingClassifier(
        learning_rate=learning_rate,
        max_iter=iterations,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        l2_regularization=10.0,
        early_stopping=False,
        random_state=0,
    )
    return Pipeline([("columns", columns), ("trees", trees)])


def fit(rows: pd.DataFrame, learning_rate: float = 0.06, iterations: int = 120) -> Any:
    """The estimator, fitted on rows with truth."""
    return estimator(learning_rate, iterations).fit(rows[list(INPUTS)], rows["late"].astype(np.int64))


def probabilities(model: Any, rows: pd.DataFrame) -> np.ndarray:
    """Probability of being late, float64 in [0, 1]."""
    return model.predict_proba(rows[list(INPUTS)])[:, 1]


def by_carrier(model: Any, rows: pd.DataFrame, least: int = 200) -> dict[str, float]:
    """ROC AUC of each carrier that has at least `least` rows, some of them late and some not."""
    from sklearn.metrics import roc_auc_score

    scored = rows.assign(score=probabilities(model, rows))
    groups = {str(name): group for name, group in scored.groupby("carrier") if len(group) >= least}
    return {
        f"auc_{name}": float(roc_auc_score(group["late"], group["score"]))
        for name, group in groups.items()
        if group["late"].nunique() == 2
    }


def judge(model: Any, rows: pd.DataFrame) -> dict[str, float]:
    """ROC AUC, Brier score and log loss on rows with truth, and how many rows and late ones there are."""
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    late, score = rows["late"].astype(np.int64), probabilities(model, rows)
    return {
        "auc": float(roc_auc_score(late, score)),
        "brier": float(brier_score_loss(late, score)),
        "log_loss": float(log_loss(late, score, labels=[0, 1])),
        "rows": float(len(rows)),
        "late_share": float(late.mean()),
    }
