"""What went into a run: datasets by digest, and finding runs by them; evaluation of a model."""

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient


def story(say):
    mlflow.set_experiment("datasets")
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1]})
    data = mlflow.data.from_pandas(frame, name="day", targets="y")
    with mlflow.start_run(run_name="with day") as run:
        mlflow.log_input(data, context="training", tags={"k": "v"})
        mlflow.log_input(data, context="training")
        mlflow.log_input(mlflow.data.from_numpy(np.arange(6.0), name="array"), context="testing")
    with mlflow.start_run(run_name="with night"):
        mlflow.log_input(mlflow.data.from_pandas(frame[:2], name="night"))
    found = mlflow.get_run(run.info.run_id)
    say("inputs", sorted(seen(one) for one in found.inputs.dataset_inputs))
    source = mlflow.data.get_source(
        next(one.dataset for one in found.inputs.dataset_inputs if one.dataset.name == "day")
    )
    say("source", type(source).__name__)
    ident = run.info.experiment_id
    for text in (
        "dataset.name = 'day'",
        "datasets.name LIKE '%a%'",
        "dataset.context = 'testing'",
        "dataset.name = 'night'",
        f"dataset.digest = '{data.digest}'",
        "dataset.name IN ('day', 'other')",
        "dataset.name ILIKE 'DAY' and dataset.context = 'training'",
        "dataset.name != 'day'",
    ):
        say.ask(f"where {text}", lambda text=text: names(ident, text))
    evaluation(say, frame)


def evaluation(say, frame):
    class Half(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return (model_input["x"] > 2.5).astype(int)

    scored = frame.assign(guess=(frame.x > 2.5).astype(int))
    with mlflow.start_run(run_name="evaluation") as run:
        found = mlflow.models.evaluate(
            data=mlflow.data.from_pandas(scored, name="scored", predictions="guess", targets="y"),
            model_type="classifier",
        )
        say(
            "metrics",
            {
                key: found.metrics[key]
                for key in ("accuracy_score", "f1_score", "example_count")
                if key in found.metrics
            },
        )
        say("files", sorted(found.artifacts))
    logged = mlflow.get_run(run.info.run_id)
    say("logged", sorted(logged.data.metrics))
    say("evaluated inputs", [one.dataset.name for one in logged.inputs.dataset_inputs])
    say("evaluation files", sorted(one.path for one in MlflowClient().list_artifacts(run.info.run_id)))


def names(ident, text):
    return [one.info.run_name for one in MlflowClient().search_runs([ident], text, order_by=["attributes.run_name"])]


def seen(one):
    return [
        one.dataset.name,
        one.dataset.digest,
        one.dataset.source_type,
        sorted([tag.key, tag.value] for tag in one.tags),
    ]
