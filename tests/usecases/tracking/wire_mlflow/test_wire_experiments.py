"""MLflow's routes for experiments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid, NotFound, Taken

pytestmark = pytest.mark.integration
Call = Callable[..., Any]


def got(call: Call, number: str) -> Any:
    return call("experiments/get", "GET", experiment_id=number)["experiment"]


def test_an_experiment_is_made_once_and_found_by_number_and_name(call: Call, names: Call) -> None:
    name = names("a/b: c")
    number = call("experiments/create", name=name, tags=[{"key": "team", "value": "air"}])["experiment_id"]
    found = got(call, number)
    assert (found["name"], found["lifecycle_stage"], found["artifact_location"]) == (
        name,
        "active",
        f"mlflow-artifacts:/{number}",
    )
    assert found["tags"] == [{"key": "team", "value": "air"}]
    assert found["creation_time"] == found["last_update_time"] > 1_600_000_000_000
    assert call("experiments/get-by-name", "GET", experiment_name=name)["experiment"] == found
    with pytest.raises(Taken, match="already exists"):
        call("experiments/create", name=name)


def test_the_default_experiment_is_there_from_the_start(call: Call) -> None:
    assert got(call, "0")["name"] == "Default"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Missing value for required parameter 'name'"),
        ({"name": 123}, "Invalid value 123 for parameter 'name'"),
        ({"name": "x" * 501}, "'name' exceeds the maximum length of 500 characters"),
        ({"name": "n", "tags": [{"key": "a,b"}]}, "Names may only contain alphanumerics"),
        ({"name": "n", "tags": [{"key": "k", "value": "v" * 20_001}]}, "maximum length of 20000 characters"),
        ({"name": "n", "artifact_location": "runs:/abc"}, "cannot be a runs:/ URI"),
        ({"name": "n", "artifact_location": "s3://b/c#d"}, "can't include fragments or params"),
        ({"name": "n", "artifact_location": "http://["}, "is no address"),
    ],
)
def test_what_no_experiment_can_be_made_of_is_refused(call: Call, fields: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        call("experiments/create", **fields)


def test_an_unknown_experiment_is_not_found_and_a_wrong_number_is_refused(call: Call) -> None:
    for number in ("999999", "-1", "9" * 25):
        with pytest.raises(NotFound):
            got(call, number)
    with pytest.raises(Invalid, match="Experiment ID must be a valid integer"):
        got(call, "one")
    with pytest.raises(NotFound):
        call("experiments/get-by-name", "GET", experiment_name="nobody's")


def test_a_name_is_changed_but_not_to_one_in_use(opened: Any, call: Call, names: Call, experiment: str) -> None:
    name = names("better")
    call("experiments/update", experiment_id=experiment, new_name=name)
    call("experiments/update", experiment_id=experiment, new_name=name)
    assert got(call, experiment)["name"] == name
    facts = [fact.kind for fact in opened.ledger.about(f"experiment/{experiment}")]
    assert facts == ["experiment.created", "experiment.renamed"]
    with pytest.raises(Taken):
        call("experiments/update", experiment_id=experiment, new_name="Default")


def test_tags_are_set_replaced_and_taken_off(call: Call, experiment: str) -> None:
    for value in ("1", "2"):
        call("experiments/set-experiment-tag", experiment_id=experiment, key="k", value=value)
    assert got(call, experiment)["tags"] == [{"key": "k", "value": "2"}]
    call("experiments/delete-experiment-tag", experiment_id=experiment, key="k")
    assert "tags" not in got(call, experiment)
    with pytest.raises(NotFound, match="No tag with name: k"):
        call("experiments/delete-experiment-tag", experiment_id=experiment, key="k")


def test_deleting_takes_the_runs_along_and_restoring_brings_only_these_back(
    opened: Any, call: Call, experiment: str, run: str
) -> None:
    earlier = call("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    call("runs/delete", run_id=earlier)
    call("experiments/delete", experiment_id=experiment)

    def stage(run_id: str) -> str:
        found: str = call("runs/get", "GET", run_id=run_id)["run"]["info"]["lifecycle_stage"]
        return found

    assert (got(call, experiment)["lifecycle_stage"], stage(run)) == ("deleted", "deleted")
    with pytest.raises(NotFound):
        call("experiments/delete", experiment_id=experiment)
    refused: list[tuple[str, dict[str, Any]]] = [
        ("runs/create", {}),
        ("experiments/update", {"new_name": "x"}),
        ("experiments/set-experiment-tag", {"key": "a", "value": "b"}),
        ("experiments/delete-experiment-tag", {"key": "a"}),
    ]
    for path, fields in refused:
        with pytest.raises(Conflict, match=r"must be in the 'active' state|non-active"):
            call(path, experiment_id=experiment, **fields)
    call("experiments/restore", experiment_id=experiment)
    assert (got(call, experiment)["lifecycle_stage"], stage(run), stage(earlier)) == ("active", "active", "deleted")
    with pytest.raises(NotFound):
        call("experiments/restore", experiment_id=experiment)
    facts = [fact.kind for fact in opened.ledger.about(f"experiment/{experiment}")]
    assert facts == ["experiment.created", "experiment.deleted", "experiment.restored"]


def test_no_run_begins_in_an_experiment_in_the_trash_by_any_door(tracking: Any, call: Call, names: Call) -> None:
    name = names("gone")
    number = call("experiments/create", name=name)["experiment_id"]
    call("experiments/delete", experiment_id=number)
    with pytest.raises(Conflict, match="is in the trash"):
        tracking.start("late", actor="ann", experiment=name)


@pytest.fixture(scope="module")
def several(call: Call, names: Call) -> tuple[str, list[str]]:
    """A word in the names of four experiments, and their numbers; the last is deleted."""
    word = names("several").replace(" ", "-")
    tags: list[list[dict[str, str]]] = [[], [{"key": "n", "value": "1"}], [{"key": "n", "value": "x y"}], []]
    ids = [
        call("experiments/create", name=f"{word}-{'aBCd'[place]}", tags=tags[place])["experiment_id"]
        for place in range(4)
    ]
    call("experiments/delete", experiment_id=ids[3])
    return word, ids


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", [2, 1, 0]),
        ("name LIKE '%-b'", []),
        ("name ILIKE '%-b'", [1]),
        ("name LIKE '%-_'", [2, 1, 0]),
        ("tags.n = '1'", [1]),
        ("tag.n != '1'", [2]),
        ("tags.`n` LIKE 'x%'", [2]),
        ("tags.'n' LIKE 'x%'", [2]),
        ("tags.n IS NULL", [0]),
        ("tags.n is not null", [2, 1]),
        ("attribute.name != 'q' and creation_time > 0", [2, 1, 0]),
        ("last_update_time < 5", []),
    ],
)
def test_experiments_are_searched(call: Call, several: Any, where: str, expected: list[int]) -> None:
    word, ids = several
    whole = f"name LIKE '{word}%'" + (f" AND {where}" if where else "")
    found = call("experiments/search", filter=whole, max_results=10).get("experiments", [])
    assert [one["experiment_id"] for one in found] == [ids[place] for place in expected]


def test_experiments_are_searched_by_number(call: Call, several: Any) -> None:
    _, ids = several
    found = call("experiments/search", filter=f"experiment_id IN ('{ids[0]}', '{ids[2]}')", order_by=["experiment_id"])
    assert [one["experiment_id"] for one in found["experiments"]] == [ids[0], ids[2]]


@pytest.mark.parametrize(("view", "expected"), [("ACTIVE_ONLY", 3), ("DELETED_ONLY", 1), ("ALL", 4), (2, 1)])
def test_views_tell_deleted_experiments_apart(call: Call, several: Any, view: Any, expected: int) -> None:
    found = call("experiments/search", filter=f"name LIKE '{several[0]}%'", view_type=view)
    assert len(found["experiments"]) == expected


def test_pages_follow_each_other_and_the_last_names_no_other(call: Call, several: Any) -> None:
    asked = {"filter": f"name LIKE '{several[0]}%'", "order_by": ["name ASC"], "view_type": "ALL"}
    first = call("experiments/search", max_results=2, **asked)
    second = call("experiments/search", max_results=2, page_token=first["next_page_token"], **asked)
    names = [one["name"][-1] for one in first["experiments"] + second["experiments"]]
    assert (names, "next_page_token" in second) == (["B", "C", "a", "d"], False)
    by_query = {**asked, "order_by": "name ASC", "max_results": "2"}
    assert call("experiments/search", "GET", **by_query) == first


@pytest.mark.parametrize(
    "fields",
    [
        {"filter": "name"},
        {"filter": "foo = 'x'"},
        {"filter": "metrics.a > 1"},
        {"filter": "name > 'a'"},
        {"filter": "name = 5"},
        {"filter": "name IN ('a')"},
        {"filter": "name IS NULL"},
        {"filter": "creation_time = 'x'"},
        {"filter": "creation_time > 1.5"},
        {"filter": "experiment_id = 'x'"},
        {"filter": "experiment_id LIKE '1'"},
        {"filter": "name = 'a' OR name = 'b'"},
        {"filter": "name = 'a' AND"},
        {"order_by": ["tags.n"]},
        {"order_by": ["name foo"]},
        {"order_by": [""]},
        {"max_results": 0},
        {"max_results": 50_001},
        {"page_token": "garbage"},
        {"view_type": "SOME"},
    ],
)
def test_wrong_searches_are_refused(call: Call, fields: Any) -> None:
    with pytest.raises(Invalid):
        call("experiments/search", **fields)


def test_patterns_made_to_be_slow_are_quick(call: Call) -> None:
    call("experiments/search", filter=f"name LIKE '{'%a' * 2_000}%b' AND tags.x ILIKE '{'_%' * 2_000}'")
