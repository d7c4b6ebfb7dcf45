"""Read values back, each in the form that the step's annotation asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines import materializers
from loopline.usecases.pipelines.model import Leaf, Many, Tree
from loopline.usecases.pipelines.steps import is_dataset
from loopline.usecases.pipelines.values import arrays, folders, models, objects, scalars, tables
from loopline.usecases.pipelines.values.kinds import is_whole

_decode = json.JSONDecoder().decode


class Reader:
    """Reads values for one step from `places`, digest → path of a read-only file; `folder` is for named copies."""

    def __init__(self, folder: str | Path, places: Mapping[str, str], runtimes: Mapping[str, Runtime]) -> None:
        self._folder = folder
        self._places = places
        self._runtimes = runtimes

    def value(self, tree: Tree, annotation: Any = None) -> Any:
        """The value of a resolved tree."""
        if isinstance(tree, Many):
            return self._many(tree)
        if not isinstance(tree, Leaf):
            raise Invalid("An input was handed to a step before it was there.", "Run the pipeline again.")
        if tree.kind == "json":
            return _decode(str(self._content(tree), "utf-8"))
        if tree.kind == "table":
            return self._table(tree, annotation)
        if tree.kind not in _READERS:
            raise Invalid(f"A value of the kind {tree.kind!r} cannot be read here.", "Bring Loopline up to date.")
        return _READERS[tree.kind](self, tree)

    def _many(self, tree: Many) -> Any:
        items = [self.value(item) for item in tree.items]
        if tree.form == "dict":
            return (
                objects.made(tree.title, tree.names, items) if tree.title else dict(zip(tree.names, items, strict=True))
            )
        if tree.form == "list":
            return items
        return objects.tupled(tree.title, tree.names, items) if tree.title else tuple(items)

    def _table(self, leaf: Leaf, annotation: Any) -> Any:
        table = tables.read(leaf.content if leaf.content is not None else self._place(leaf.digest))
        kind = str(leaf.meta.get("frame", "pyarrow"))
        asked = "pyarrow" if is_dataset(annotation) else tables.annotated_kind(annotation)
        return tables.as_kind(table, asked if asked and is_whole(kind) else kind)

    def _array(self, leaf: Leaf) -> Any:
        source = self._place(leaf.digest) if leaf.content is None else leaf.content
        return arrays.read(source, leaf.meta.get("frame") == "scalar")

    def _file(self, leaf: Leaf) -> Path:
        name = Path(str(leaf.meta["name"])).name
        if leaf.content is None:
            return folders.write_out({name: leaf.digest}, self._places, self._own(leaf)) / name
        path = self._own(leaf) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(leaf.content)
        return path

    def _kept_folder(self, leaf: Leaf) -> Path:
        files = json.loads(self._content(leaf))["files"]
        name = Path(str(leaf.meta["name"])).name or "folder"
        return folders.write_out(files, self._places, self._own(leaf) / name)

    def _custom(self, leaf: Leaf) -> Any:
        about = json.loads(self._content(leaf))
        return materializers.load(
            about["materializer"], folders.write_out(about["files"], self._places, self._own(leaf))
        )

    def _model(self, leaf: Leaf) -> Any:
        return models.read(self._content(leaf), leaf.digest, Path(self._folder), self._places, self._runtimes)

    def _bytes(self, leaf: Leaf) -> Any:
        content = self._content(leaf)
        return bytearray(content) if leaf.meta.get("frame") == "bytearray" else content

    def _scalar(self, leaf: Leaf) -> Any:
        return scalars.decoded(self._content(leaf))

    def _enum(self, leaf: Leaf) -> Any:
        return objects.member(*json.loads(self._content(leaf)))

    def _own(self, leaf: Leaf) -> Path:
        """A folder of this value's own."""
        return Path(self._folder) / f"in-{leaf.digest[:16]}"

    def _content(self, leaf: Leaf) -> bytes:
        return leaf.content if leaf.content is not None else self._place(leaf.digest).read_bytes()

    def _place(self, digest: str) -> Path:
        return Path(self._places[digest])


_READERS: dict[str, Callable[[Reader, Leaf], Any]] = {
    "array": Reader._array,
    "bytes": Reader._bytes,
    "custom": Reader._custom,
    "enum": Reader._enum,
    "file": Reader._file,
    "folder": Reader._kept_folder,
    "model": Reader._model,
    "scalar": Reader._scalar,
}
