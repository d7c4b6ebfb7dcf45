"""Contributions add up to what the model answers, and belong to the inputs that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopline.adapters.runtimes import RUNTIMES
from loopline.core.tables import Column, Signature
from loopline.usecases.serving.explaining import scale

pytestmark = pytest.mark.integration
ROWS = 400
NUMBERS = Signature((Column("b", "float"), Column("a", "float"), Column("unused", "float")), Column("y", "float"))
MIXED = Signature(
    (Column("size", "float"), Column("color", "string"), Column("heat", "float", True)), Column("y", "float")
)


def data(kind: str) -> tuple[Any, Any]:
    random = np.random.default_rng(7)
    table = random.normal(size=(ROWS, 3))
    total = 2 * table[:, 0] - table[:, 1] ** 2 + 0.1 * random.normal(size=ROWS)
    return table, total if kind == "regression" else (total > 0).astype(int)


def loaded(model: Any, folder: Path, signature: Signature, name: str) -> Any:
    folder.mkdir()
    RUNTIMES[name].save(model, folder)
    return RUNTIMES[name].load(folder, signature)


def sums(model: Any, columns: dict[str, Any], wanted: str) -> Any:
    """Checks that base and contributions add up; answers the contributions."""
    parts, base = model.explain(columns)
    assert parts.dtype == base.dtype == np.float64
    assert parts.shape == (len(base), len(columns))
    values = model.predict(columns)
    for value, total in zip(values, base + parts.sum(axis=1), strict=True):
        assert scale(float(value), float(total)) == wanted
    return parts


def models() -> list[Any]:
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeRegressor

    return [
        pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), "log-odds", id="logistic"),
        pytest.param(Ridge(), "prediction", id="ridge"),
        pytest.param(DecisionTreeRegressor(max_depth=4), "prediction", id="tree"),
        pytest.param(RandomForestClassifier(20, max_depth=4, random_state=0), "prediction", id="forest"),
        pytest.param(
            make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=20)), "log-odds", id="boosting"
        ),
        pytest.param(GradientBoostingRegressor(n_estimators=20), "prediction", id="boosting regression"),
        pytest.param(HistGradientBoostingClassifier(max_iter=20), "log-odds", id="histograms"),
    ]


@pytest.mark.parametrize(("model", "wanted"), models())
def test_scikit_learn(model: Any, wanted: str, tmp_path: Path) -> None:
    table, target = data("regression" if wanted == "prediction" and not hasattr(model, "predict_proba") else "classes")
    model.fit(table, target)
    names = [column.name for column in NUMBERS.inputs]
    columns = {name: table[:30, place] for place, name in enumerate(names)}
    parts = sums(loaded(model, tmp_path / "m", NUMBERS, "sklearn-skops"), columns, wanted)
    assert np.abs(parts[:, 2]).mean() < 0.3 * np.abs(parts[:, 0]).mean()


def test_a_pipeline_of_columns_adds_up_what_it_makes_of_an_input(tmp_path: Path) -> None:
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "heat": random.normal(size=ROWS),
            "color": random.choice(["red", "blue", "green"], ROWS),
            "size": random.normal(size=ROWS),
        }
    )
    target = ((frame["color"] == "red") | (frame["size"] > 1)).astype(int)
    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["color"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["heat", "size"]),
    )
    model = make_pipeline(prepare, LogisticRegression()).fit(frame, target)
    columns = {name: frame[name].to_numpy()[:20] for name in ("size", "color", "heat")}
    columns["color"] = columns["color"].astype(object)
    parts = sums(loaded(model, tmp_path / "m", MIXED, "sklearn-skops"), columns, "log-odds")
    red = columns["color"] == "red"
    assert (parts[red, 1] > 0).all()
    assert (parts[~red, 1] < 0).all()


def test_what_cannot_be_told_is_not_offered(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    table, target = data("classes")
    several = RandomForestClassifier(5).fit(table, np.arange(ROWS) % 3)
    mixing = make_pipeline(PolynomialFeatures(), LogisticRegression(max_iter=500)).fit(table, target)
    for place, model in enumerate((several, mixing, GaussianNB().fit(table, target))):
        found = loaded(model, tmp_path / str(place), NUMBERS, "sklearn-skops")
        assert not hasattr(found, "explain")


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
@pytest.mark.parametrize("kind", ["regression", "classes"])
def test_boosters(name: str, kind: str, tmp_path: Path) -> None:
    table, target = data(kind)
    made = booster(name, kind).fit(table, target)
    folder = tmp_path / "m"
    folder.mkdir()
    RUNTIMES[name].save(made, folder)
    files = {path.name: path for path in folder.iterdir()}
    told: Any = RUNTIMES[name].signature(files)  # type: ignore[attr-defined]
    names = [column.name for column in told.inputs]
    turned = Signature(tuple(reversed(told.inputs)), told.output)
    columns = {column: table[:20, place] for place, column in enumerate(names)}
    columns = {column: columns[column] for column in reversed(names)}
    parts = sums(RUNTIMES[name].load(folder, turned), columns, "prediction" if kind == "regression" else "log-odds")
    assert np.abs(parts[:, 0]).mean() < 0.3 * np.abs(parts[:, 2]).mean()  # the last column was noise


def booster(name: str, kind: str) -> Any:
    if name == "lightgbm":
        import lightgbm

        made = lightgbm.LGBMRegressor if kind == "regression" else lightgbm.LGBMClassifier
        return made(n_estimators=20, n_jobs=1, verbose=-1)
    if name == "xgboost":
        import xgboost

        made = xgboost.XGBRegressor if kind == "regression" else xgboost.XGBClassifier
        return made(n_estimators=20, n_jobs=1)
    import catboost

    made = catboost.CatBoostRegressor if kind == "regression" else catboost.CatBoostClassifier
    return made(iterations=20, thread_count=1, verbose=False, allow_writing_files=False)
