"""Logged models of 3.x: life, tags, params, metrics, search, what a run put out."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, LoggedModelOutput, LoggedModelStatus, Metric


def story(say):
    client = MlflowClient()
    ident = client.create_experiment("logged models")
    run_id = client.create_run(ident).info.run_id
    first = client.create_logged_model(ident, "first", run_id, {"team": "red"}, {"depth": "3"}, "tree")
    say("created", model(first))
    say("ready", model(client.finalize_logged_model(first.model_id, LoggedModelStatus.READY)))
    client.set_logged_model_tags(first.model_id, {"team": "blue", "more": "1"})
    client.delete_logged_model_tag(first.model_id, "more")
    say.refused("absent tag", lambda: client.delete_logged_model_tag(first.model_id, "absent"))
    client.log_model_params(first.model_id, {"width": "9"})
    say("changed", model(client.get_logged_model(first.model_id)))
    client.log_metric(run_id, "auc", 0.9, 10, 1, model_id=first.model_id, dataset_name="day", dataset_digest="abc")
    client.log_batch(run_id, [Metric("loss", 0.1, 10, 2, model_id=first.model_id)])
    found = client.get_logged_model(first.model_id).metrics
    say(
        "metrics",
        sorted([one.key, one.value, one.step, one.dataset_name, one.dataset_digest, one.run_id] for one in found),
    )
    second = client.create_logged_model(ident, "second", params={f"p{number}": "x" for number in range(250)})
    say("many params", len(client.get_logged_model(second.model_id).params))
    client.finalize_logged_model(second.model_id, LoggedModelStatus.FAILED)
    for name in ("a/b", "a:b", "a.b", "a%b", "a'b"):
        say.refused(f"named {name}", lambda name=name: client.create_logged_model(ident, name))
    say.refused("unknown", lambda: client.get_logged_model("m-" + "f" * 32))
    searching(say, client, ident)
    linked(say, client, ident, first)
    client.delete_logged_model(second.model_id)
    say.refused("deleted", lambda: client.get_logged_model(second.model_id))
    say("left", [one.name for one in client.search_logged_models([ident])])


def searching(say, client, ident):
    for text in (
        "name = 'first'",
        "tags.team = 'blue'",
        "params.depth = '3'",
        "metrics.auc > 0.5",
        "metrics.auc > 0.95",
        "status = 'READY'",
        "model_type = 'tree'",
        "",
    ):
        say.ask(
            f"where {text}", lambda text=text: sorted(one.name for one in client.search_logged_models([ident], text))
        )
    say(
        "by name",
        [
            one.name
            for one in client.search_logged_models([ident], order_by=[{"field_name": "name", "ascending": False}])
        ],
    )
    say(
        "by metric",
        [
            one.name
            for one in client.search_logged_models(
                [ident], order_by=[{"field_name": "metrics.auc", "ascending": False}]
            )
        ],
    )
    page = client.search_logged_models([ident], max_results=1)
    say("page", [len(page), bool(page.token)])
    say.refused("wrong filter", lambda: client.search_logged_models([ident], "nothing = 1"))


def linked(say, client, ident, first):
    run_id = client.create_run(ident).info.run_id
    client.log_outputs(run_id, [LoggedModelOutput(first.model_id, step=3)])
    client.log_inputs(run_id, models=[LoggedModelInput(first.model_id)])
    found = client.get_run(run_id)
    say("outputs", [[one.model_id == first.model_id, one.step] for one in found.outputs.model_outputs])
    say("inputs", [one.model_id == first.model_id for one in found.inputs.model_inputs])
    with mlflow.start_run(experiment_id=ident):
        external = mlflow.create_external_model("outside")
        say("external", [external.name, external.status.name])


def model(found):
    tags = {key: value for key, value in found.tags.items() if not key.startswith("mlflow.")}
    return [
        found.name,
        found.status.name,
        found.model_type,
        found.params,
        tags,
        found.artifact_location,
        found.source_run_id,
        found.experiment_id,
    ]
