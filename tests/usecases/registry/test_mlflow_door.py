"""The registry over MLflow's protocol: models, versions, stages, aliases, searches, and what a gate guards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.app.wiring import Loopline, audit
from loopline.core.errors import Invalid, LooplineError, NotFound, Refused, Taken
from loopline.core.tables import Column, Signature
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.testing.factories import installation
from loopline.usecases.registry.wire_mlflow import ROUTES

pytestmark = pytest.mark.integration
ADA = Caller("ada", Role.EDITOR)
GATED = """\
project: small
gates:
  small: {model: late, promote_to: production, no_worse_by: 0.5}
"""


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopline]:
    """One installation for tests that only see refusals."""
    with installation(tmp_path_factory.mktemp("standing")) as opened:
        made(opened)
        yield opened


@pytest.fixture(scope="module")
def shared(standing: Loopline) -> Any:
    return standing.registry


def ask(loopline: Any, method: str, path: str, /, **fields: Any) -> Any:
    route: Route = next(one for one in ROUTES if one.method == method and one.path == path)
    return route.call(loopline.registry, fields, ADA)


def made(loopline: Loopline, name: str = "late", versions: int = 1, **fields: Any) -> list[str]:
    with contextlib.suppress(Taken):
        ask(loopline, "POST", "registered-models/create", name=name)
    answers = [
        ask(loopline, "POST", "model-versions/create", name=name, source=f"s3://bucket/{n}", **fields)
        for n in range(versions)
    ]
    return [one["model_version"]["version"] for one in answers]


def model(loopline: Loopline, name: str = "late") -> Any:
    return ask(loopline, "GET", "registered-models/get", name=name)["registered_model"]


def sound(loopline: Loopline) -> bool:
    return not audit(loopline).problems


def native(loopline: Loopline, folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / "model.skops").write_text(name)
    signature = Signature((Column("x", "float"),), Column("y", "float"))
    digest = loopline.registry.keep(folder, "sklearn-skops", signature)
    loopline.registry.register(name, digest, "run", {}, signature, None, None, {}, "ada")


def guard(loopline: Loopline, folder: Path) -> None:
    folder.mkdir()
    (folder / "loopline.yaml").write_text(GATED)
    loopline.projects.apply(folder, "ada")


def test_a_model_is_made_described_tagged_and_found(loopline: Loopline) -> None:
    tags = [{"key": "team", "value": "air"}]
    answer = ask(loopline, "POST", "registered-models/create", name="late flights", description="d", tags=tags)
    assert answer["registered_model"]["name"] == "late flights"
    assert isinstance(answer["registered_model"]["creation_timestamp"], int)
    with pytest.raises(Taken, match="already exists"):
        ask(loopline, "POST", "registered-models/create", name="late flights")
    ask(loopline, "PATCH", "registered-models/update", name="late flights", description="other")
    ask(loopline, "POST", "registered-models/set-tag", name="late flights", key="a", value="1")
    ask(loopline, "DELETE", "registered-models/delete-tag", name="late flights", key="team")
    ask(loopline, "DELETE", "registered-models/delete-tag", name="late flights", key="team")
    found = model(loopline, "late flights")
    assert (found["description"], found["tags"]) == ("other", [{"key": "a", "value": "1"}])
    kinds = [fact.kind for fact in loopline.ledger.about("late flights")]
    assert kinds == ["model.created", "model.described", "model.tagged", "model.untagged"]
    assert loopline.registry.versions("late flights") == []
    with pytest.raises(NotFound):
        loopline.registry.find("late flights")


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "..", "x" * 257, "a\nb", 7, None])
def test_bad_names_are_refused(standing: Loopline, name: Any) -> None:
    with pytest.raises(Invalid):
        ask(standing, "POST", "registered-models/create", name=name)


def test_numbers_of_deleted_versions_are_not_given_again(loopline: Loopline) -> None:
    assert made(loopline, versions=3) == ["1", "2", "3"]
    ask(loopline, "DELETE", "model-versions/delete", name="late", version="3")
    with pytest.raises(NotFound, match="version=3"):
        ask(loopline, "GET", "model-versions/get", name="late", version="3")
    assert made(loopline) == ["4"]
    ask(loopline, "DELETE", "registered-models/delete", name="late")
    with pytest.raises(NotFound, match="name=late"):
        model(loopline)
    assert made(loopline) == ["5"]
    assert sound(loopline)


def test_aliases_move_vanish_and_are_remembered(loopline: Loopline) -> None:
    made(loopline, versions=2)
    for version in ("1", "2", "2"):
        ask(loopline, "POST", "registered-models/alias", name="late", alias="champion", version=version)
    assert (
        ask(loopline, "GET", "registered-models/alias", name="late", alias="champion")["model_version"]["version"]
        == "2"
    )
    assert model(loopline)["aliases"] == [{"alias": "champion", "version": "2"}]
    ask(loopline, "DELETE", "model-versions/delete", name="late", version="2")
    with pytest.raises(Invalid, match="not found"):
        ask(loopline, "GET", "registered-models/alias", name="late", alias="champion")
    ask(loopline, "DELETE", "registered-models/alias", name="late", alias="champion")
    moves = loopline.registry.alias_history("late", "champion")
    assert [(one.from_version, one.version, one.actor) for one in moves] == [
        (None, 1, "ada"),
        (1, 2, "ada"),
        (2, None, "ada"),
    ]
    assert loopline.registry.alias_at("late", "champion", moves[-1].moved_at) is None
    assert (
        ask(loopline, "GET", "registered-models/alias", name="late", alias="latest")["model_version"]["version"] == "1"
    )
    assert sound(loopline)


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "V22", "a b", "a/b", "x" * 256, "", "a@b"])
def test_bad_aliases_are_refused(standing: Loopline, alias: str) -> None:
    with pytest.raises(Invalid):
        ask(standing, "POST", "registered-models/alias", name="late", alias=alias, version="1")


def test_renaming_keeps_versions_aliases_and_history(loopline: Loopline) -> None:
    made(loopline, versions=2)
    made(loopline, "taken")
    ask(loopline, "POST", "registered-models/alias", name="late", alias="champion", version="2")
    ask(loopline, "POST", "model-versions/set-tag", name="late", version="1", key="k", value="v")
    ask(loopline, "POST", "model-versions/transition-stage", name="late", version="1", stage="staging")
    with pytest.raises(Taken):
        ask(loopline, "POST", "registered-models/rename", name="late", new_name="taken")
    answer = ask(loopline, "POST", "registered-models/rename", name="late", new_name="new@name")["registered_model"]
    assert answer["aliases"] == [{"alias": "champion", "version": "2"}]
    assert [one.version for one in loopline.registry.versions("new@name")] == [1, 2]
    assert loopline.registry.version("new@name", 1).tags == {"k": "v"}
    assert len(loopline.registry.alias_history("new@name", "champion")) == 1
    assert loopline.registry.find("new@name@champion").version == 2
    assert sound(loopline)
    assert made(loopline) == ["3"]
    ask(loopline, "DELETE", "registered-models/delete", name="late")
    ask(loopline, "POST", "registered-models/rename", name="new@name", new_name="late")
    assert made(loopline) == ["4"]
    assert sound(loopline)


def test_the_audit_sees_an_edited_stage_and_a_revived_alias(loopline: Loopline) -> None:
    made(loopline, versions=2)
    ask(loopline, "POST", "registered-models/alias", name="late", alias="champion", version="2")
    ask(loopline, "DELETE", "registered-models/alias", name="late", alias="champion")
    ask(loopline, "POST", "model-versions/transition-stage", name="late", version="1", stage="Staging")
    assert sound(loopline)
    database = loopline.get("database")
    database.write(lambda tx: tx.run("UPDATE registry_versions SET stage = 'Production' WHERE version = 1"))
    assert not sound(loopline)
    database.write(lambda tx: tx.run("UPDATE registry_versions SET stage = 'Staging' WHERE version = 1"))
    row = "INSERT INTO registry_aliases (model, alias, version, moved_at) VALUES ('late', 'champion', 2, '')"
    database.write(lambda tx: tx.run(row))
    assert not sound(loopline)


def test_stages_move_and_archive(loopline: Loopline) -> None:
    made(loopline, versions=3)

    def stage(version: str, to: str, **more: Any) -> Any:
        fields = {"name": "late", "version": version, "stage": to, **more}
        return ask(loopline, "POST", "model-versions/transition-stage", **fields)["model_version"]["current_stage"]

    assert stage("1", "PRODUCTION") == "Production"
    assert stage("2", "production", archive_existing_versions=True) == "Production"
    newest = {one["current_stage"]: one["version"] for one in model(loopline)["latest_versions"]}
    assert newest == {"Archived": "1", "Production": "2", "None": "3"}
    only = ask(loopline, "GET", "registered-models/get-latest-versions", name="late", stages=["production", "Staging"])
    assert [one["version"] for one in only["model_versions"]] == ["2"]
    for wrong in ({"to": "Nowhere"}, {"to": "Archived", "archive_existing_versions": True}):
        with pytest.raises(Invalid):
            stage("1", **wrong)
    with pytest.raises(NotFound):
        stage("9", "Staging")


def test_one_change_of_stages_has_one_time(loopline: Loopline, monkeypatch: pytest.MonkeyPatch) -> None:
    made(loopline, versions=3)
    for version in ("2", "3"):
        loopline.registry.stage("late", int(version), "Production", "ann")
    ticks = iter(range(100))
    monkeypatch.setattr(
        loopline.registry, "_clock", SimpleNamespace(text=lambda: f"2030-01-01T00:00:00.{next(ticks):03}Z")
    )
    loopline.registry.stage("late", 1, "Production", "ann", archive=True)
    assert len({one.updated_at for one in loopline.registry.versions("late")}) == 1


def test_searches_filter_order_and_page(loopline: Loopline) -> None:
    for name in ("b", "a", "C_1"):
        made(loopline, name, versions=2, run_id=name * 4)
    ask(loopline, "POST", "registered-models/set-tag", name="a", key="team", value="Air")
    ask(loopline, "POST", "model-versions/set-tag", name="b", version="2", key="ok", value="yes")
    ask(loopline, "POST", "registered-models/alias", name="a", alias="x", version="1")

    def models(where: str = "", **fields: Any) -> list[str]:
        answer = ask(loopline, "GET", "registered-models/search", filter=where, **fields)
        return [one["name"] for one in answer["registered_models"]]

    def versions(where: str = "", **fields: Any) -> list[str]:
        answer = ask(loopline, "GET", "model-versions/search", filter=where, **fields)
        return [one["name"] + one["version"] for one in answer["model_versions"]]

    assert models() == ["C_1", "a", "b"]
    assert models(order_by=["name DESC"]) == ["b", "a", "C_1"]
    assert models("name ILIKE 'c%'") == ["C_1"]
    assert models("name LIKE 'c%'") == []
    assert models("name IN ('a', 'b') AND tags.team = 'Air'") == ["a"]
    assert models("tags.team != 'Air'") == []
    assert ask(loopline, "GET", "registered-models/search", filter="name = 'a'")["registered_models"][0]["aliases"]
    [first] = ask(loopline, "GET", "model-versions/search", filter="name = 'a' AND version_number = 1")[
        "model_versions"
    ]
    assert first["aliases"] == ["x"]
    assert versions("name = 'b'") == ["b2", "b1"]
    assert versions("run_id IN ('aaaa', 'bbbb') AND version_number < 2", order_by=["name ASC"]) == ["a1", "b1"]
    assert versions("source_path = 's3://bucket/1' AND tags.ok = 'yes'") == ["b2"]
    seen: list[str] = []
    token = ""
    while True:
        answer = ask(
            loopline,
            "GET",
            "model-versions/search",
            max_results="4",
            page_token=token,
            order_by=["name", "version_number"],
        )
        seen += [one["name"] + one["version"] for one in answer["model_versions"]]
        if not (token := answer.get("next_page_token", "")):
            break
    assert seen == ["C_11", "C_12", "a1", "a2", "b1", "b2"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("registered-models/search", {"filter": "run_id = 'x'"}),
        ("registered-models/search", {"filter": "name > 'x'"}),
        ("registered-models/search", {"filter": "name = 3"}),
        ("registered-models/search", {"filter": "name = 'x' OR name = 'y'"}),
        ("registered-models/search", {"filter": "name IN ()"}),
        ("registered-models/search", {"order_by": ["version_number"]}),
        ("registered-models/search", {"order_by": ["name", "name DESC"]}),
        ("registered-models/search", {"order_by": ["name SIDEWAYS"]}),
        ("registered-models/search", {"max_results": 1001}),
        ("registered-models/search", {"page_token": "!"}),
        ("model-versions/search", {"filter": "version_number LIKE '1'"}),
        ("model-versions/search", {"filter": "source_path IN ('a')"}),
        ("model-versions/search", {"max_results": 0}),
    ],
)
def test_wrong_searches_are_refused(standing: Loopline, path: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        ask(standing, "GET", path, **fields)


def test_prompts_are_found_only_when_asked_for(loopline: Loopline) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "x" * 100_000}]
    ask(loopline, "POST", "registered-models/create", name="hello", tags=tags[:1])
    ask(loopline, "POST", "model-versions/create", name="hello", source="dummy-source", tags=tags)
    made(loopline)
    for where, names in (
        ("", ["late"]),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", ["hello"]),
        ("tags.`mlflow.prompt.is_prompt` = 'false'", ["late"]),
    ):
        found = ask(loopline, "GET", "registered-models/search", filter=where)["registered_models"]
        assert [one["name"] for one in found] == names
        versions = ask(loopline, "GET", "model-versions/search", filter=where)["model_versions"]
        assert [one["name"] for one in versions] == names
    with pytest.raises(Invalid, match="prompt source"):
        ask(loopline, "POST", "model-versions/create", name="hello", source="s3://b/x", tags=tags)
    with pytest.raises(Invalid, match="Prompt versions"):
        ask(loopline, "POST", "model-versions/create", name="late", source="models:/hello/1")


@pytest.mark.parametrize("held", ["alias", "stage"])
def test_what_a_gate_guards_is_not_moved_here(loopline: Loopline, tmp_path: Path, held: str) -> None:
    made(loopline, versions=2)
    point = {"name": "late", "version": "1", "alias": "production", "stage": "Production"}
    route = "registered-models/alias" if held == "alias" else "model-versions/transition-stage"
    ask(loopline, "POST", route, **point)
    made(loopline, "other")
    ask(loopline, "POST", route, **{**point, "name": "other"})
    guard(loopline, tmp_path / "small")
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "registered-models/alias", {**point, "version": "2"}),
        ("POST", "model-versions/transition-stage", {**point, "version": "2"}),
        ("DELETE", "model-versions/delete", {"name": "late", "version": "1"}),
        ("DELETE", "registered-models/delete", {"name": "late"}),
        ("POST", "registered-models/rename", {"name": "late", "new_name": "free"}),
    ]
    if held == "alias":
        tries.append(("DELETE", "registered-models/alias", point))
    else:
        tries.append(("POST", "model-versions/transition-stage", {**point, "stage": "Archived"}))
    for method, path, fields in tries:
        with pytest.raises(Refused, match="a gate guards production") as refused:
            ask(loopline, method, path, **fields)
        assert "loopline gate late:" in refused.value.hint
    ask(loopline, "POST", "registered-models/alias", name="late", version="2", alias="trial")
    ask(loopline, "DELETE", "model-versions/delete", name="late", version="2")
    assert sound(loopline)


def test_a_renamed_model_does_not_bring_a_guarded_name_along(loopline: Loopline, tmp_path: Path) -> None:
    made(loopline, "other")
    ask(loopline, "POST", "registered-models/alias", name="other", alias="production", version="1")
    guard(loopline, tmp_path / "small")
    with pytest.raises(Refused):
        ask(loopline, "POST", "registered-models/rename", name="other", new_name="late")


def test_a_gate_judges_bytes_and_not_a_name(loopline: Loopline, tmp_path: Path) -> None:
    native(loopline, tmp_path / "a", "a")
    native(loopline, tmp_path / "b", "b")
    loopline.promotion.gate("b", 1, "production", "ada")
    ask(loopline, "DELETE", "registered-models/delete", name="b")
    ask(loopline, "POST", "registered-models/rename", name="a", new_name="b")
    with pytest.raises(Refused, match="judged another version"):
        loopline.promotion.promote("b", 1, "production", "ada")


def test_a_copy_is_what_it_copies(loopline: Loopline, tmp_path: Path) -> None:
    native(loopline, tmp_path / "a", "late")
    ask(loopline, "POST", "registered-models/alias", name="late", alias="x", version="1")
    made(loopline, "other", versions=0)
    fields = {"name": "other", "source": "models:/late@x", "tags": [{"key": "loopline.label", "value": "y"}]}
    answer = ask(loopline, "POST", "model-versions/create", **fields)["model_version"]
    assert (answer["source"], answer["run_id"]) == ("models:/late/1", "run")
    first, copy = loopline.registry.version("late", 1), loopline.registry.version("other", 1)
    for name in ("digest", "format", "signature", "servable", "metrics", "evaluation_digest"):
        assert getattr(first, name) == getattr(copy, name)
    assert (copy.aliases, copy.metadata["label"], copy.created_by) == ((), "y", "ada")
    assert sound(loopline)


def test_what_is_served_stays(loopline: Loopline, tmp_path: Path) -> None:
    native(loopline, tmp_path / "a", "late")
    endpoint = SimpleNamespace(name="door", model="late", live=1, wanted=None)
    revision = SimpleNamespace(revision=1, version=1)
    loopline.registry._serving = SimpleNamespace(endpoints=lambda: [endpoint], revisions=lambda name: [revision])
    for method, path, fields in (
        ("DELETE", "model-versions/delete", {"version": "1"}),
        ("DELETE", "registered-models/delete", {}),
        ("POST", "registered-models/rename", {"new_name": "x"}),
    ):
        with pytest.raises(Refused, match="served by the endpoint 'door'"):
            ask(loopline, method, path, name="late", **fields)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["late", "1", "Staging", "champion"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "value"]), inner, max_size=3),
    max_leaves=5,
)
NAMES = "name new_name version source run_id model_id description tags stage stages alias key value filter order_by max_results page_token path run_link archive_existing_versions"


@given(st.sampled_from(ROUTES), st.dictionaries(st.sampled_from(NAMES.split()), anything, max_size=6))
def test_malformed_fields_are_refused_in_words(shared: Any, route: Route, fields: dict[str, Any]) -> None:
    with contextlib.suppress(LooplineError):
        route.call(shared, fields, ADA)
