"""Experiments, runs, params, tags and metrics by all calls of the client, with their refusals."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType


def story(say):
    client = MlflowClient()
    experiments(say, client)
    runs(say, client)
    measures(say, client)
    batches(say, client)
    fluent(say)


def experiments(say, client):
    default = client.get_experiment("0")
    say("default experiment", [default.name, default.lifecycle_stage, default.artifact_location])
    ident = client.create_experiment("tracking", tags={"team": "red"})
    say("experiment", seen(client.get_experiment(ident)))
    say("by name", client.get_experiment_by_name("tracking").experiment_id == ident)
    say("by unknown name", client.get_experiment_by_name("no such"))
    say.refused("experiment twice", lambda: client.create_experiment("tracking"))
    say.refused("empty name", lambda: client.create_experiment(""))
    say.refused("unknown experiment", lambda: client.get_experiment("123456"))
    client.set_experiment_tag(ident, "team", "blue")
    client.rename_experiment(ident, "tracking renamed")
    say("renamed", seen(client.get_experiment(ident)))
    other = client.create_experiment("to be deleted", artifact_location="mlflow-artifacts:/elsewhere")
    run = client.create_run(other)
    client.delete_experiment(other)
    say("deleted", client.get_experiment(other).lifecycle_stage)
    say("its run", client.get_run(run.info.run_id).info.lifecycle_stage)
    say.refused("deleted twice", lambda: client.delete_experiment(other))
    say.refused("run in deleted experiment", lambda: client.create_run(other))
    say.refused("tag on deleted experiment", lambda: client.set_experiment_tag(other, "a", "b"))
    say.refused("name of deleted", lambda: client.create_experiment("to be deleted"))
    for name, view in (("active", ViewType.ACTIVE_ONLY), ("deleted", ViewType.DELETED_ONLY), ("all", ViewType.ALL)):
        say(f"experiments {name}", sorted(one.name for one in client.search_experiments(view_type=view)))
    client.restore_experiment(other)
    say("restored", client.get_run(run.info.run_id).info.lifecycle_stage)
    say("location", run.info.artifact_uri)
    for text in (
        "name = 'tracking renamed'",
        "name LIKE 'track%'",
        "name ILIKE 'TRACK%'",
        "tags.team = 'blue'",
        "tags.team != 'blue'",
    ):
        say.ask(
            f"experiments where {text}",
            lambda text=text: [one.name for one in client.search_experiments(filter_string=text)],
        )
    say("experiments by name", [one.name for one in client.search_experiments(order_by=["name DESC"])])
    page = client.search_experiments(max_results=2, order_by=["name ASC"])
    say("page", [[one.name for one in page], bool(page.token)])
    rest = client.search_experiments(max_results=2, order_by=["name ASC"], page_token=page.token)
    say("next page", [[one.name for one in rest], bool(rest.token)])
    say.refused("wrong filter", lambda: client.search_experiments(filter_string="nothing"))


def runs(say, client):
    ident = client.create_experiment("runs")
    run = client.create_run(ident, run_name="first", tags={"kind": "try"}, start_time=1_600_000_000_000)
    say("run", seen_run(run))
    run_id = run.info.run_id
    client.set_tag(run_id, "kind", "again")
    client.set_tag(run_id, "mlflow.runName", "by tag")
    say("named by tag", client.get_run(run_id).info.run_name)
    client.update_run(run_id, name="by update")
    say("named by update", client.get_run(run_id).data.tags["mlflow.runName"])
    client.delete_tag(run_id, "kind")
    say.refused("absent tag", lambda: client.delete_tag(run_id, "kind"))
    client.update_run(run_id, status="SCHEDULED")
    say("scheduled", client.get_run(run_id).info.status)
    client.set_terminated(run_id, "FAILED", end_time=1_600_000_100_000)
    say("ended", seen_run(client.get_run(run_id)))
    client.delete_run(run_id)
    client.delete_run(run_id)
    say("deleted run", client.get_run(run_id).info.lifecycle_stage)
    for name, call in writes(client, run_id).items():
        say.refused(f"{name} on deleted", call)
    client.restore_run(run_id)
    client.restore_run(run_id)
    say("restored run", client.get_run(run_id).info.lifecycle_stage)
    say.refused("unknown run", lambda: client.get_run("f" * 32))
    say.refused("no id", lambda: client.get_run("nonsense"))
    for name, call in writes(client, "f" * 32).items():
        say.refused(f"{name} on unknown", call)
    say.refused("wrong status", lambda: client.set_terminated(run_id, "DONE"))
    say.refused("conflicting names", lambda: client.create_run(ident, run_name="a", tags={"mlflow.runName": "b"}))


def writes(client, run_id):
    return {
        "metric": lambda: client.log_metric(run_id, "a", 1.0),
        "param": lambda: client.log_param(run_id, "a", 1),
        "tag": lambda: client.set_tag(run_id, "a", "b"),
        "batch": lambda: client.log_batch(run_id, metrics=[Metric("a", 1.0, 1, 1)]),
    }


def measures(say, client):
    run_id = client.create_run(client.create_experiment("measures")).info.run_id
    client.log_param(run_id, "depth", 3)
    client.log_param(run_id, "depth", 3)
    client.log_param(run_id, "empty", "")
    client.log_param(run_id, "long", "x" * 7000)
    say.refused("param again", lambda: client.log_param(run_id, "depth", 4))
    say.refused("param's key", lambda: client.log_param(run_id, "a/../b", 4))
    points = [
        (1.0, 10, 0),
        (2.0, 30, 2),
        (3.0, 20, 1),
        (3.0, 20, 1),
        (float("nan"), 40, 3),
        (7.0, 40, 2),
        (-1.5, 5, -1),
    ]
    for value, at, step in points:
        client.log_metric(run_id, "loss", value, at, step)
    client.log_metric(run_id, "huge", float("inf"), 1, 1)
    client.log_metric(run_id, "tiny", float("-inf"), 1, 1)
    client.log_metric(run_id, "with space/and-more.x", 1, 1, 1)
    say("history", [[one.value, one.timestamp, one.step] for one in client.get_metric_history(run_id, "loss")])
    say("unknown history", [str(one) for one in client.get_metric_history(run_id, "unknown")])
    found = client.get_run(run_id).data
    say("latest", {key: found.metrics[key] for key in ("loss", "with space/and-more.x")})
    say("infinite", [found.metrics["huge"] > 1e308, found.metrics["tiny"] < -1e308])
    say("params", {key: value if len(value) < 100 else len(value) for key, value in found.params.items()})
    for key in ("", "a//b", "../a", "/a", "a\n", "ä", "a:b", "k" * 251):
        say.refused(f"metric key {key[:10]!r}", lambda key=key: client.log_metric(run_id, key, 1.0))
    say.refused("metric of text", lambda: client.log_metric(run_id, "t", "not a number"))
    say.refused("negative time", lambda: client.log_metric(run_id, "t", 1.0, timestamp=-5))
    client.set_tag(run_id, "long", "y" * 9000)
    say("long tag", len(client.get_run(run_id).data.tags["long"]))
    say.refused("tag's key", lambda: client.set_tag(run_id, "k" * 251, "v"))


def batches(say, client):
    run_id = client.create_run(client.create_experiment("batches")).info.run_id
    client.log_batch(
        run_id,
        [Metric(f"m{number % 3}", number / 7, 1_000 + number, number) for number in range(2_500)],
        [Param(f"p{number}", str(number)) for number in range(150)],
        [RunTag(f"t{number}", str(number)) for number in range(120)],
    )
    found = client.get_run(run_id).data
    say("batch", [len(found.params), sum(key[0] == "t" for key in found.tags), found.metrics])
    say("batch history", len(client.get_metric_history(run_id, "m1")))
    say.refused("params twice", lambda: client.log_batch(run_id, params=[Param("a", "1"), Param("a", "2")]))
    say.refused("changed param", lambda: client.log_batch(run_id, [Metric("new", 1.0, 1, 1)], [Param("p0", "x")]))
    say.refused(
        "bad key in a batch", lambda: client.log_batch(run_id, [Metric("good", 1.0, 1, 1), Metric("a//b", 1.0, 1, 1)])
    )
    say("nothing of a refused batch", "good" in client.get_run(run_id).data.metrics)


def fluent(say):
    mlflow.set_experiment("fluent")
    with mlflow.start_run(run_name="parent", description="what it is") as parent:
        mlflow.log_params({"a": 1, "b": "two"})
        mlflow.log_metrics({"x": 1.5, "y": 2.5}, step=3)
        mlflow.set_tags({"k": "v"})
        mlflow.log_metric("z", 1, step=1)
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("x", 9)
    client = MlflowClient()
    say("parent", seen_run(client.get_run(parent.info.run_id)))
    say("child's parent", client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id)
    say("get_parent_run", mlflow.get_parent_run(child.info.run_id).info.run_name)
    try:
        with mlflow.start_run() as failing:
            raise ValueError("as wanted")
    except ValueError:
        say("failed", mlflow.get_run(failing.info.run_id).info.status)
    with mlflow.start_run(run_id=parent.info.run_id):
        mlflow.log_metric("later", 1)
    say("taken up again", sorted(mlflow.get_run(parent.info.run_id).data.metrics))
    with mlflow.start_run():
        waiting = [mlflow.log_metric("soon", number, step=number, synchronous=False) for number in range(50)]
        for one in waiting:
            one.wait()
        say("asynchronous", len(MlflowClient().get_metric_history(mlflow.active_run().info.run_id, "soon")))
    say("last active", mlflow.last_active_run().info.status)


def seen(experiment):
    return {
        "name": experiment.name,
        "stage": experiment.lifecycle_stage,
        "location": experiment.artifact_location,
        "tags": {key: value for key, value in experiment.tags.items() if not key.startswith("mlflow.experimentKind")},
        "times": [type(experiment.creation_time).__name__, type(experiment.last_update_time).__name__],
    }


def seen_run(run):
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith(("mlflow.source", "mlflow.user"))}
    info = run.info
    return {
        "info": [info.run_name, info.status, info.lifecycle_stage, info.start_time, info.end_time, info.artifact_uri],
        "experiment": info.experiment_id,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": tags,
    }
