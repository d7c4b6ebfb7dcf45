"""A compiled model in memory: a few operations on whole columns, one after the other.

Every value is a float64 array of (width, rows): row i of it is one feature of all rows of the batch. Each operation is
built from its description once, and refuses then whatever would not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.content import damaged, unpacked
from loopline.core.tables import Signature, kind_of

Run = Callable[[Mapping[str, Any], list[Any]], Any]
MOST_OPS = 1000
MOST_WIDTH = 1 << 16


class Compiled:
    """Satisfies `Ready`."""

    def __init__(self, content: bytes, signature: Signature) -> None:
        try:
            header, arrays = unpacked(content)
            self._ops = _built(header, arrays, signature)
            self.tolerance = float(header["tolerance"])
            self.known = _known(header["ops"], arrays)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, MemoryError) as error:
            raise damaged(f"{type(error).__name__}: {error}") from None

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`."""
        values: list[Any] = []
        for op in self._ops:
            values.append(op(columns, values))
        return values[-1]


class Build:
    """One operation while it is built: its description, its arrays, and the widths of what came before."""

    def __init__(self, spec: Mapping[str, Any], arrays: Sequence[Any], widths: Sequence[int], kinds: Mapping[str, str]):
        self.spec, self._arrays, self.widths, self.kinds = spec, arrays, widths, kinds

    def source(self, name: str = "from") -> int:
        """The place of an earlier value."""
        return self._place(self.spec[name])

    def sources(self) -> list[int]:
        """The places of several earlier values."""
        found = [self._place(place) for place in self.spec["from"]]
        self.must(bool(found), "nothing goes in")
        return found

    def array(self, name: str, *shape: int | None, whole: bool = False) -> Any:
        """An array of that shape (None: any length) of numbers, or of whole ones."""
        found = self._arrays[self._index(self.spec["arrays"][name])]
        fits = len(found.shape) == len(shape) and all(
            want in (None, got) for want, got in zip(shape, found.shape, strict=True)
        )
        self.must(fits and (found.dtype.kind in "iu") == whole, f"{name} has another shape")
        return found

    def names(self, kinds: str) -> list[str]:
        """Columns that the signature has, of one of those kinds."""
        found = self.spec["names"]
        for name in found:
            self.must(self.kinds.get(name, "-") in kinds, f"the column {name!r}")
        return list(found)

    def must(self, holds: Any, what: str) -> None:
        """Invalid when it does not."""
        if not holds:
            raise damaged(f"{self.spec.get('op')}: {what}")

    def _place(self, place: Any) -> int:
        self.must(type(place) is int and 0 <= place < len(self.widths), "it takes what is not there")
        return int(place)

    def _index(self, place: Any) -> int:
        self.must(type(place) is int and 0 <= place < len(self._arrays), "an array is missing")
        return int(place)


def _built(header: dict[str, Any], arrays: list[Any], signature: Signature) -> list[Run]:
    from loopline.adapters.engines.tables.operations import OPERATIONS

    kinds = {column.name: kind_of(column) for column in signature.inputs}
    ops = header["ops"]
    widths: list[int] = []
    if header["inputs"] != [[name, letter] for name, letter in kinds.items()]:
        raise damaged("it takes other columns")
    if not 0 < len(ops) <= MOST_OPS or ops[-1]["op"] not in ("value", "labels"):
        raise damaged("it has no end")
    found = []
    for spec in ops:
        run, width = OPERATIONS[spec["op"]](Build(spec, arrays, widths, kinds))
        if not 0 < width <= MOST_WIDTH:
            raise damaged("a table is too wide")
        found.append(run)
        widths.append(width)
    return found


def _known(ops: list[dict[str, Any]], arrays: list[Any]) -> dict[str, Any]:
    """The values that encoders tell apart, by column."""
    columns = [(op, column) for op in ops if op["op"] == "lookup" for column in op["columns"] if "name" in column]
    return {
        column["name"]: column.get("texts") or arrays[op["arrays"][column["numbers"]]].tolist()
        for op, column in columns
    }


def float_columns(columns: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Columns as one table."""
    parts = [columns[name] for name in names]
    out = np.empty(len(parts) * len(parts[0]))
    np.concatenate(parts, out=out, casting="unsafe")
    return out.reshape(len(parts), -1)
