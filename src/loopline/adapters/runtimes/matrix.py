"""Columns of a request as the one matrix of numbers that a booster takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopline.adapters.runtimes.beside import Label
from loopline.core.errors import Invalid
from loopline.core.tables import Signature

Codes = Mapping[Any, float]
MANY_ROWS = 4096  # from here on, several threads gain more than they cost
_UNNAMED = re.compile(r"(Column_|f|x)?[0-9]+\Z")


def in_order(fitted: Sequence[str], signature: Signature) -> list[str]:
    """The signature's names in the order of the columns that a model was fitted on.

    By name where all its names are known (LightGBM writes a space as `_`), else by place where it knows no names of
    its own. Invalid when neither fits.
    """
    names = [column.name for column in signature.inputs]
    known = set(names)
    if all(name in known for name in fitted):
        return list(fitted)
    written = {re.sub(r"\s", "_", name): name for name in names}
    if len(written) == len(names) and all(name in written for name in fitted):
        return [written[name] for name in fitted]
    if len(fitted) != len(names):
        message = f"The model takes {len(fitted)} columns and its signature names {len(names)}."
        raise Invalid(message, "Register it with a signature of the columns that it was fitted on.")
    if all(_UNNAMED.match(name) for name in fitted):
        return names
    missing = ", ".join(name for name in fitted if name not in known)[:200]
    raise Invalid(
        f"The model was fitted on {missing}, which its signature does not name.", "Name its columns in the signature."
    )


def codes_of(categories: Sequence[Label], text: bool) -> dict[Any, float]:
    """The code of each category: its place in the list. In a column of texts, a category is found by its text."""
    if not text:
        return {value: float(place) for place, value in enumerate(categories)}
    return {_as_text(value): float(place) for place, value in enumerate(categories)}


def _as_text(value: Label) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def filler(
    order: Sequence[str], coded: Mapping[str, Codes], unknown: Callable[[str, Any], float]
) -> Callable[[Mapping[str, Any]], Any]:
    """What turns columns into a float64 matrix [rows, columns]. Categories become their codes, a missing one NaN, one
    that is not known whatever `unknown(column, value)` says."""
    import numpy as np

    nan = float("nan")

    def lookup(name: str, value: Any) -> float:
        if value is None or value != value:
            return nan
        found = coded[name].get(value)
        return unknown(name, value) if found is None else found

    def fill(columns: Mapping[str, Any]) -> Any:
        table = np.empty((len(columns[order[0]]), len(order)), dtype=np.float64)
        for place, name in enumerate(order):
            values = columns[name]
            table[:, place] = [lookup(name, value) for value in values.tolist()] if name in coded else values
        return table

    return fill


def check_texts(order: Sequence[str], coded: Mapping[str, Codes], signature: Signature) -> None:
    """Invalid for a column of texts whose categories are not known."""
    kinds = {column.name: column.type for column in signature.inputs}
    for name in order:
        if kinds[name] in ("string", "timestamp") and name not in coded:
            raise Invalid(
                f"The column {name!r} holds text, and the model knows no categories for it.",
                "Fit the model on a pandas category, or encode the column before.",
            )


def chosen(scores: Any, labels: Sequence[Any] | None) -> Any:
    """The label of the largest score of each row [rows, classes]; the number of the class where labels are not known."""
    import numpy as np

    best = np.argmax(scores, axis=1)
    if labels is None:
        return best.astype(np.float64)
    kind = object if any(isinstance(one, str) for one in labels) else np.float64
    return np.array(labels, dtype=kind)[best]
