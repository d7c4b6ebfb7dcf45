"""Has the stock client log and register models of many flavors, and prints what its own pyfunc predicts for some rows.

    python logging_models.py URI [MODEL…]     one JSON document: {model: {"rows": […], "predictions": […]}}

Part of the peers' environments: standard library, mlflow and what is installed there beside it.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import warnings

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

ROWS = 200
SHOWN = 25


def frame():
    draw = np.random.default_rng(4)
    made = pd.DataFrame(
        {
            "distance": draw.gamma(3, 300, ROWS),
            "delay": draw.normal(8, 20, ROWS),
            "hour": draw.integers(5, 24, ROWS),
            "wet": draw.random(ROWS) < 0.3,
        }
    )
    made.loc[::9, "delay"] = np.nan
    return made


def outcome(rows):
    return (rows.delay.fillna(8) / 15 + rows.hour / 8 - rows.distance / 900 + 1.2 * rows.wet).to_numpy()


def with_lightgbm(rows, y):
    import lightgbm

    few = {"n_estimators": 8, "verbose": -1, "n_jobs": 1}
    yield "lightgbm-classifier", lightgbm.LGBMClassifier(**few).fit(rows, y > 1), rows
    words = np.array(["early", "late", "on time"])[np.digitize(y, [0.5, 1.5])]
    yield "lightgbm-words", lightgbm.LGBMClassifier(**few).fit(rows, words), rows
    data = lightgbm.Dataset(rows, y > 1)
    yield "lightgbm-booster", lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5), rows


def with_xgboost(rows, y):
    import xgboost

    yield "xgboost-classifier", xgboost.XGBClassifier(n_estimators=6, n_jobs=1).fit(rows, (y > 1).astype(int)), rows
    yield "xgboost-regressor", xgboost.XGBRegressor(n_estimators=6, n_jobs=1).fit(rows, y), rows
    numbers = rows.drop(columns="wet")
    data = xgboost.DMatrix(numbers, y)
    yield "xgboost-booster", xgboost.train({"max_depth": 3, "nthread": 1}, data, 5), numbers


def with_sklearn(rows, y):
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    full = rows.fillna(0.0)
    yield "sklearn-classifier", make_pipeline(StandardScaler(), LogisticRegression()).fit(full, y > 1), full
    yield "sklearn-regressor", Ridge().fit(full, y), full


def with_catboost(rows, y):
    import catboost

    few = {"iterations": 6, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    typed = rows.assign(carrier=np.array(["AA", "B6", "UA"])[rows.hour % 3])
    yield "catboost-regressor", catboost.CatBoostRegressor(cat_features=["carrier"], **few).fit(typed, y), typed
    yield "catboost-classifier", catboost.CatBoostClassifier(**few).fit(rows, (y > 1).astype(int)), rows


def with_onnx(rows, y):
    from onnx import TensorProto, helper, numpy_helper

    numbers = rows[["distance", "delay", "hour"]].fillna(0.0).astype(np.float32)
    weights = np.linalg.lstsq(numbers.to_numpy(), y.astype(np.float32), rcond=None)[0].reshape(3, 1)
    held = numpy_helper.from_array(weights.astype(np.float32), "w")
    takes = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 3])
    gives = helper.make_tensor_value_info("late", TensorProto.FLOAT, [None, 1])
    node = helper.make_node("MatMul", ["rows", "w"], ["late"])
    graph = helper.make_graph([node], "linear", [takes], [gives], initializer=[held])
    opsets = [helper.make_opsetid("", 18)]
    yield "onnx-linear", helper.make_model(graph, opset_imports=opsets, ir_version=9), numbers


FLAVORS = {
    "lightgbm": with_lightgbm,
    "xgboost": with_xgboost,
    "sklearn": with_sklearn,
    "catboost": with_catboost,
    "onnx": with_onnx,
}


def logged(flavor, name, model, rows):
    """The model logged and registered, read back, and what it predicts."""
    options = {"pip_requirements": [flavor]}  # what it would find out by itself takes seconds
    if flavor in ("sklearn", "lightgbm"):
        options["serialization_format"] = "skops"
    if flavor == "onnx":
        signature = infer_signature(rows, rows[["distance"]].rename(columns={"distance": "late"}))
    else:
        given = rows if name != "xgboost-booster" else __import__("xgboost").DMatrix(rows)
        signature = infer_signature(rows, np.asarray(model.predict(given)).ravel())
    with mlflow.start_run():
        getattr(mlflow, flavor).log_model(
            model, name="model", signature=signature, registered_model_name=name, **options
        )
    found = mlflow.pyfunc.load_model(f"models:/{name}/1").predict(rows.head(SHOWN))
    found = found.to_numpy().ravel() if hasattr(found, "to_numpy") else np.asarray(found).ravel()
    return {
        "rows": json.loads(rows.head(SHOWN).to_json(orient="records", double_precision=15)),
        "predictions": found.tolist(),
    }


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("served")
    rows = frame()
    told = {}
    for flavor, models in FLAVORS.items():
        if importlib.util.find_spec(flavor):
            for name, model, given in models(rows, outcome(rows)):
                if not sys.argv[2:] or name in sys.argv[2:]:
                    told[name] = logged(flavor, name, model, given)
    from sklearn.linear_model import LinearRegression

    plain = LinearRegression().fit(rows[["hour"]], outcome(rows))
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            plain, name="model", registered_model_name="pickled", serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
            signature=infer_signature(rows[["hour"]], plain.predict(rows[["hour"]])),
        )  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
