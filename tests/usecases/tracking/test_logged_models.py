"""Logged models: made, finished, tagged, measured, found, deleted; over MLflow's protocol."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.testing.factories import installation
from loopline.usecases.tracking.wire_mlflow import logged_models as wire

pytestmark = pytest.mark.integration
ADA = Caller("ada", Role.EDITOR)


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopline]:
    """One installation for tests that only see refusals."""
    with installation(tmp_path_factory.mktemp("standing")) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(standing: Loopline) -> Any:
    return standing.tracking


def ask(loopline: Loopline, method: str, path: str, /, **fields: Any) -> Any:
    route: Route = next(one for one in wire.ROUTES if one.method == method and one.path == path)
    return route.call(loopline.tracking, fields, ADA)


ONE = "logged-models/{model_id}"


def made(loopline: Loopline, name: str = "tree", **fields: Any) -> str:
    answer = ask(loopline, "POST", "logged-models", experiment_id="0", name=name, **fields)
    return str(answer["model"]["info"]["model_id"])


def measure(loopline: Loopline, model_id: str, key: str, value: float, **more: Any) -> None:
    row = {"model_id": model_id, "key": key, "at_ms": 1, "step": 0, "value": value, "is_nan": 0, "run_id": "r"}
    row |= {"dataset_name": "", "dataset_digest": "", **more}
    loopline.get("database").write(lambda tx: loopline.tracking.add_metrics_in(tx, [row]))


def found(loopline: Loopline, where: str = "", **fields: Any) -> list[str]:
    answer = ask(loopline, "POST", "logged-models/search", experiment_ids=["0"], filter=where, **fields)
    return [one["info"]["name"] for one in answer["models"]]


def test_a_model_goes_from_pending_to_ready_to_the_trash(loopline: Loopline) -> None:
    pairs = [{"key": "depth", "value": "3"}]
    answer = ask(
        loopline,
        "POST",
        "logged-models",
        experiment_id="0",
        name="tree",
        model_type="Agent",
        source_run_id="f" * 32,
        params=pairs,
        tags=pairs,
    )
    info = answer["model"]["info"]
    model_id = info["model_id"]
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    assert info["status"] == "LOGGED_MODEL_PENDING"
    assert (info["experiment_id"], info["model_type"], info["source_run_id"]) == ("0", "Agent", "f" * 32)
    assert answer["model"]["data"] == {"params": pairs, "metrics": []}
    assert info["tags"] == pairs
    for status in ("LOGGED_MODEL_READY", 2, "2"):
        finished = ask(loopline, "PATCH", ONE, model_id=model_id, status=status)
        assert finished["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    for _ in range(2):
        ask(loopline, "DELETE", ONE, model_id=model_id)
    with pytest.raises(NotFound, match="not found"):
        ask(loopline, "GET", ONE, model_id=model_id)
    assert ask(loopline, "GET", ONE, model_id=model_id, allow_deleted="true")["model"]["info"]["name"] == "tree"
    kinds = [fact.kind for fact in loopline.ledger.about(model_id)]
    assert kinds == ["logged_model.created", "logged_model.finalized", "logged_model.deleted"]
    assert found(loopline) == []


def test_tags_and_many_params(loopline: Loopline) -> None:
    model_id = made(loopline)
    many = [{"key": f"p{n}", "value": str(n)} for n in range(250)]
    for start in (0, 100, 200, 0):
        assert ask(loopline, "POST", f"{ONE}/params", model_id=model_id, params=many[start : start + 100]) == {}
    with pytest.raises(Invalid, match="already"):
        ask(loopline, "POST", f"{ONE}/params", model_id=model_id, params=[{"key": "p1", "value": "other"}])
    ask(
        loopline,
        "PATCH",
        f"{ONE}/tags",
        model_id=model_id,
        tags=[{"key": "a", "value": "1"}, {"key": "b/c", "value": "2"}],
    )
    tagged = ask(loopline, "PATCH", f"{ONE}/tags", model_id=model_id, tags=[{"key": "a", "value": "3"}])["model"]
    assert len(tagged["data"]["params"]) == 250
    assert {one["key"]: one["value"] for one in tagged["info"]["tags"]} == {"a": "3", "b/c": "2"}
    assert ask(loopline, "DELETE", f"{ONE}/tags/{{tag_key:path}}", model_id=model_id, tag_key="b/c") == {}
    with pytest.raises(NotFound):
        ask(loopline, "DELETE", f"{ONE}/tags/{{tag_key:path}}", model_id=model_id, tag_key="b/c")


def test_search_filters_orders_and_pages(loopline: Loopline) -> None:
    ids = {name: made(loopline, name, params=[{"key": "depth", "value": name[-1]}]) for name in ("m1", "m2", "m3")}
    measure(loopline, ids["m1"], "auc", 0.9)
    measure(loopline, ids["m2"], "auc", 0.8, dataset_name="test", dataset_digest="d1")
    measure(loopline, ids["m2"], "auc", 0.2, at_ms=9)
    measure(loopline, ids["m3"], "auc", 0.0, is_nan=1)
    ask(loopline, "PATCH", f"{ONE}/tags", model_id=ids["m3"], tags=[{"key": "a.b c", "value": "Ja"}])
    ask(loopline, "PATCH", ONE, model_id=ids["m1"], status="LOGGED_MODEL_READY")
    assert found(loopline, "name = 'm1'") == ["m1"]
    assert found(loopline, f"model_id IN ('{ids['m1']}', '{ids['m3']}') and name != 'm1'") == ["m3"]
    assert found(loopline, "status = 'READY'") == found(loopline, "attributes.status = 'LOGGED_MODEL_READY'") == ["m1"]
    assert found(loopline, "params.depth != '1'", order_by=[{"field_name": "name"}]) == ["m2", "m3"]
    assert found(loopline, "tags.`a.b c` ILIKE 'j%'") == ["m3"]
    assert found(loopline, "tags.`a.b c` LIKE 'j%'") == []
    assert found(loopline, "metrics.auc > 0.5", order_by=[{"field_name": "name", "ascending": False}]) == ["m2", "m1"]
    assert found(loopline, "metrics.auc > 0.5", datasets=[{"dataset_name": "test"}]) == ["m2"]
    assert found(loopline, datasets=[{"dataset_name": "test", "dataset_digest": "other"}]) == []
    assert found(
        loopline,
        "creation_timestamp > 0 AND creation_timestamp < 9999999999999",
        order_by=[{"field_name": "metrics.auc", "ascending": False}],
    ) == ["m1", "m2", "m3"]
    on_test = [{"field_name": "metrics.auc", "dataset_name": "test"}]
    assert found(loopline, order_by=on_test)[0] == "m2"
    seen, token = [], ""
    while True:
        answer = ask(
            loopline,
            "POST",
            "logged-models/search",
            experiment_ids=["0"],
            max_results=2,
            page_token=token,
            order_by=[{"field_name": "name"}],
        )
        seen += [one["info"]["name"] for one in answer["models"]]
        if not (token := answer.get("next_page_token", "")):
            break
    assert seen == ["m1", "m2", "m3"]


@pytest.mark.parametrize(
    "fields",
    [
        {"experiment_ids": None},
        {"experiment_ids": ["x"]},
        {"filter": "nothing = 'x'"},
        {"filter": "metrics.auc = 'x'"},
        {"filter": "name > 'x'"},
        {"filter": "name = 'x' OR name = 'y'"},
        {"filter": "name = 'x' AND"},
        {"filter": "name"},
        {"order_by": [{"field_name": "params.x"}]},
        {"order_by": [{"field_name": "metrics.x", "dataset_digest": "d"}]},
        {"order_by": ["name"]},
        {"datasets": [{}]},
        {"page_token": "garbage"},
        {"max_results": -1},
    ],
)
def test_wrong_searches_are_refused(standing: Loopline, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        ask(standing, "POST", "logged-models/search", **{"experiment_ids": ["0"], **fields})


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "100%", "it's", 'so "x"', "x" * 501, 7])
def test_bad_names_are_refused(standing: Loopline, name: Any) -> None:
    with pytest.raises(Invalid):
        ask(standing, "POST", "logged-models", experiment_id="0", name=name)


def test_a_model_without_a_name_gets_one_and_needs_an_experiment(loopline: Loopline) -> None:
    made_one = ask(loopline, "POST", "logged-models", experiment_id="0")["model"]["info"]
    assert made_one["name"]
    with pytest.raises(NotFound):
        ask(loopline, "POST", "logged-models", experiment_id="99")


def test_files_of_a_model_are_listed_from_its_root(loopline: Loopline) -> None:
    model_id = made(loopline)
    loopline.tracking.put_bytes(model_id, "deep/MLmodel", b"flavors: {}")
    answer = ask(loopline, "GET", f"{ONE}/artifacts/directories", model_id=model_id, artifact_directory_path="deep")
    assert answer["files"] == [{"path": "deep/MLmodel", "is_dir": False, "file_size": 11}]
    raw = ask(loopline, "GET", f"{ONE}/artifacts/files", model_id=model_id, artifact_file_path="deep/MLmodel")
    assert b"".join(raw.content) == b"flavors: {}"
    with pytest.raises(NotFound):
        ask(loopline, "GET", f"{ONE}/artifacts/directories", model_id="m-" + "0" * 32)


def test_measuring_an_unknown_model_is_refused(loopline: Loopline) -> None:
    with pytest.raises(NotFound):
        measure(loopline, "m-" + "0" * 32, "auc", 1.0)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key", "value", "field_name", "dataset_name"]), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = "experiment_id experiment_ids name model_id status tags params filter order_by datasets max_results page_token tag_key model_type"


@given(st.sampled_from(wire.ROUTES), st.dictionaries(st.sampled_from(NAMES.split()), anything, max_size=5))
def test_malformed_fields_are_refused_in_words(shared: Any, route: Route, fields: dict[str, Any]) -> None:
    with contextlib.suppress(LooplineError):
        route.call(shared, fields, ADA)
