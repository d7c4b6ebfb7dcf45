"""Walks along a small real project: trained, gated, deployed, asked."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Column, Signature
from loopline.shells.cli.lineage import drawn
from loopline.shells.sdk import connect
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.ids import text_of
from loopline.usecases.serving.records.writing import Batch, PredictionLog, prediction_header

pytestmark = pytest.mark.integration

PIPELINE = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
from loopline import Dataset, Model, pipeline, step

CENTRE = 0.5

def centred(frame):
    return frame - CENTRE

@step
def train(rows: Dataset, strength: float = 1.0) -> Model:
    frame = rows.to_pandas()
    inputs = centred(frame[["x"]])
    held = frame.assign(x=inputs["x"], event_time=pd.date_range("2013-01-01", periods=len(frame), freq="h", tz="UTC"))
    model = LogisticRegression(C=strength).fit(inputs, frame["label"])
    return Model(model, example=inputs, evaluation=held, metrics={"auc": 0.75}, metadata={"label": "label"})

@pipeline(registers="small")
def training(rows: Dataset = "rows", strength: float = 1.0) -> Model:
    return train(rows, strength)
"""
CONFIG = """
project: small
datasets:
  rows: {folder: data}
pipelines:
  training: {registers: small}
gates:
  small: {model: small, promote_to: production, no_worse_by: 0.5, minimum: 0.6}
endpoints:
  small: {model: small, alias: production}
"""
EVENT_MS = 1_370_000_000_000
MS = 1_380_000_000_000


def write_rows(folder: Path, name: str, count: int) -> None:
    rows = "".join(f"{n % 97 / 97},{int(n % 97 + n % 13 > 50)}\n" for n in range(count))
    (folder / "data" / name).write_text(f"x,label\n{rows}")


@pytest.fixture(scope="module")
def loopline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopline]:
    """Version 1 from one batch, version 2 from two; both served, 3 and 2 predictions; a run without a model."""
    folder = tmp_path_factory.mktemp("lineage")
    (folder / "data").mkdir()
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "loopline.yaml").write_text(CONFIG)
    with open_home(folder / "home") as opened:
        opened.projects.apply(folder, "ada")
        for number, (name, rows, asked) in enumerate([("a.csv", 2000, 3), ("b.csv", 1500, 2)], 1):
            write_rows(folder, name, rows)
            opened.datasets.snapshot("rows", "ada")
            run = opened.pipelines.run(folder, "training", {}, actor="ada", executor="inline")
            assert run.version == number, run
            opened.promotion.gate("small", number, "production", "bob")
            opened.promotion.promote("small", number, "production", "bob")
            opened.serving.follow()
            assert opened.serving.went_live("small", number, opened.clock.text(), "data plane")
            ask(opened.home, number, asked)
        yield opened


def ask(home: Path, revision: int, count: int) -> None:
    """Log predictions as the data plane does."""
    column = Column("x", "float")
    header = prediction_header("small", 7, revision, "small", revision, Signature((column,), Column("label", "float")))
    log = PredictionLog(home, header)
    first = revision * 100
    times, events = (array("q", [ms] * count).tobytes() for ms in (MS + first, EVENT_MS + first))
    log.write([
        Batch(
            count, times, array("q", range(2 * first, 2 * (first + count), 2)).tobytes(), array("i", [-1] * count).tobytes(),
            array("i", [250] * count).tobytes(), events, [f"k{n}" for n in range(count)],
            array("d", [0.25] * count).tobytes(), [pack(kind_of(column), [float(n) for n in range(count)])],
        )
    ])  # fmt: skip
    log.close()


def prediction_id(revision: int) -> str:
    return text_of(MS + revision * 100, 7, revision * 200)


def titles(walk: Any, kind: str) -> list[str]:
    return [node.title for node in walk.nodes if node.kind == kind]


def test_a_prediction_is_walked_back_to_its_batches(loopline: Loopline) -> None:
    walk = loopline.lineage.trace(prediction_id(2))
    kinds = [node.kind for node in walk.nodes]
    assert kinds == ["prediction", "revision", "version", "run", "code", "snapshot", "batch", "batch"]
    assert titles(walk, "prediction") == [prediction_id(2)]
    assert titles(walk, "revision") == ["small revision 2"]
    assert titles(walk, "version") == ["small:2"]
    assert titles(walk, "batch") == ["a.csv", "b.csv"]
    nodes = {node.kind: node for node in walk.nodes}
    assert nodes["run"].ref["run"] == loopline.registry.version("small", 2).run_id
    assert nodes["snapshot"].ref["snapshot"] == loopline.datasets.latest("rows").digest
    ids = {node.id for node in walk.nodes}
    assert all({edge.source, edge.target} <= ids for edge in walk.edges)
    reached = {walk.nodes[0].id}
    for edge in walk.edges:
        assert edge.source in reached
        reached.add(edge.target)
    assert reached == ids


