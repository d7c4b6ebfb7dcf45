"""Boosted trees of other libraries, in numpy: the same sums, the same labels, the same ways for gaps and categories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost

from loopline.adapters.engines.tables import Tables
from loopline.adapters.runtimes import RUNTIMES
from loopline.core.tables import Column, Signature

pytestmark = pytest.mark.integration
ROWS = 300
DRAW = np.random.default_rng(9)
PLAIN = pd.DataFrame({name: DRAW.normal(size=ROWS) for name in "abcd"})
GAPS = PLAIN.copy()
GAPS.loc[::6, "a"] = np.nan
CARRIER = pd.Series(DRAW.choice(["AA", "B6", "UA", "DL"], ROWS))
TYPED = GAPS.assign(carrier=CARRIER.astype("category"))[["carrier", *"abcd"]]
HEAT = (PLAIN["a"] + PLAIN["b"] * PLAIN["c"] + (CARRIER == "B6") * 2).to_numpy()
LATE, WORDS = (HEAT > 0.5).astype(int), np.array(["no", "soon", "yes"])[np.digitize(HEAT, [0, 1.5])]
LIGHT: dict[str, Any] = {"n_estimators": 12, "verbose": -1, "n_jobs": 1, "min_child_samples": 5}
EXTREME: dict[str, Any] = {"n_estimators": 12, "n_jobs": 1, "max_depth": 4}
CAT: dict[str, Any] = {"iterations": 12, "verbose": 0, "thread_count": 1, "allow_writing_files": False}

MODELS: dict[str, tuple[Any, pd.DataFrame, Any]] = {
    "lightgbm": (lightgbm.LGBMClassifier(**LIGHT), GAPS, LATE),
    "lightgbm of three": (lightgbm.LGBMClassifier(**LIGHT), GAPS, WORDS),
    "lightgbm with categories": (lightgbm.LGBMRegressor(**LIGHT), TYPED, HEAT),
    "lightgbm of counts": (lightgbm.LGBMRegressor(objective="poisson", **LIGHT), PLAIN, np.abs(HEAT)),
    "lightgbm without gaps": (lightgbm.LGBMRegressor(use_missing=False, **LIGHT), PLAIN, HEAT),
    "lightgbm forest": (
        lightgbm.LGBMRegressor(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, **LIGHT), PLAIN, HEAT,
    ),
    "xgboost": (xgboost.XGBClassifier(**EXTREME), GAPS, LATE),
    "xgboost with categories": (xgboost.XGBRegressor(enable_categorical=True, max_cat_to_onehot=2, **EXTREME), TYPED, HEAT),
    "xgboost with single categories": (xgboost.XGBRegressor(enable_categorical=True, **EXTREME), TYPED, HEAT),
    "xgboost of three": (xgboost.XGBClassifier(**EXTREME), GAPS, np.digitize(HEAT, [0, 1.5])),
    "xgboost of numbers": (xgboost.XGBRegressor(**EXTREME), GAPS, HEAT),
    "xgboost of counts": (xgboost.XGBRegressor(objective="count:poisson", **EXTREME), PLAIN, np.abs(HEAT)),
    "catboost": (catboost.CatBoostClassifier(**CAT), GAPS, LATE),
    "catboost of three": (catboost.CatBoostClassifier(**CAT), PLAIN, WORDS),
    "catboost of numbers": (catboost.CatBoostRegressor(**CAT), GAPS, HEAT),
}  # fmt: skip


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        name: frame[name].astype(object).to_numpy() if name == "carrier" else frame[name].to_numpy() for name in frame
    }


def edges(frame: pd.DataFrame, unheard: str) -> dict[str, Any]:
    """Values at the thresholds' borders, and categories that nobody has seen."""
    numbers = np.array([0.0, -0.0, np.nan, 1e30, -1e30, 1e-40, *PLAIN["b"][:10]])
    texts = np.array([unheard, None, "AA", "UA"] * 4, dtype=object)
    return {name: texts if name == "carrier" else np.roll(numbers, at) for at, name in enumerate(frame)}


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_what_the_library_answers(name: str, tmp_path: Path) -> None:
    model, frame, labels = MODELS[name]
    kind = "string" if labels is WORDS else "float"
    inputs = (Column(each, "string" if each == "carrier" else "float", nullable=True) for each in frame)
    taken = Signature(tuple(inputs), Column("y", "string" if kind == "string" else "float"))
    runtime = RUNTIMES[name.split()[0]]
    runtime.save(model.fit(frame, labels), tmp_path)
    loaded: Any = runtime.load(tmp_path, taken)
    content = Tables().compile(loaded, taken)
    quick = Tables().load(content, taken)
    for given in (columns(frame), edges(frame, "DL" if name.startswith("xgboost") else "??")):
        expected, found = loaded.predict(given), quick.predict(given)
        if expected.dtype == object:
            assert found.tolist() == expected.tolist()
        else:
            assert np.allclose(found, expected, rtol=quick.tolerance, atol=1e-3 * quick.tolerance)
