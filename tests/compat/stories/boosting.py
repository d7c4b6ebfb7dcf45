"""Autologging of LightGBM and XGBoost; their models registered, given an alias, loaded by it and asked."""

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow import MlflowClient


def story(say):
    mlflow.set_experiment("boosting")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 4)), columns=list("abcd"))
    target = (frame.a + frame.b > 0).astype(int)
    for name, train in (("lightgbm", with_lightgbm), ("xgboost", with_xgboost)):
        flavor = getattr(mlflow, name)
        flavor.autolog(log_datasets=True)
        with mlflow.start_run(run_name=name) as run:
            booster = train(frame, target)
        flavor.autolog(disable=True)
        seen(say, name, run.info.run_id)
        with mlflow.start_run():
            kept = flavor.log_model(booster, name="model", registered_model_name=f"by-{name}", input_example=frame[:3])
        client = MlflowClient()
        client.set_registered_model_alias(f"by-{name}", "champion", "1")
        loaded = mlflow.pyfunc.load_model(f"models:/by-{name}@champion")
        say(f"{name} predicts", np.asarray(loaded.predict(frame[:5])).tolist())
        again = flavor.load_model(kept.model_uri)
        given = frame[:5] if name == "lightgbm" else xgboost.DMatrix(frame[:5])
        say(f"{name} natively", np.asarray(again.predict(given)).tolist())
        say(f"{name} signature", str(loaded.metadata.signature))


def with_lightgbm(frame, target):
    data = lightgbm.Dataset(frame, target)
    params = {"objective": "binary", "verbose": -1, "num_leaves": 7, "num_threads": 1, "metric": "auc"}
    return lightgbm.train(params, data, 5, valid_sets=[data], valid_names=["train"])


def with_xgboost(frame, target):
    data = xgboost.DMatrix(frame, target)
    params = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "eval_metric": "auc"}
    return xgboost.train(params, data, 5, evals=[(data, "train")], verbose_eval=False)


def seen(say, name, run_id):
    run = mlflow.get_run(run_id)
    say(f"{name} params", run.data.params)
    say(f"{name} metrics", run.data.metrics)
    say(f"{name} status", run.info.status)
    client = MlflowClient()
    say(f"{name} files", sorted(one.path for one in client.list_artifacts(run_id)))
    say(f"{name} histories", {key: len(client.get_metric_history(run_id, key)) for key in run.data.metrics})
    say(f"{name} inputs", [[one.dataset.name, one.tags[0].value] for one in run.inputs.dataset_inputs])
    say(f"{name} outputs", len(run.outputs.model_outputs))