def test_each_stop_tells_who_moved_it(loopline: Loopline) -> None:
    nodes = {node.kind: node for node in loopline.lineage.trace(prediction_id(1)).nodes}
    moved = [(fact.kind, fact.actor) for fact in nodes["version"].facts]
    assert moved[:2] == [("model.version_registered", "ada"), ("gate.decided", "bob")]
    assert moved[2:] == [("card.written", "bob"), ("alias.moved", "bob")]
    deployed = [fact.kind for fact in nodes["revision"].facts]
    assert deployed == ["deployment.requested", "deployment.live", "deployment.retired"]
    assert [fact.kind for fact in nodes["run"].facts] == ["run.started", "run.finished"]
    assert [fact.kind for fact in nodes["snapshot"].facts] == ["dataset.snapshot_taken"]
    assert any("gate.decided by bob" in line and "verdict passed" in line for line in nodes["version"].lines)
    assert "predicted 0.25 for k0" in nodes["prediction"].lines
    assert "inputs: x 0" in nodes["prediction"].lines


def test_the_code_is_told_piece_by_piece(loopline: Loopline) -> None:
    (code,) = [node for node in loopline.lineage.trace(prediction_id(1)).nodes if node.kind == "code"]
    text = "\n".join(code.lines)
    assert all(name in text for name in ("pipeline.py", "train", "centred", "CENTRE", "scikit-learn"))


@pytest.mark.parametrize("length", [64, 12, 6])
def test_a_snapshot_is_walked_on_to_predictions(loopline: Loopline, length: int) -> None:
    first, second = loopline.datasets.snapshots("rows")
    walk = loopline.lineage.impact(first.digest[:length])
    assert [node.kind for node in walk.nodes] == ["snapshot", "run", "version", "revision"]
    assert titles(walk, "version") == ["small:1"]
    (revision,) = [node for node in walk.nodes if node.kind == "revision"]
    assert revision.lines[:2] == ["3 predictions from 2013-05-31 to 2013-05-31", "retired now"]
    assert "batches of it are in 1 later snapshot" in walk.nodes[0].lines
    assert titles(loopline.lineage.impact(second.digest), "version") == ["small:2"]


def test_a_batch_is_walked_on_through_every_snapshot_that_holds_it(loopline: Loopline) -> None:
    first, second = (part.digest for part in loopline.datasets.latest("rows").parts)
    walk = loopline.lineage.impact(first)
    assert titles(walk, "version") == ["small:1", "small:2"]
    assert len(titles(walk, "snapshot")) == len(titles(walk, "run")) == len(titles(walk, "revision")) == 2
    assert titles(loopline.lineage.impact(second), "version") == ["small:2"]


def test_what_does_not_exist_is_said_so(loopline: Loopline) -> None:
    with pytest.raises(NotFound):
        loopline.lineage.trace(text_of(MS + 5, 7, 6))
    with pytest.raises(Invalid):
        loopline.lineage.trace("not an id")
    for text in ("f" * 64, "zzzzzz", "'; --aaaa"):
        with pytest.raises(NotFound):
            loopline.lineage.impact(text)
    with pytest.raises(Invalid, match="too short"):
        loopline.lineage.impact("abc")


def test_a_version_without_a_run_ends_the_walk(loopline: Loopline) -> None:
    version = loopline.registry.version("small", 1)
    loopline.registry.register("small", version.digest, "", {}, None, None, None, {}, "ada")
    number = loopline.registry.versions("small")[-1].version
    column = Column("x", "float")
    header = prediction_header("other", 7, 1, "small", number, Signature((column,), Column("label", "float")))
    log = PredictionLog(loopline.home, header)
    log.write([Batch(1, array("q", [MS + 900]).tobytes(), array("q", [900]).tobytes(), array("i", [-1]).tobytes(),
                     array("i", [250]).tobytes(), None, None, array("d", [0.25]).tobytes(),
                     [pack(kind_of(column), [1.0])])])  # fmt: skip
    log.close()
    walk = loopline.lineage.trace(text_of(MS + 900, 7, 900))
    assert [node.kind for node in walk.nodes] == ["prediction", "revision", "version"]


def test_the_verbs_answer_plain_data_that_can_be_drawn(loopline: Loopline) -> None:
    client = connect(home=loopline.home)
    walk = client.call("lineage.trace", prediction=prediction_id(1))
    text = drawn(walk)
    assert text.splitlines()[0].split() == ["prediction", prediction_id(1)]
    assert "small:1" in text
    digest = loopline.datasets.snapshots("rows")[0].digest
    assert client.call("lineage.impact", snapshot=digest)["nodes"][0]["kind"] == "snapshot"
    client.close()
