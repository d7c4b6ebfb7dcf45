"""Collects operations and arrays while a model is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.content import packed
from loopline.ports.engine import UnknownForm


def known(holds: Any, what: str) -> None:
    """UnknownForm when it does not hold."""
    if not holds:
        raise UnknownForm(what)


@dataclass(frozen=True)
class Columns:
    """Columns of the request as they come, before anything was done to them."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The result of an operation: its place and how many rows it has."""

    place: int
    width: int


View = Columns | Table


class Writer:
    """Operations in order. `kinds` says how each column of the request comes (see `core.tables.kind_of`)."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self.kinds = kinds
        self.ops: list[dict[str, Any]] = []
        self.tolerance = 1e-12
        self._arrays: list[dict[str, Any]] = []
        self._tables: list[Table] = []

    def add(
        self,
        op: str,
        width: int,
        arrays: Mapping[str, Any] | None = None,
        at: Table | Sequence[Table] | None = None,
        **spec: Any,
    ) -> Table:
        """Append an operation `at` what goes into it."""
        if at is not None:
            spec["from"] = at.place if isinstance(at, Table) else [each.place for each in at]
        self.ops.append({"op": op, **spec})
        self._arrays.append({name: _plain(array) for name, array in (arrays or {}).items()})
        self._tables.append(Table(len(self.ops) - 1, width))
        return self._tables[-1]

    def arrays(self, table: Table) -> dict[str, Any]:
        """The arrays of an operation."""
        return self._arrays[table.place]

    def table(self, place: int) -> Table:
        """The result of an operation by its place."""
        return self._tables[place]

    def numbers(self, view: View) -> Table:
        """A view as a table of numbers; UnknownForm when it holds text."""
        if isinstance(view, Table):
            return view
        known(view.names, "no column")
        known(all(self.kinds[name] != "s" for name in view.names), "text where numbers belong")
        return self.add("numbers", len(view.names), names=list(view.names))

    def join(self, tables: list[Table]) -> Table:
        """Tables one under the other."""
        known(tables, "nothing goes in")
        if len(tables) == 1:
            return tables[0]
        return self.add("join", sum(each.width for each in tables), at=tables)

    def arithmetic(self, table: Table, **steps: Any) -> Table:
        """Numbers added, subtracted, … a feature; None is left out."""
        arrays = {how: np.broadcast_to(by, (table.width,)) for how, by in steps.items() if by is not None}
        if not arrays:
            return table
        return self.add("arithmetic", table.width, arrays, steps=[[how, how] for how in arrays], at=table)

    def content(self) -> bytes:
        """What is needed for the last operation, as bytes."""
        needed = {len(self.ops) - 1}
        for place in range(len(self.ops) - 1, -1, -1):
            if place in needed:
                needed |= set(_sources(self.ops[place]))
        order = {old: new for new, old in enumerate(sorted(needed))}
        arrays: list[Any] = []
        ops = []
        for old in order:
            names = {}
            for name, array in self._arrays[old].items():
                names[name] = len(arrays)
                arrays.append(array)
            moved = {"from": _moved(self.ops[old]["from"], order)} if "from" in self.ops[old] else {}
            ops.append({**self.ops[old], **moved, "arrays": names})
        inputs = [[name, kind] for name, kind in self.kinds.items()]
        return packed({"inputs": inputs, "ops": ops, "tolerance": self.tolerance}, arrays)


def _sources(op: dict[str, Any]) -> list[int]:
    given = op.get("from", [])
    return [given] if isinstance(given, int) else list(given)


def _moved(given: Any, order: dict[int, int]) -> Any:
    return order[given] if isinstance(given, int) else [order[place] for place in given]


def _plain(array: Any) -> Any:
    """An array as one of the kinds that content holds."""
    found = np.asarray(array)
    if found.dtype.kind == "f":
        return found.astype(np.float64)
    if found.dtype == np.uint8:
        return found
    return found.astype(np.int64)
