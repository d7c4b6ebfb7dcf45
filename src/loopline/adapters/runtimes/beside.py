"""What a native model file does not tell: a small JSON file beside it with classes, column names and the class it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.tables import Column

FILE = "columns.json"
LARGEST = 4 << 20
Label = bool | int | float | str


class Beside(msgspec.Struct, frozen=True, omit_defaults=True):
    """`estimator` is the class of the library's scikit-learn interface, "" for a bare booster; `classes` its labels in
    order; `columns` the names it was fitted on; `categories` the categories of a column in the order of their codes;
    `iterations` how many rounds count, 0 for all."""

    estimator: str = ""
    classes: list[Label] | None = None
    columns: list[str] = []
    categories: dict[str, list[Label]] = {}
    iterations: int = 0

    @property
    def labels(self) -> list[Label] | None:
        """The classes as a prediction gives them: numbers as floats, texts as they are."""
        if self.classes is None:
            return None
        return [one if isinstance(one, str) else float(one) for one in self.classes]


def write(folder: Path, beside: Beside) -> None:
    """Write `columns.json`; the same content gives the same bytes."""
    (folder / FILE).write_bytes(msgspec.json.encode(beside, order="sorted"))


def read(files: Mapping[str, Path]) -> Beside:
    """What `columns.json` says; nothing where there is none. Invalid for a damaged one."""
    path = files.get(FILE)
    if path is None or not path.is_file():
        return Beside()
    if path.stat().st_size > LARGEST:
        raise Invalid(f"{FILE} is larger than {LARGEST >> 20} MB.", "Save the model again.")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Beside)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(f"{FILE} cannot be read ({str(error)[:200]}).", "Save the model again.") from None
    if found.iterations < 0 or (found.classes is not None and len(found.classes) < 1):
        raise Invalid(f"{FILE} says what cannot be.", "Save the model again.")
    return found


def output(classes: Sequence[Label] | None, count: int) -> Column:
    """What a model of so many classes gives: of two the probability of the second, of more the label."""
    words = count > 2 and any(isinstance(one, str) for one in classes or ())
    return Column("prediction", "string" if words else "float")


def of_folder(folder: Path) -> dict[str, Path]:
    """The files of a folder by name."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def plain_classes(model: Any) -> list[Label] | None:
    """The labels of a fitted classifier as plain values; None for a model without."""
    import numpy as np

    classes = getattr(model, "classes_", None)
    if classes is None or len(classes) == 0:
        return None
    found = np.asarray(classes)
    if found.ndim != 1 or found.dtype.kind not in "biufUO":
        return None
    return [one if isinstance(one, (bool, int, float)) else str(one) for one in found.tolist()]


def plain_names(names: Any) -> list[str]:
    """Names of columns as texts."""
    return [] if names is None else [str(name) for name in names]
