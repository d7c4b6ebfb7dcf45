"""Answers of estimators, and who knows how to make them: by the name of the estimator's class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from loopline.adapters.engines.tables.compiling.front import sequence
from loopline.adapters.engines.tables.compiling.writing import Table, View, Writer, known


@dataclass(frozen=True)
class Answer:
    """What an estimator says: `chance` of class 1 of two; a table with a row a class whose largest wins (`classes`, and
    `shares` where they are probabilities); `sign` of a decision between two; or the `number` itself."""

    kind: Literal["chance", "classes", "shares", "sign", "number"]
    table: Table


Compile = Callable[[Writer, Any, Any, View], Answer]
ESTIMATORS: dict[str, Compile] = {}


def compiled(writer: Writer, source: Any, model: Any, view: View) -> None:
    """Write a whole model, as `Runtime` says what it predicts."""
    answer = answered(writer, source, model, view)
    if answer.kind in ("chance", "number"):
        writer.add("value", 1, at=answer.table)
        return
    classes = np.asarray(model.classes_)
    if classes.dtype.kind in "fiub":
        writer.add("labels", 1, {"numbers": classes.astype(np.float64)}, at=answer.table)
        return
    known(all(isinstance(label, str) for label in classes.tolist()), "labels of another kind")
    writer.add("labels", 1, words=[str(label) for label in classes.tolist()], at=answer.table)


def answered(writer: Writer, source: Any, model: Any, view: View) -> Answer:
    """The answer of an estimator, or of a pipeline that ends in one."""
    name = type(model).__name__
    if name == "Pipeline":
        before = sequence(writer, source, [step for _, step in model.steps[:-1]], view)
        return answered(writer, source, model.steps[-1][1], before)
    known(name in ESTIMATORS, f"the estimator {name}")
    return ESTIMATORS[name](writer, source, model, view)


def through(writer: Writer, table: Table, op: str) -> Table:
    """An operation that keeps the width."""
    return writer.add(op, table.width, at=table)


def one_row(writer: Writer, table: Table, row: int) -> Table:
    """A table of one row of another."""
    return writer.add("take", 1, {"rows": np.array([row])}, at=table)
