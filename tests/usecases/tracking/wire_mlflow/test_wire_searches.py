"""MLflow's route for searching runs: views, experiments, pages, and what is told of each run found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loopline.core.errors import Invalid

pytestmark = pytest.mark.integration
Call = Callable[..., Any]
MODEL = "m-" + "3" * 32


@pytest.fixture(scope="module")
def filled(call: Call, names: Call) -> tuple[list[str], list[str]]:
    """Two experiments and five runs, r0…r4, begun one after the other; r3 lies in the second, r4 is deleted."""
    experiments = [call("experiments/create", name=names("searched"))["experiment_id"] for _ in range(2)]
    ids = []
    for place in range(5):
        made = call("runs/create", experiment_id=experiments[place == 3], start_time=place, run_name=f"r{place}")
        ids.append(made["run"]["info"]["run_id"])
        call(
            "runs/log-batch",
            run_id=ids[-1],
            metrics=[{"key": "m", "value": "NaN" if place == 1 else place, "timestamp": 7, "step": 2}],
            params=[{"key": "p", "value": str(9 - place)}],
            tags=[{"key": "a.b", "value": "x"}],
        )
    told = {"name": "d", "digest": "abc", "source_type": "local", "source": "{}"}
    tag = {"key": "mlflow.data.context", "value": "train"}
    call("runs/log-inputs", run_id=ids[0], datasets=[{"dataset": told, "tags": [tag]}])
    call("runs/outputs", run_id=ids[0], models=[{"model_id": MODEL, "step": 4}])
    call("runs/delete", run_id=ids[4])
    return experiments, ids


@pytest.fixture
def found(call: Call, filled: Any) -> Callable[..., list[str]]:
    def ask(**fields: Any) -> list[str]:
        answer = call("runs/search", **{"experiment_ids": filled[0], **fields})
        return [run["info"]["run_name"] for run in answer.get("runs", [])]

    return ask


def test_active_runs_of_the_experiments_named_are_found_newest_first(found: Any, filled: Any) -> None:
    first, second = filled[0]
    assert found() == ["r3", "r2", "r1", "r0"]
    assert (found(experiment_ids=[first]), found(experiment_ids=[second])) == (["r2", "r1", "r0"], ["r3"])
    assert found(experiment_ids=[]) == found(experiment_ids=["99999"]) == []


@pytest.mark.parametrize(
    ("view", "expected"), [("ACTIVE_ONLY", "r3 r2 r1 r0"), ("DELETED_ONLY", "r4"), ("ALL", "r4 r3 r2 r1 r0"), (2, "r4")]
)
def test_views_tell_deleted_runs_apart(found: Any, view: Any, expected: str) -> None:
    assert found(run_view_type=view) == expected.split()


@pytest.mark.parametrize(
    ("where", "order_by", "expected"),
    [
        ("metrics.m > 1", [], "r3 r2"),
        ("metrics.m != 2 AND params.p != '9'", [], "r3 r1"),
        ("tags.a.b = 'x' and attributes.run_name LIKE 'r%'", ["params.p ASC"], "r3 r2 r1 r0"),
        ("", ["metrics.m DESC"], "r3 r2 r0 r1"),
        ("", ["metrics.m ASC"], "r0 r2 r3 r1"),
        ("dataset.context = 'train'", [], "r0"),
        ("attributes.start_time < 2", ["run_name DESC"], "r1 r0"),
    ],
)
def test_runs_are_filtered_and_ordered(found: Any, where: str, order_by: list[str], expected: str) -> None:
    assert found(filter=where, order_by=order_by) == expected.split()


def test_a_run_found_is_told_whole(call: Call, filled: Any) -> None:
    first, ids = filled[0][0], filled[1]
    found = call("runs/search", experiment_ids=[first], filter=f"run_id = '{ids[0]}'")["runs"]
    assert found == [call("runs/get", "GET", run_id=ids[0])["run"]]
    (run,) = found
    assert run["data"]["metrics"] == [{"key": "m", "value": 0.0, "timestamp": 7, "step": 2}]
    assert run["data"]["params"] == [{"key": "p", "value": "9"}]
    assert run["inputs"]["dataset_inputs"][0]["tags"] == [{"key": "mlflow.data.context", "value": "train"}]
    assert run["outputs"]["model_outputs"] == [{"model_id": MODEL, "step": 4}]


def test_pages_follow_each_other_and_the_last_names_no_other(call: Call, filled: Any) -> None:
    asked = {"experiment_ids": filled[0], "order_by": ["metrics.m"], "max_results": 2}
    pages = [call("runs/search", **asked)]
    while token := pages[-1].get("next_page_token"):
        pages.append(call("runs/search", page_token=token, **asked))
    assert [[run["info"]["run_name"] for run in page["runs"]] for page in pages] == [["r0", "r2"], ["r3", "r1"]]


@pytest.mark.parametrize(
    "fields",
    [
        {"experiment_ids": ["x"]},
        {"experiment_ids": [5]},
        {"experiment_ids": "5"},
        {"filter": 5},
        {"filter": "metrics.m > 'a'"},
        {"filter": "metrics.m > 0 OR metrics.m < 1"},
        {"filter": "foo = 'x'"},
        {"order_by": ["metrics.m", "metrics.m"]},
        {"order_by": ["foo"]},
        {"order_by": [5]},
        {"max_results": 0},
        {"max_results": 50_001},
        {"page_token": "garbage"},
        {"run_view_type": "SOME"},
    ],
)
def test_wrong_searches_for_runs_are_refused(found: Any, fields: Any) -> None:
    with pytest.raises(Invalid):
        found(**fields)
