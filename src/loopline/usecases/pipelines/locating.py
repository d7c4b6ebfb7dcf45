"""Where two stored values differ first: the column and row of a table, the file of a model, the place in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import LooplineError
from loopline.ports.blobs import Blobs
from loopline.usecases.pipelines.hashing import of_tree
from loopline.usecases.pipelines.model import Leaf, Many, Tree

RANDOM = (
    "Start its random numbers with @step(seed=0) or a random_state, leave out the present time, and sort what comes "
    "from sets, folders and threads."
)
ORDER = "Sort its rows before it returns them: group-by, joins and sets promise no order."
MODEL = "Give the estimator a random_state, and n_jobs=1 where threads add up in any order."


class Place(msgspec.Struct, frozen=True):
    """Where two values differ, and what to do."""

    text: str
    hint: str = RANDOM


def first_difference(was: Tree, now: Tree, blobs: Blobs, path: str = "") -> Place:
    """The first place at which two values differ."""
    if isinstance(was, Many) and isinstance(now, Many):
        return in_many(was, now, blobs, path)
    if not isinstance(was, Leaf) or not isinstance(now, Leaf) or was.kind != now.kind:
        return Place(f"{of(path)}what kind of value it is")
    look = _LOOKS.get(was.kind, in_bytes)
    try:
        return look(was, now, blobs, path)
    except LooplineError as error:  # a blob is gone
        return Place(f"{of(path)}the {was.kind}, which cannot be read any more: {error.message}")


def in_many(was: Many, now: Many, blobs: Blobs, path: str) -> Place:
    """In lists, tuples and dicts the first part that differs."""
    if was.names != now.names:
        return Place(f"{of(path)}the keys, or their order", ORDER)
    if len(was.items) != len(now.items):
        return Place(f"{of(path)}the number of items, {len(was.items)} and {len(now.items)}")
    names = was.names or tuple(str(position) for position in range(len(was.items)))
    for name, one, other in zip(names, was.items, now.items, strict=True):
        if of_tree(one) != of_tree(other):
            return first_difference(one, other, blobs, f"{path}[{name}]")
    return Place(f"{of(path)}what kind of value it is")


def in_table(was: Leaf, now: Leaf, blobs: Blobs, path: str) -> Place:
    """The first row, and in it the first column, in which two tables differ."""
    one, other = (table(leaf, blobs) for leaf in (was, now))
    if one.schema != other.schema:
        names = [pair for pair in zip_longest(one.schema, other.schema) if pair[0] != pair[1]]
        shown = (
            " and ".join("no column" if field is None else f"{field.name} ({field.type})" for field in names[0])
            if names
            else "metadata"
        )
        return Place(f"{of(path)}the columns: {shown}")
    first = min(
        ((row, column) for column, row in differing(one, other)),
        default=(None, ""),
        key=lambda found: (found[0], one.column_names.index(found[1])),
    )
    hint = ORDER if is_reordered(one, other) else RANDOM
    sizes = f" ({one.num_rows} and {other.num_rows} rows)" if one.num_rows != other.num_rows else ""
    if first[0] is None:
        return Place(f"{of(path)}the number of rows, {one.num_rows} and {other.num_rows}", hint)
    values = [repr(part.column(first[1])[first[0]].as_py())[:60] for part in (one, other)]
    told = "the same rows in another order, at first in " if hint is ORDER else ""
    return Place(f"{of(path)}{told}column {first[1]!r}, row {first[0]}: {' and '.join(values)}{sizes}", hint)


def differing(one: Any, other: Any) -> list[tuple[str, int]]:
    """The columns that differ within the rows that both have, each with its first row that does."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = min(one.num_rows, other.num_rows)
    found = []
    for name in one.column_names:
        parts = [table.column(name).slice(0, rows).combine_chunks() for table in (one, other)]
        if parts[0].equals(parts[1]):
            continue
        try:
            alike = pc.fill_null(pc.equal(*parts), False)
            both_null = pc.and_(pc.is_null(parts[0], nan_is_null=True), pc.is_null(parts[1], nan_is_null=True))
            row = pc.index(pc.or_(alike, both_null), pa.scalar(False)).as_py()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # nested types
            pairs = zip(parts[0].to_pylist(), parts[1].to_pylist(), strict=True)
            row = next((n for n, (a, b) in enumerate(pairs) if a != b), -1)
        if row >= 0:
            found.append((name, row))
    return found


