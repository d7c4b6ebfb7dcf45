"""MLflow's routes for runs: states, names, tags, inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid, NotFound

pytestmark = pytest.mark.integration
Call = Callable[..., Any]
MODEL = "m-" + "1" * 32


def got(call: Call, run_id: str) -> Any:
    return call("runs/get", "GET", run_id=run_id)["run"]


def tags(call: Call, run_id: str) -> dict[str, str]:
    return {one["key"]: one["value"] for one in got(call, run_id)["data"].get("tags", [])}


def dataset(name: str = "d", digest: str = "abc", context: str = "train", **more: Any) -> dict[str, Any]:
    told = {"name": name, "digest": digest, "source_type": "local", "source": "{}", **more}
    return {"dataset": told, "tags": [{"key": "mlflow.data.context", "value": context}]}


def test_a_run_begins_as_told(opened: Any, call: Call, experiment: str) -> None:
    sent = [{"key": "mlflow.source.git.commit", "value": "c0ffee"}]
    run = call("runs/create", experiment_id=experiment, start_time="1234", run_name="first", user_id="bob", tags=sent)[
        "run"
    ]
    info = run["info"]
    assert info["run_id"] == info["run_uuid"]
    assert info["artifact_uri"] == f"mlflow-artifacts:/{experiment}/{info['run_id']}/artifacts"
    assert (info["status"], info["start_time"], info["run_name"], info["user_id"]) == ("RUNNING", 1234, "first", "bob")
    assert got(call, info["run_id"]) == run
    assert tags(call, info["run_id"]) == {"mlflow.runName": "first", "mlflow.source.git.commit": "c0ffee"}
    native = opened.tracking.get(info["run_id"])
    assert (native.created_by, native.surroundings["git"]) == ("ann", {"commit": "c0ffee"})
    assert [fact.kind for fact in opened.ledger.about(info["run_id"])] == ["run.started"]


def test_a_run_without_a_name_gets_one_and_a_tag_names_it_too(call: Call, experiment: str) -> None:
    given = call("runs/create", experiment_id=experiment)["run"]
    name = given["info"]["run_name"]
    assert len(name.split("-")) == 3
    assert given["data"]["tags"] == [{"key": "mlflow.runName", "value": name}]
    tag = [{"key": "mlflow.runName", "value": "by tag"}]
    assert call("runs/create", experiment_id=experiment, tags=tag)["run"]["info"]["run_name"] == "by tag"
    with pytest.raises(Invalid, match=r"Both 'run_name' argument and 'mlflow\.runName' tag"):
        call("runs/create", experiment_id=experiment, tags=tag, run_name="other")


def test_files_lie_below_the_experiments_own_place(call: Call, names: Call) -> None:
    made = call("experiments/create", name=names(), artifact_location="s3://bucket/a/?region=x")
    info = call("runs/create", experiment_id=made["experiment_id"])["run"]["info"]
    assert info["artifact_uri"] == f"s3://bucket/a/{info['run_id']}/artifacts?region=x"


@pytest.mark.parametrize(
    "fields",
    [
        {"experiment_id": 5},
        {"experiment_id": "x"},
        {"start_time": "soon"},
        {"start_time": 2**62},
        {"run_name": 5},
        {"tags": 5},
        {"tags": [{"value": "no key"}]},
        {"tags": [{"key": "k" * 251, "value": "x"}]},
    ],
)
def test_what_no_run_can_begin_as_is_refused(call: Call, fields: Any) -> None:
    with pytest.raises(Invalid):
        call("runs/create", **fields)


def test_an_update_changes_what_it_names_and_nothing_else(opened: Any, call: Call, run: str) -> None:
    info = call("runs/update", run_id=run, status="FINISHED", end_time=5678)["run_info"]
    assert (info["status"], info["end_time"]) == ("FINISHED", 5678)
    info = call("runs/update", run_id=run, run_name="renamed")["run_info"]
    assert (info["status"], info["end_time"], info["run_name"]) == ("FINISHED", 5678, "renamed")
    assert tags(call, run)["mlflow.runName"] == "renamed"
    call("runs/update", run_uuid=run, status="FINISHED", end_time=5678)
    assert [fact.kind for fact in opened.ledger.about(run)] == ["run.started", "run.finished"]
    assert call("runs/update", run_id=run, status="RUNNING", end_time=5678)["run_info"]["status"] == "RUNNING"
    assert call("runs/update", run_id=run, status="FAILED")["run_info"]["end_time"] > 5678
    kinds = [fact.kind for fact in opened.ledger.about(run)]
    assert kinds == ["run.started", "run.finished", "run.resumed", "run.finished"]
    for wrong in ("DONE", "finished", 9):
        with pytest.raises(Invalid, match="for parameter 'status'"):
            call("runs/update", run_id=run, status=wrong)


def test_the_name_tag_names_the_run(call: Call, run: str) -> None:
    call("runs/set-tag", run_id=run, key="mlflow.runName", value="by tag")
    assert got(call, run)["info"]["run_name"] == "by tag"
    call("runs/log-batch", run_id=run, tags=[{"key": "mlflow.runName", "value": "by batch"}])
    assert got(call, run)["info"]["run_name"] == "by batch"


def test_a_tag_is_taken_off_once(call: Call, run: str) -> None:
    call("runs/set-tag", run_id=run, key="k", value="v")
    call("runs/delete-tag", run_id=run, key="k")
    assert "k" not in tags(call, run)
    with pytest.raises(NotFound, match="No tag with name: k"):
        call("runs/delete-tag", run_id=run, key="k")


def test_deleting_and_restoring_may_be_repeated(opened: Any, call: Call, run: str) -> None:
    for path, stage in (("runs/delete", "deleted"), ("runs/restore", "active")):
        for _ in range(2):
            call(path, run_id=run)
            assert got(call, run)["info"]["lifecycle_stage"] == stage
    kinds = [fact.kind for fact in opened.ledger.about(run)]
    assert kinds == ["run.started", "run.deleted", "run.restored"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("runs/update", {"status": "FAILED"}),
        ("runs/set-tag", {"key": "a", "value": "1"}),
        ("runs/delete-tag", {"key": "mlflow.runName"}),
        ("runs/log-metric", {"key": "a", "value": 1, "timestamp": 1}),
        ("runs/log-parameter", {"key": "a", "value": "1"}),
        ("runs/log-batch", {"tags": [{"key": "a", "value": "1"}]}),
        ("runs/log-inputs", {"datasets": []}),
        ("runs/outputs", {"models": []}),
    ],
)
def test_nothing_is_written_to_a_deleted_run(call: Call, run: str, path: str, fields: Any) -> None:
    call("runs/delete", run_id=run)
    before = got(call, run)
    with pytest.raises((Conflict, Invalid), match="must be in the 'active' state"):
        call(path, run_id=run, **fields)
    assert got(call, run) == before


@pytest.mark.parametrize("path", ["update", "delete", "restore", "delete-tag", "log-inputs", "outputs", "log-model"])
def test_a_run_must_be_named_and_known(call: Call, path: str) -> None:
    note = json.dumps({"artifact_path": "p", "flavors": {}, "utc_time_created": "t", "run_id": "r"})
    needed: dict[str, Any] = {"delete-tag": {"key": "k"}, "outputs": {"models": []}, "log-model": {"model_json": note}}
    more = needed.get(path, {})
    for wrong in (None, ""):
        with pytest.raises(Invalid, match="Missing value for required parameter 'run_id'"):
            call(f"runs/{path}", run_id=wrong, **more)
    with pytest.raises(NotFound, match="Run with id=nope not found"):
        call(f"runs/{path}", run_id="nope", **more)


def test_inputs_and_outputs_are_kept_once(call: Call, run: str, experiment: str) -> None:
    call("runs/log-inputs", run_id=run, datasets=[dataset(schema="s"), dataset(context="again"), dataset("e")])
    call("runs/log-inputs", run_id=run, datasets=[dataset(context="later")], models=[{"model_id": MODEL}] * 2)
    for step in (1, 1, 3):
        call("runs/outputs", run_id=run, models=[{"model_id": MODEL, "step": step}])
    found = got(call, run)
    inputs = found["inputs"]["dataset_inputs"]
    assert [one["dataset"]["name"] for one in inputs] == ["d", "e"]
    assert inputs[0] == dataset(schema="s")
    assert found["inputs"]["model_inputs"] == [{"model_id": MODEL}]
    assert found["outputs"]["model_outputs"] == [{"model_id": MODEL, "step": 3}]
    used = call("experiments/search-datasets", experiment_ids=[experiment])["dataset_summaries"]
    assert [(one["name"], one["digest"], one["context"]) for one in used] == [
        ("d", "abc", "train"),
        ("e", "abc", "train"),
    ]


def test_a_dataset_of_the_native_client_is_told_too(tracking: Any, call: Call, run: str) -> None:
    from loopline.usecases.tracking.model import Link

    links = [
        Link(direction="input", name="flights", digest="f" * 64, kind="dataset"),
        Link(direction="output", name="late", digest="e" * 64, kind="model"),
    ]
    tracking.log(run, links=links)
    found = got(call, run)
    told = found["inputs"]["dataset_inputs"][0]["dataset"]
    assert (told["name"], told["digest"], told["source_type"]) == ("flights", "f" * 64, "loopline")
    assert found["outputs"] == {}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (5, "Invalid value 5 for parameter 'datasets'"),
        ([{}], r"Missing value for required parameter 'datasets\[0\].dataset'"),
        ([dataset("n" * 501)], "'name' exceeds the maximum length of 500"),
        ([dataset(digest="n" * 37)], "'digest' exceeds the maximum length of 36"),
        ([dataset(source="n" * 65_536)], "'source' exceeds"),
        ([dataset(context="n" * 501)], "'value' exceeds the maximum length of 500"),
        ([dataset()] * 1_001, "at most 1000 datasets"),
    ],
)
def test_inputs_that_cannot_be_kept_are_refused(call: Call, run: str, sent: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        call("runs/log-inputs", run_id=run, datasets=sent)
    assert got(call, run)["inputs"] == {}


def test_datasets_are_asked_for_few_experiments(call: Call) -> None:
    for wrong in ([], ["0"] * 21):
        with pytest.raises(Invalid, match="SearchDatasets request"):
            call("experiments/search-datasets", experiment_ids=wrong)


def test_old_clients_note_models_in_a_tag_each_once(call: Call, run: str) -> None:
    flavors = {"sklearn": {"config": {"long": 1}, "code": None}}
    told = {"artifact_path": "p", "flavors": flavors, "utc_time_created": "t", "run_id": run, "model_uuid": "u"}
    for path in ("p", "p", "q"):
        call("runs/log-model", run_id=run, model_json=json.dumps({**told, "artifact_path": path}))
    noted = json.loads(tags(call, run)["mlflow.log-model.history"])
    assert [(one["artifact_path"], one["flavors"]) for one in noted] == [
        ("p", {"sklearn": {"code": None}}),
        ("q", {"sklearn": {"code": None}}),
    ]
    for wrong in ("{", "[]", "{}", json.dumps({**told, "flavors": 5})):
        with pytest.raises(Invalid):
            call("runs/log-model", run_id=run, model_json=wrong)
