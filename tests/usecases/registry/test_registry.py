"""Versions never change, aliases move and remember, and nothing unsafe is loaded."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from loopline.app.wiring import Loopline
from loopline.core.errors import Invalid, NotFound, Refused
from loopline.core.tables import Column, Signature
from loopline.core.verbs import Caller, Role
from loopline.testing.factories import installation
from loopline.usecases.registry import cli
from loopline.usecases.registry.api import VERBS
from loopline.usecases.registry.model import Manifest, encoded_manifest, is_pickle, parsed_manifest, parsed_reference
from loopline.usecases.registry.service import Registry

pytestmark = pytest.mark.integration
SIGNATURE = Signature((Column("distance", "float"),), Column("late", "float"))


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def registry(loopline: Loopline) -> Registry:
    service: Registry = loopline.registry
    return service


def kept(registry: Registry, folder: Path, content: bytes = b"weights", model_format: str = "sklearn-skops") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.skops").write_bytes(content)
    return registry.keep(folder, model_format, SIGNATURE)


def register(registry: Registry, digest: str, run_id: str = "run-1", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "name": "late",
        "manifest_digest": digest,
        "run_id": run_id,
        "metrics": {"auc": 0.7},
        "signature": SIGNATURE,
        "evaluation_digest": None,
        "profile_digest": None,
        "metadata": {"trained_until": "2013-03-31", "snapshots": ["ab"], "code": "cd"},
        "actor": "ada",
    }
    return registry.register(**(values | changes))


def test_versions_count_from_one_and_keep_what_was_said(registry: Registry, tmp_path: Path) -> None:
    first = register(registry, kept(registry, tmp_path / "a"))
    second = register(registry, kept(registry, tmp_path / "b", b"other"), "run-2")
    assert (first.version, second.version) == (1, 2)
    assert registry.version("late", 1) == first
    assert [version.version for version in registry.versions("late")] == [1, 2]
    assert registry.versions_of_run("run-2") == [second]
    assert first.metrics == {"auc": 0.7}
    assert first.servable


def test_registering_again_answers_the_same_version_and_writes_one_fact(loopline: Loopline, tmp_path: Path) -> None:
    registry = loopline.registry
    digest = kept(registry, tmp_path / "a")
    assert register(registry, digest).version == register(registry, digest).version == 1
    assert register(registry, digest, "run-2").version == 2
    facts = loopline.ledger.since(0, kind="model.version_registered")
    assert [(fact.subject, fact.actor, fact.body["digest"]) for fact in facts] == [
        ("late/1", "ada", digest),
        ("late/2", "ada", digest),
    ]


def test_many_threads_register_without_a_gap_or_a_double(registry: Registry, tmp_path: Path) -> None:
    digest = kept(registry, tmp_path / "a")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: register(registry, digest, f"run-{n % 20}").version, range(40)))
    assert sorted(set(made)) == list(range(1, 21))


def test_an_alias_moves_and_remembers(loopline: Loopline, tmp_path: Path) -> None:
    registry = loopline.registry
    for run in ("run-1", "run-2"):
        register(registry, kept(registry, tmp_path / run, run.encode()), run)
    assert registry.alias("late", "production") is None
    first = registry.point("late", "production", 1, "ada", "first")
    second = registry.point("late", "production", 2, "bob", "better")
    assert registry.point("late", "production", 2, "bob", "again") is None
    assert registry.alias("late", "production") == 2
    assert registry.previous("late", "production") == 1
    assert registry.alias_history("late", "production") == [first, second]
    assert registry.alias_at("late", "production", second.moved_at) == 2
    assert registry.alias_at("late", "production", "2000-01-01") is None
    moved = loopline.ledger.about("late@production")
    assert [fact.body for fact in moved] == [
        {"model": "late", "alias": "production", "from": None, "to": 1, "reason": "first"},
        {"model": "late", "alias": "production", "from": 1, "to": 2, "reason": "better"},
    ]
    assert registry.version("late", 2).aliases == ("production",)
    assert registry.models()[0].aliases == {"production": 2}


def test_references(registry: Registry, tmp_path: Path) -> None:
    for run in ("run-1", "run-2"):
        register(registry, kept(registry, tmp_path / run, run.encode()), run)
    registry.point("late", "production", 1, "ada", "first")
    found = [registry.find(text).version for text in ("late/1", "late/v2", "late@production", "late")]
    assert found == [1, 2, 1, 2]
    for text in ("late/9", "late@nowhere", "nothing"):
        with pytest.raises(NotFound):
            registry.find(text)
    for text in ("", "late/", "late/x", "@x", "a/1/2"):
        with pytest.raises(Invalid):
            parsed_reference(text)


def test_what_does_not_exist_is_named(registry: Registry, tmp_path: Path) -> None:
    register(registry, kept(registry, tmp_path / "a"))
    with pytest.raises(NotFound, match="version 7"):
        registry.point("late", "production", 7, "ada", "")
    with pytest.raises(Invalid, match="alias"):
        registry.point("late", "a b", 1, "ada", "")
    with pytest.raises(Invalid, match="No model is stored"):
        register(registry, "0" * 64)
    with pytest.raises(NotFound, match="held-out"):
        registry.evaluation("late", 1)
    assert registry.profile("late", 1) is None


def test_a_pickle_is_kept_but_not_servable_and_never_loaded(registry: Registry, tmp_path: Path) -> None:
    hidden = register(registry, kept(registry, tmp_path / "a", pickle.dumps({})))
    named = register(registry, kept(registry, tmp_path / "b", b"x", "pickle"), "run-2")
    for version in (hidden, named):
        assert not version.servable
        with pytest.raises(Refused, match="never loaded"):
            registry.load("late", version.version)


def test_a_folder_comes_back_byte_for_byte(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "extra.bin").write_bytes(b"\x00more")
    digest = kept(registry, tmp_path / "a")
    register(registry, digest)
    folder = registry.materialize("late", 1, tmp_path / "out")
    assert (folder / "deep" / "extra.bin").read_bytes() == b"\x00more"
    manifest = parsed_manifest((folder / "model.json").read_bytes())
    assert manifest.signature == SIGNATURE
    assert registry.keep(folder, "sklearn-skops", SIGNATURE) == digest


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../b", "", "model.json", "a\\b", ".hidden", "a/" * 9 + "a"])
def test_a_manifest_cannot_leave_its_folder(name: str) -> None:
    content = encoded_manifest(Manifest(format="x", signature=SIGNATURE, files={name: "0" * 64}))
    with pytest.raises(Invalid):
        parsed_manifest(content)


def test_a_real_model_is_loaded_and_predicts(registry: Registry, loopline: Loopline, tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    from sklearn.linear_model import LogisticRegression

    x = np.linspace(-1, 1, 40).reshape(-1, 1)
    model = LogisticRegression().fit(x, (x[:, 0] > 0).astype(int))
    (tmp_path / "m").mkdir()
    loopline.get("runtimes")["sklearn-skops"].save(model, tmp_path / "m")
    held_out = pa.table({"distance": x[:, 0], "late": (x[:, 0] > 0).astype(int)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, held_out.schema) as writer:
        writer.write_table(held_out)
    evaluation = loopline.get("blobs").put(sink.getvalue().to_pybytes())
    digest = registry.keep(tmp_path / "m", "sklearn-skops", SIGNATURE)
    register(registry, digest, evaluation_digest=evaluation)
    for _ in range(2):  # the second time from the folder that the first left
        answer = registry.load("late", 1).predict({"distance": x[:, 0]})
        assert answer.tolist() == model.predict_proba(x)[:, 1].tolist()
    assert registry.evaluation("late", 1).equals(held_out)


def test_the_audit_sees_a_moved_alias_and_a_swapped_digest(loopline: Loopline, tmp_path: Path) -> None:
    registry = loopline.registry
    register(registry, kept(registry, tmp_path / "a"))
    registry.point("late", "production", 1, "ada", "first")
    facts = loopline.ledger.since(0)
    database = loopline.get("database")
    assert registry.replayed(facts) == database.read(registry.current)
    database.write(lambda tx: tx.run("UPDATE registry_versions SET digest = 'ff'"))
    assert registry.replayed(facts) != database.read(registry.current)


def test_no_verb_for_people_moves_an_alias() -> None:
    changing = [verb.name for verb in VERBS if verb.method != "GET"]
    # which add a version and a revision of a card, and choose how a version is run
    assert changing == ["registry.take", "registry.write_card", "registry.compile"]


@pytest.mark.unit
def test_a_pickle_is_known_by_its_first_bytes() -> None:
    assert all(is_pickle(pickle.dumps([], protocol)[:2]) for protocol in (2, 3, 4, 5))
    assert not any(is_pickle(head) for head in (b"", b"\x80", b"PK", b"{}"))


class Screen:
    def __init__(self, loopline: Loopline) -> None:
        self.client = self
        self.loopline = loopline
        self.json = False
        self.shown: Any = None

    def call(self, name: str, /, **fields: Any) -> Any:
        verb = next(verb for verb in VERBS if verb.name == name)
        answer = verb.call(self.loopline.registry, verb.request(**fields), Caller("ada", Role.ADMIN))
        return msgspec.to_builtins(answer)

    def show(self, data: Any, table: Any = None, text: str | None = None, title: str | None = None) -> None:
        self.shown = text if text is not None else [[row[key] for _, key in table] for row in data]


def test_the_commands_show_what_is_there(loopline: Loopline, tmp_path: Path) -> None:
    register(loopline.registry, kept(loopline.registry, tmp_path / "a"))
    screen = Screen(loopline)

    def shown(command: Any, *arguments: str) -> Any:
        result = CliRunner().invoke(command, arguments, obj=screen, catch_exceptions=False)
        assert result.exit_code == 0
        return screen.shown

    loopline.registry.point("late", "trial", 1, "ada", "try it")
    assert "late@trial points to version 1" in shown(cli.alias, "late", "trial")
    assert "- → 1  ada: try it" in shown(cli.alias, "late", "trial")
    assert "points to nowhere" in shown(cli.alias, "late", "trial", "--at", "2001-01-01")
    assert [row[:5] for row in shown(cli.models)] == [["late", 1, 1, "trial 1", ""]]
    assert shown(cli.versions, "late")[0][:4] == [1, "trial", "auc 0.7", "sklearn-skops"]


@pytest.mark.parametrize(("names", "said"), [(("a", "b", "a"), "'a' twice"), (("a", ""), "without a name")])
def test_inputs_need_names_of_their_own(registry: Registry, tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    (tmp_path / "model.skops").write_bytes(b"weights")
    signature = Signature(tuple(Column(name, "float") for name in names), Column("y", "float"))
    with pytest.raises(Invalid, match=said):
        registry.keep(tmp_path, "sklearn-skops", signature)