def is_reordered(one: Any, other: Any) -> bool:
    """Whether two tables have the same rows in another order."""
    if one.num_rows != other.num_rows or one.num_rows > 1_000_000:
        return False
    counted = [
        sorted(map(repr, zip(*(column.to_pylist() for column in part.columns), strict=True))) for part in (one, other)
    ]
    return bool(counted[0] == counted[1])


def table(leaf: Leaf, blobs: Blobs) -> Any:
    """The table of a leaf."""
    from loopline.usecases.pipelines.values import tables

    return tables.read(leaf.content if leaf.content is not None else Path(blobs.path(leaf.digest)))


def in_files(was: Leaf, now: Leaf, blobs: Blobs, path: str) -> Place:
    """The first file of a model or folder that differs, else the first of its other parts."""
    one, other = (json.loads(content(leaf, blobs)) for leaf in (was, now))
    hint = MODEL if was.kind == "model" else RANDOM
    files = [part.get("files", {}) for part in (one, other)]
    names = [name for name in sorted(files[0].keys() | files[1].keys()) if files[0].get(name) != files[1].get(name)]
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return Place(f"{of(path)}the {was.kind}'s file {names[0]}{more}", hint)
    for name in ("metrics", "evaluation", "profile"):
        if one.get(name) != other.get(name):
            told = in_value(one.get(name), other.get(name), f"its {name}") if name == "metrics" else f"its {name}"
            return Place(f"{of(path)}{told}", RANDOM)
    return Place(of(path) + in_value(one, other, f"the {was.kind}"), hint)


def in_json(was: Leaf, now: Leaf, blobs: Blobs, path: str) -> Place:
    """The first place in JSON that differs."""
    one, other = (json.loads(content(leaf, blobs)) for leaf in (was, now))
    if isinstance(one, list) and isinstance(other, list) and sorted(map(repr, one)) == sorted(map(repr, other)):
        return Place(of(path) + in_value(one, other, "the same items in another order, at first"), ORDER)
    return Place(of(path) + in_value(one, other, "the value"))


def in_value(was: Any, now: Any, path: str) -> str:
    """The first place in plain values that differs."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in (*was, *(key for key in now if key not in was)):
            if was.get(key) != now.get(key) or (key in was) != (key in now):
                return in_value(was.get(key), now.get(key), f"{path}[{key!r}]")
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for position, (one, other) in enumerate(zip(was, now, strict=True)):
            if one != other:
                return in_value(one, other, f"{path}[{position}]")
    return f"{path}: {repr(was)[:60]} and {repr(now)[:60]}"


def in_array(was: Leaf, now: Leaf, blobs: Blobs, path: str) -> Place:
    """The first element of an array that differs."""
    import numpy as np

    from loopline.usecases.pipelines.values import arrays

    sources = [leaf.content if leaf.content is not None else Path(blobs.path(leaf.digest)) for leaf in (was, now)]
    one, other = (np.asarray(arrays.read(source, False)) for source in sources)
    if one.shape != other.shape or one.dtype != other.dtype:
        return Place(f"{of(path)}shape or type: {one.shape} {one.dtype} and {other.shape} {other.dtype}")
    unlike = np.argwhere(~((one == other) | ((one != one) & (other != other))))
    if not len(unlike):
        return in_bytes(was, now, blobs, path)
    index = tuple(int(part) for part in unlike[0])
    return Place(f"{of(path)}element {list(index)}: {one[index]!r} and {other[index]!r}")


def in_bytes(was: Leaf, now: Leaf, blobs: Blobs, path: str) -> Place:
    """The first byte that differs."""
    one, other = content(was, blobs), content(now, blobs)
    position = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return Place(f"{of(path)}the {was.kind} at byte {position} of {len(one)} and {len(other)}")


def content(leaf: Leaf, blobs: Blobs) -> bytes:
    """The bytes of a leaf."""
    return leaf.content if leaf.content is not None else blobs.get(leaf.digest)


def of(path: str) -> str:
    """The part of the result that is meant."""
    return f"in its part {path} " if path else ""


Look = Callable[[Leaf, Leaf, Blobs, str], Place]
_LOOKS: Mapping[str, Look] = {
    "table": in_table,
    "model": in_files,
    "folder": in_files,
    "custom": in_files,
    "json": in_json,
    "array": in_array,
}
