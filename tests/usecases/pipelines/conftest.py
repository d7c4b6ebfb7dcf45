"""A project in a folder and an installation beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.testing.factories import installation
from loopline.usecases.pipelines.model import PipelineRun
from loopline.usecases.pipelines.project import forget

CODE = """
from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers import noted
from loopline import Dataset, Model, pipeline, step


class Halves(NamedTuple):
    first: pd.DataFrame
    second: pd.DataFrame


@step
def make(rows: int, seed: int = 0) -> pd.DataFrame:
    noted("make")
    print("made", rows)
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.normal(size=rows), "y": rng.normal(size=rows), "late": rng.integers(0, 2, rows)})


@step
def halve(frame: pd.DataFrame) -> Halves:
    noted("halve")
    return Halves(frame.iloc[::2], frame.iloc[1::2])


@step
def train(frame: pd.DataFrame, c: float = 1.0) -> Model:
    from sklearn.linear_model import LogisticRegression

    noted("train")
    model = LogisticRegression(C=c).fit(frame[["x", "y"]], frame["late"])
    return Model(model, example=frame[["x", "y"]], metrics={"auc": 0.5}, evaluation=frame)


@step
def judge(model: Model, frame: pd.DataFrame) -> dict[str, float]:
    noted("judge")
    return {"mean": float(model.estimator.predict_proba(frame[["x", "y"]])[:, 1].mean())}


@step
def total(parts: list, extra: dict) -> float:
    noted("total")
    return float(sum(part["x"].sum() for part in parts) + len(extra["frame"]))


@step
def count(flights: Dataset) -> int:
    noted("count")
    return flights.num_rows


@step
def columns(flights: pd.DataFrame) -> list:
    noted("columns")
    return list(flights.columns)


@step(no_cache=True)
def always() -> int:
    noted("always")
    return 1


@step
def fail(frame: pd.DataFrame) -> int:
    noted("fail")
    print("about to fail")
    raise ValueError(f"{len(frame)} rows are too few")


@step
def after(number: int) -> int:
    return number + 1


@step
def odd() -> object:
    return object()


@pipeline
def training(rows: int = 50, c: float = 1.0) -> Model:
    halves = halve(make(rows))
    model = train(halves.first, c)
    judge(model, halves.second)
    return model


@pipeline(registers="named")
def short(rows: int = 20) -> Model:
    return train(make(rows))


@pipeline
def joining(rows: int = 10) -> float:
    first, second = halve(make(rows))
    return total([first, second], {"frame": make(rows, seed=1)})


@pipeline
def counting(flights: Dataset = "flights") -> tuple:
    return count(flights), columns(flights)


@pipeline
def failing(rows: int = 10) -> float:
    frame = make(rows)
    return after(fail(frame)), halve(frame).first


@pipeline
def ever() -> int:
    return after(always())


@pipeline
def peeking(rows: int = 10) -> int:
    frame = make(rows)
    if len(frame) > 3:
        return 1
    return 2


@pipeline
def strange() -> object:
    return odd()
"""
HELPERS = """
import os


def noted(name):
    with open(os.environ["NOTES"], "a") as file:
        file.write(name + "\\n")
"""


class Project:
    """A project, its installation, and which steps really ran."""

    def __init__(self, folder: Path, loopline: Loopline, notes: Path) -> None:
        self.folder = folder
        self.loopline = loopline
        self._notes = notes

    def run(self, pipeline: str, executor: str = "inline", **params: Any) -> PipelineRun:
        found: PipelineRun = self.loopline.pipelines.run(self.folder, pipeline, params, actor="ann", executor=executor)
        return found

    def ran(self) -> list[str]:
        """Names of the steps whose bodies ran since this was asked last."""
        names = self._notes.read_text().split() if self._notes.exists() else []
        self._notes.write_text("")
        return names

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "pipeline.py").write_text(CODE)
    (folder / "helpers.py").write_text(HELPERS)
    with installation(tmp_path) as loopline:
        yield Project(folder, loopline, tmp_path / "notes")
    forget({str(folder)})
