"""Encoders, compiled by asking them: a column of categories has few values, so each is sent through the library once and
what comes back is a row of a table. Dropped, rare, unknown and missing categories are right without a rule of our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.compiling.writing import Columns, Table, View, Writer, known

ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
NONE_OF_THEM = "\x00 none of them"
MOST = 20_000


def asked(writer: Writer, source: Any, parts: Sequence[Any], view: View) -> Table:
    """The result of `parts`, of which each treats every column by itself and the last is an encoder."""
    place_of: list[Any] = list(view.names) if isinstance(view, Columns) else list(range(view.width))
    values = [_known(writer, parts, place_of, place) for place in range(len(place_of))]
    question = Question(writer, source, parts, view, values)
    answers, refused = question.answers()
    columns, arrays, width = [], {}, 0
    for place, (name, known_values, side) in enumerate(zip(place_of, values, question.sides, strict=True)):
        column: dict[str, Any] = {"refuses": refused[place], "row" if isinstance(name, int) else "name": name}
        if writer.kinds.get(name) == "s":
            column["texts"] = list(known_values)
        else:
            column["numbers"] = f"numbers{place}"
            arrays[f"numbers{place}"] = np.asarray(known_values, dtype=np.float64)
        arrays[f"table{place}"] = answers[: len(known_values) + 2, side, place]
        columns.append(column)
        width += side.stop - side.start
    at = None if isinstance(view, Columns) else view
    return writer.add("lookup", width, arrays, columns=columns, at=at, add=False)


def _known(writer: Writer, parts: Sequence[Any], names: Sequence[Any], place: int) -> list[Any]:
    """The values of a column that are told apart."""
    found: set[Any] = set()
    for part in parts:
        if type(part).__name__ in ENCODERS:
            known(len(part.categories_) == len(names), "an encoder of other columns")
            found |= {value for value in part.categories_[place].tolist() if value is not None and value == value}
        elif type(part).__name__ == "SimpleImputer":
            known(part.indicator_ is None and len(part.statistics_) == len(names), "an imputer that adds columns")
            value = part.statistics_[place]
            known(value is not None and value == value, "an imputer without a value")
            found.add(value)
        else:
            known(part.func is None, "a function of text")
    known(found and len(found) <= MOST, "no categories, or too many")
    if writer.kinds.get(names[place]) == "s":
        return sorted(str(value) for value in found if isinstance(value, str))
    known(all(isinstance(value, int | float) for value in found), "categories of another kind")
    return sorted(float(value) for value in found)


class Question:
    """Rows with every known value of every column, an unknown one and none."""

    def __init__(self, writer: Writer, source: Any, parts: Sequence[Any], view: View, values: list[list[Any]]):
        self._writer, self._source, self._parts, self._view, self._values = writer, source, parts, view, values
        names = view.names if isinstance(view, Columns) else ("",) * view.width
        self._kinds = [writer.kinds.get(name, "d") for name in names]
        self.sides = self._sides()

    def answers(self) -> tuple[Any, list[list[str]]]:
        """(rows, width, columns): what each value of each column gives; and what each column refuses."""
        longest = max(map(len, self._values))
        usual = [[*values, *[values[0]] * (longest - len(values))] for values in self._values]
        first = self._ask(usual)
        found = np.zeros((longest + 2, first.shape[1], len(usual)))
        found[:longest] = first[:, :, None]
        refused: list[list[str]] = []
        for place, values in enumerate(self._values):
            refused.append([])
            for row, (what, value) in enumerate((("unknown", self._unknown(place)), ("missing", self._missing(place)))):
                answer = self._one(place, value)
                if answer is None:
                    refused[-1].append(what)
                else:
                    found[len(values) + row, :, place] = answer
        return found, refused

    def _sides(self) -> list[slice]:
        """Which numbers of the result belong to which column."""
        encoder = self._parts[-1]
        kind, count = type(encoder).__name__, len(self._kinds)
        if kind == "OneHotEncoder":
            widths = [int(width) for width in encoder._n_features_outs]
        else:
            classes = len(encoder.classes_) if getattr(encoder, "target_type_", "") == "multiclass" else 1
            widths = [classes] * count
        ends = np.cumsum([0, *widths]).tolist()
        return [slice(start, stop) for start, stop in pairwise(ends)]

    def _unknown(self, place: int) -> Any:
        if self._kinds[place] == "s":
            return NONE_OF_THEM
        return max(self._values[place]) + 7

    def _missing(self, place: int) -> Any:
        return {"s": None, "d": np.nan}.get(self._kinds[place], self._unknown(place))

    def _one(self, place: int, value: Any) -> Any:
        row = [[values[0]] for values in self._values]
        row[place] = [value]
        try:
            return self._ask(row)[0]
        except (ValueError, TypeError):
            return None

    def _ask(self, rows: list[list[Any]]) -> Any:
        """What the library makes of rows, given column by column."""
        part = self._given(self._view, rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a category is unknown is what we want to know
            for each in self._parts:
                part = each.transform(part)
        return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float64)

    def _given(self, view: View, rows: list[list[Any]]) -> Any:
        if not isinstance(view, Columns):
            return np.array(rows, dtype=np.float64).T
        given = {name: column(self._writer.kinds[name], values) for name, values in self._full(view, rows).items()}
        table = self._source.table(given)
        if hasattr(table, "columns"):
            return table[list(view.names)]
        names = list(given)
        return table[:, [names.index(name) for name in view.names]]

    def _full(self, view: Columns, rows: list[list[Any]]) -> dict[str, list[Any]]:
        mine = dict(zip(view.names, rows, strict=True))
        usual: dict[str, Any] = {"s": "", "d": 0.0, "q": 0, "?": False}
        count = len(rows[0])
        return {name: mine.get(name, [usual[kind]] * count) for name, kind in self._writer.kinds.items()}


def column(kind: str, values: list[Any]) -> Any:
    """Values as `LoadedModel.predict` takes them."""
    found: Any = np.empty(len(values), dtype={"s": object, "d": np.float64, "q": np.int64, "?": np.bool_}[kind])
    found[:] = values
    return found
