"""Versions are compiled by comparing, the choice is kept and told, and the library runs where what was kept does not fit."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from loopline.app.wiring import Loopline
from loopline.core.errors import Refused
from loopline.core.tables import Column, Signature
from loopline.core.verbs import Caller, Role
from loopline.testing.factories import installation
from loopline.usecases.registry.api import VERBS
from loopline.usecases.registry.engines import Quick
from loopline.usecases.registry.engines_ladder import Rung, climbed

pytestmark = pytest.mark.integration
SIGNATURE = Signature((Column("carrier", "string", nullable=True), Column("hour", "float")), Column("late", "float"))
DRAW = np.random.default_rng(5)
CARRIERS, HOURS = DRAW.choice(["AA", "B6", "UA"], 300), DRAW.integers(0, 24, 300).astype(float)
LATE = (HOURS + (CARRIERS == "B6") * 6 + DRAW.normal(size=300) * 3 > 14).astype(int)
ROW = {"carrier": np.array(["B6", "??", None], dtype=object), "hour": np.array([12.0, 12.0, 12.0])}


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def version(loopline: Loopline, tmp_path: Path) -> Any:
    return registered(loopline, tmp_path / "model")


def registered(loopline: Loopline, folder: Path, model: Any = None) -> Any:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"carrier": CARRIERS.astype(object), "hour": HOURS}).astype({"carrier": "str"})
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["carrier"]), remainder="passthrough")
    fitted = make_pipeline(encoder, model or LogisticRegression(max_iter=500)).fit(frame, LATE)
    folder.mkdir()
    loopline.get("runtimes")["sklearn-skops"].save(fitted, folder)
    digest = loopline.registry.keep(folder, "sklearn-skops", SIGNATURE)
    sink = pa.BufferOutputStream()
    table = pa.table({"carrier": CARRIERS.tolist(), "hour": HOURS, "late": LATE})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    evaluation = loopline.get("blobs").put(sink.getvalue().to_pybytes())
    return loopline.registry.register("late", digest, folder.name, {}, None, evaluation, None, {}, "ada")


def test_the_quickest_that_agrees_is_kept_and_told(loopline: Loopline, version: Any) -> None:
    assert loopline.registry.uncompiled() == [("late", 1)]
    assert loopline.registry.compile_waiting(60.0) == 1
    choice = loopline.registry.engine("late", 1)
    assert (choice.rung, choice.rows > 300, choice.difference <= choice.tolerance) == ("tables", True, True)
    assert set(choice.timings) >= {"plain", "tables"}
    assert choice.timings["tables"][0] < choice.timings["plain"][0]
    assert loopline.registry.uncompiled() == []
    (fact,) = loopline.ledger.since(0, kind="model_version.compiled")
    assert (fact.subject, fact.body["rung"], fact.body["content"]) == ("late/1", "tables", choice.content)
    assert choice.content in loopline.get("in_use")()


def test_compiling_again_answers_what_is_known_unless_it_must(loopline: Loopline, version: Any) -> None:
    first = loopline.registry.compile("late", 1, "ada")
    assert loopline.registry.compile("late", 1, "bob") == first
    again = loopline.registry.compile("late", 1, "bob", again=True)
    assert (again.created_by, again.rung, again.content) == ("bob", first.rung, first.content)
    assert len(loopline.ledger.since(0, kind="model_version.compiled")) == 2


def test_a_compiled_version_answers_as_its_library(loopline: Loopline, version: Any) -> None:
    plain = loopline.registry.load("late", 1).predict(ROW)
    loopline.registry.compile("late", 1, "ada")
    loaded = loopline.registry.load("late", 1)
    assert isinstance(loaded, Quick)
    assert loaded.predict(ROW) == pytest.approx(plain, rel=1e-12)
    assert not isinstance(loopline.registry.load("late", 1, engine="plain"), Quick)


def test_the_library_runs_where_the_content_does_not_fit_and_that_is_counted(
    loopline: Loopline, version: Any, caplog: pytest.LogCaptureFixture
) -> None:
    expected = loopline.registry.load("late", 1).predict(ROW)
    choice = loopline.registry.compile("late", 1, "ada")
    forged = loopline.get("blobs").put(b"nothing that an engine made")
    loopline.get("database").write(
        lambda tx: tx.run("UPDATE registry_engines SET content = :forged", {"forged": forged})
    )
    with caplog.at_level(logging.WARNING):
        loaded = loopline.registry.load("late", 1)
    assert loaded.predict(ROW).tolist() == expected.tolist()
    assert "late/1 is run by the library itself" in caplog.text
    found = loopline.registry.engine("late", 1)
    assert (found.fallbacks, found.rung, "damaged" in found.fallback) == (1, choice.rung, True)


def test_another_machine_chooses_for_itself(loopline: Loopline, version: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loopline.registry.compile("late", 1, "ada")
    monkeypatch.setattr("loopline.usecases.registry.engines.machine", lambda: "another kind")
    assert loopline.registry.engine("late", 1) is None
    assert loopline.registry.uncompiled() == [("late", 1)]
    assert not isinstance(loopline.registry.load("late", 1), Quick)


def test_a_model_that_no_engine_knows_stays_with_its_library(loopline: Loopline, tmp_path: Path) -> None:
    with pytest.raises(Refused):  # not even stored as plain data: nothing would ever load it
        registered(loopline, tmp_path / "neighbours", KNeighborsRegressor())


def test_a_version_that_cannot_be_loaded_is_noted_once(loopline: Loopline, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.skops").write_bytes(b"weights")
    digest = loopline.registry.keep(tmp_path / "model", "sklearn-skops", SIGNATURE)
    loopline.registry.register("late", digest, "run", {}, None, None, None, {}, "ada")
    assert loopline.registry.compile_waiting(60.0) == 1
    choice = loopline.registry.engine("late", 1)
    assert (choice.rung, choice.content, "no readable model file" in choice.fallen["plain"]) == ("plain", None, True)
    assert loopline.registry.uncompiled() == []


def test_what_is_removed_takes_its_choice_along(loopline: Loopline, version: Any) -> None:
    loopline.registry.compile("late", 1, "ada")
    loopline.registry.delete_version("late", 1, "ada")
    assert loopline.registry.engines_of("late") == []


def test_the_verbs_show_and_choose(loopline: Loopline, version: Any) -> None:
    verbs = {verb.name: verb for verb in VERBS}
    ada = Caller("ada", Role.EDITOR)

    def ask(name: str, **fields: Any) -> Any:
        return verbs[name].call(loopline.registry, verbs[name].request(**fields), ada)

    assert ask("registry.engine", model="late", version=1).engine is None
    assert verbs["registry.compile"].loads is not None  # models are not loaded where HTTP is answered
    made = ask("registry.compile", model="late", version=1)
    assert ask("registry.engine", model="late", version=1).engine == made
    assert ask("registry.engines", model="late") == [made]


class Answers:
    """A model that answers so much more than the library, as slow as it likes."""

    def __init__(self, off: float = 0.0, refuses: bool = False, loops: int = 0) -> None:
        self.off, self.refuses, self.loops = off, refuses, loops

    def predict(self, columns: Mapping[str, Any]) -> Any:
        if self.refuses and np.isnan(columns["x"]).any():
            raise ValueError("missing")
        for _ in range(self.loops):
            np.sort(np.arange(1000.0))
        return columns["x"] + self.off


ROWS = [{"x": np.array([1.0, 2.0, np.nan, 4.0])}]


@pytest.mark.parametrize(
    ("rung", "reason"),
    [
        (Rung("other", Answers(off=0.1), 1e-3), "row 0: 1.1 where the library says 1.0"),
        (Rung("other", Answers(refuses=True), 1e-3), "row 2: nothing (it refuses the row) where the library says nan"),
        (Rung("other", Answers(loops=2000), 1e-3), "not quicker than the library for 1 and 32 rows"),
    ],
)
def test_a_rung_falls_for_a_difference_or_for_being_slow(rung: Rung, reason: str) -> None:
    outcome = climbed([rung], Answers(loops=20), ROWS, {"unheard": "no such form"})
    assert (outcome.rung.name, outcome.fallen) == ("plain", {"other": reason, "unheard": "no such form"})


def test_a_difference_within_the_tolerance_is_kept_and_told() -> None:
    outcome = climbed([Rung("other", Answers(off=1e-9), 1e-6)], Answers(loops=200), ROWS, {})
    assert outcome.rung.name == "other"
    assert outcome.difference == pytest.approx(1e-9, rel=1e-3)


def test_many_rows_go_to_the_library_where_that_is_quicker(loopline: Loopline, version: Any) -> None:
    choice = loopline.registry.compile("late", 1, "ada")
    assert isinstance(loopline.registry.load("late", 1, engine="many"), Quick) != choice.slow_for_many
    slow = {"plain": [9.0, 9.0, 9.0], "tables": [1.0, 1.0, 10.0]}
    loopline.get("database").write(
        lambda tx: tx.run("UPDATE registry_engines SET timings = :slow", {"slow": json.dumps(slow)})
    )
    assert not isinstance(loopline.registry.load("late", 1, engine="many"), Quick)
    assert isinstance(loopline.registry.load("late", 1), Quick)
