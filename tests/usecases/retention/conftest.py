"""A small real project: trained, gated, promoted, served, asked; and files that look old."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.core.tables import Column, Signature
from loopline.testing.factories import installation
from loopline.usecases.serving.records.columns import kind_of, pack
from loopline.usecases.serving.records.ids import text_of
from loopline.usecases.serving.records.writing import Batch, PredictionLog, prediction_header
from loopline.usecases.tracking.model import Point

HOUR = 3600.0
MS = int(time.time() * 1000)
SIGNATURE = Signature((Column("x", "float"),), Column("late", "float"))
PIPELINE = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
from loopline import Dataset, Model, pipeline, step

@step
def train(rows: Dataset, strength: float = 1.0) -> Model:
    frame = rows.to_pandas()
    held = frame.assign(event_time=pd.date_range("2013-01-01", periods=len(frame), freq="h", tz="UTC"))
    model = LogisticRegression(C=strength).fit(frame[["x"]], frame["label"])
    return Model(model, example=frame[["x"]], evaluation=held, metrics={"auc": 0.75}, metadata={"label": "label"})

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


def grow_old(loopline: Loopline, hours: float = 2.0) -> None:
    """Have all bytes that are kept look as if nobody had asked for them for some hours."""
    at = time.time() - hours * HOUR
    for one in loopline.blobs.kept():
        os.utime(loopline.home / "blobs" / one.digest[:2] / one.digest[2:], (at, at))


def kept(loopline: Loopline) -> int:
    """Bytes of all blobs."""
    return sum(one.size for one in loopline.blobs.kept())


def new_run(loopline: Loopline, experiment: str = "tab", name: str = "one", **files: bytes) -> str:
    """A finished run with params, a metric and artifacts."""
    run = loopline.tracking.start(name, actor="ann", experiment=experiment, params={"a": "1"}, tags={"team": "blue"})
    loopline.tracking.log(run.id, metrics=[Point("auc", 0.7), Point("auc", 0.8, 1)])
    for file, content in files.items():
        loopline.tracking.put_artifact(run.id, file, content)
    loopline.tracking.finish(run.id, actor="ann")
    return str(run.id)


def new_version(loopline: Loopline, folder: Path, run_id: str, content: bytes = b"weights", name: str = "late") -> Any:
    """A version made by a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.skops").write_bytes(content)
    digest = loopline.registry.keep(folder, "sklearn-skops", SIGNATURE)
    return loopline.registry.register(name, digest, run_id, {"auc": 0.7}, SIGNATURE, None, None, {}, "ann")


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


def write_rows(folder: Path, name: str, count: int) -> None:
    rows = "".join(f"{n % 97 / 97},{int(n % 97 + n % 13 > 50)}\n" for n in range(count))
    (folder / "data" / name).write_text(f"x,label\n{rows}")


def made(folder: Path) -> Iterator[Loopline]:
    """Version 1 from one batch, version 2 from two; both were served, and asked; 2 is live."""
    (folder / "data").mkdir(parents=True)
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "loopline.yaml").write_text(CONFIG)
    with open_home(folder / "home") as opened:
        opened.projects.apply(folder, "ada")
        for number, (name, rows) in enumerate([("a.csv", 2000), ("b.csv", 1500)], 1):
            write_rows(folder, name, rows)
            opened.datasets.snapshot("rows", "ada")
            run = opened.pipelines.run(folder, "training", {}, actor="ada", executor="inline")
            assert run.version == number, run
            opened.promotion.gate("small", number, "production", "bob")
            opened.promotion.promote("small", number, "production", "bob")
            opened.serving.follow()
            assert opened.serving.went_live("small", number, opened.clock.text(), "data plane")
            ask(opened.home, number, 3)
        yield opened


def ask(home: Path, revision: int, count: int) -> None:
    """Log predictions as the data plane does."""
    column = Column("x", "float")
    header = prediction_header("small", 7, revision, "small", revision, Signature((column,), Column("label", "float")))
    log = PredictionLog(home, header)
    first = revision * 100
    times = array("q", [MS + first] * count).tobytes()
    log.write([
        Batch(
            count, times, array("q", range(2 * first, 2 * (first + count), 2)).tobytes(), array("i", [-1] * count).tobytes(),
            array("i", [250] * count).tobytes(), times, [f"k{n}" for n in range(count)],
            array("d", [0.25] * count).tobytes(), [pack(kind_of(column), [float(n) for n in range(count)])],
        )
    ])  # fmt: skip
    log.close()


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loopline]:
    yield from made(tmp_path)


Counted = Callable[[str], int]


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Counted:
    """How many rows a table has."""
    name = "loop" if "loop" in request.fixturenames else "loopline"
    opened = request.getfixturevalue(name)
    return lambda table: int(opened.database.row(f"SELECT COUNT(*) AS n FROM {table}")["n"])


@pytest.fixture
def make() -> SimpleNamespace:
    """The functions above."""
    return SimpleNamespace(run=new_run, version=new_version, old=grow_old, kept=kept, asked=text_of(MS + 100, 7, 200))
