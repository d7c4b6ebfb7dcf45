"""Autologging of scikit-learn with a search over parameters; a model in a safe format registered, loaded and asked."""

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NEW = int(mlflow.__version__.split(".")[0]) >= 3


def story(say):
    mlflow.set_experiment("sklearn")
    rows, target = make_classification(n_samples=120, n_features=5, random_state=0)
    mlflow.sklearn.autolog(**({"serialization_format": "skops"} if takes("serialization_format") else {}))
    with mlflow.start_run(run_name="pipeline") as one:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(rows, target)
        roc_auc_score(target, model.predict_proba(rows)[:, 1])
    with mlflow.start_run(run_name="grid") as two:
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3).fit(rows, target)
    mlflow.sklearn.autolog(disable=True)
    for name, run in (("pipeline", one), ("grid", two)):
        seen(say, name, run.info.run_id)
    children = MlflowClient().search_runs([two.info.experiment_id], f"tags.`mlflow.parentRunId` = '{two.info.run_id}'")
    say("children", sorted(child.data.params["C"] for child in children))
    safe(say, model, rows)


def takes(name):
    import inspect

    return name in inspect.signature(mlflow.sklearn.autolog).parameters


def safe(say, model, rows):
    signature = mlflow.models.infer_signature(rows, model.predict(rows))
    with mlflow.start_run():
        if NEW:
            kept = mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                signature=signature,
                registered_model_name="by-sklearn",
            )
        else:
            kept = mlflow.sklearn.log_model(model, "model", signature=signature, registered_model_name="by-sklearn")
    client = MlflowClient()
    client.set_registered_model_alias("by-sklearn", "champion", "1")
    loaded = mlflow.pyfunc.load_model("models:/by-sklearn@champion")
    say("same answers", bool((np.asarray(loaded.predict(rows)) == model.predict(rows)).all()))
    say("by number", type(mlflow.pyfunc.load_model("models:/by-sklearn/1")).__name__)
    say("by run", bool((mlflow.sklearn.load_model(kept.model_uri).predict(rows) == model.predict(rows)).all()))
    say("model info", [loaded.metadata.signature == signature, sorted(loaded.metadata.flavors)])
    say("by latest", type(mlflow.pyfunc.load_model("models:/by-sklearn/latest")).__name__)
    found = client.get_model_version_by_alias("by-sklearn", "champion")
    say("version", [found.version, found.status, found.name, found.aliases])
    if NEW:
        again = mlflow.register_model(f"models:/{kept.model_id}", "by-sklearn-again", tags={"why": "again"})
        say("registered by id", [again.version, again.tags, again.model_id == kept.model_id])
        say(
            "tags at the model",
            sorted(key for key in client.get_logged_model(kept.model_id).tags if ".git." not in key),
        )
    copied = client.copy_model_version("models:/by-sklearn@champion", "by-sklearn-copy")
    say("copied", [copied.version, copied.name, copied.status])


def seen(say, name, run_id):
    run = mlflow.get_run(run_id)
    say(f"{name} params", run.data.params)
    say(f"{name} metrics", run.data.metrics)
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    say(f"{name} tags", tags)
    say(f"{name} own tags", sorted(key for key in run.data.tags if key.startswith("mlflow.") and "source" not in key))
    say(f"{name} files", sorted(one.path for one in MlflowClient().list_artifacts(run_id)))
    say(
        f"{name} inputs",
        [[one.dataset.name, one.dataset.source_type, one.tags[0].value] for one in run.inputs.dataset_inputs],
    )
