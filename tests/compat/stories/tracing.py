"""Traces: spans are taken, found again, tagged and deleted."""

import mlflow
from mlflow import MlflowClient


def story(say):
    ident = mlflow.set_experiment("tracing").experiment_id

    @mlflow.trace(name="outer", span_type="CHAIN", attributes={"k": "v"})
    def outer(number):
        return inner(number) + 1

    @mlflow.trace
    def inner(number):
        return number * 2

    outer(20)
    mlflow.flush_trace_async_logging(terminate=False)
    last = mlflow.get_last_active_trace_id()
    found = mlflow.get_trace(last)
    say("state", str(found.info.state))
    say(
        "spans",
        sorted([one.name, one.span_type, one.parent_id is None, one.inputs, one.outputs] for one in found.data.spans),
    )
    try:
        with mlflow.start_span("failing"):
            raise ValueError("as wanted")
    except ValueError:
        pass
    mlflow.flush_trace_async_logging(terminate=False)
    say("found", len(mlflow.search_traces([ident], return_type="list")))
    client = MlflowClient()
    client.set_trace_tag(last, "seen", "yes")
    say("tagged", mlflow.get_trace(last).info.tags["seen"])
    say("by tag", len(mlflow.search_traces([ident], filter_string="tags.seen = 'yes'", return_type="list")))
    client.delete_trace_tag(last, "seen")
    say("deleted", client.delete_traces(ident, trace_ids=[last]))
    say("left", len(mlflow.search_traces([ident], return_type="list")))
