"""Read values back, each in the form that the step's annotation asks for."""

from __future__ import annotations

import collections
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid, Unavailable
from loopline.core.tables import Signature
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines.model import Leaf, Many, Tree
from loopline.usecases.pipelines.results import Model
from loopline.usecases.pipelines.steps import is_dataset
from loopline.usecases.pipelines.values import tables


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
            return json.loads(self._content(tree))
        if tree.kind == "table":
            return self._table(tree, annotation)
        if tree.kind == "array":
            return self._array(tree)
        if tree.kind == "model":
            return self._model(tree)
        return self._content(tree) if tree.kind == "bytes" else self._file(tree)

    def _many(self, tree: Many) -> Any:
        items = [self.value(item) for item in tree.items]
        if tree.form == "dict":
            return dict(zip(tree.names, items, strict=True))
        if tree.form == "list":
            return items
        return collections.namedtuple(tree.title, tree.names)(*items) if tree.title else tuple(items)

    def _table(self, leaf: Leaf, annotation: Any) -> Any:
        table = tables.read(leaf.content if leaf.content is not None else self._place(leaf.digest))
        asked = "pyarrow" if is_dataset(annotation) else tables.annotated_kind(annotation)
        return tables.as_kind(table, asked or leaf.meta.get("frame", "pyarrow"))

    def _array(self, leaf: Leaf) -> Any:
        import io

        import numpy as np

        if leaf.content is None:
            return np.load(self._place(leaf.digest), allow_pickle=False)
        return np.load(io.BytesIO(leaf.content), allow_pickle=False)

    def _file(self, leaf: Leaf) -> Path:
        folder = Path(self._folder) / f"in-{leaf.digest[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / Path(str(leaf.meta["name"])).name
        if leaf.content is not None:
            path.write_bytes(leaf.content)
        else:
            shutil.copyfile(self._place(leaf.digest), path)
        return path

    def _model(self, leaf: Leaf) -> Model:
        about = json.loads(self._content(leaf))
        signature = msgspec.convert(about["signature"], Signature)
        runtime = self._runtimes.get(about["format"])
        if runtime is None:
            raise Unavailable(f"There is no runtime for the format {about['format']!r} here.", "Install its extra.")
        folder = Path(self._folder) / f"in-{leaf.digest[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, digest in about["files"].items():
            if name.startswith("/") or ".." in Path(name).parts:  # a result may come from another installation
                raise Invalid(
                    f"{name!r} cannot be the name of a model's file.", "Clear the result, and run the step again."
                )
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._place(digest), folder / name)
        loaded = runtime.load(folder, signature)
        evaluation = about["evaluation"] and tables.read(self._place(about["evaluation"]))
        return Model(
            getattr(loaded, "model", loaded),
            signature=signature,
            metrics={key: float("nan") if value is None else value for key, value in about["metrics"].items()},
            evaluation=evaluation or None,
            name=about["name"],
            metadata=about["metadata"],
        )

    def _content(self, leaf: Leaf) -> bytes:
        return leaf.content if leaf.content is not None else self._place(leaf.digest).read_bytes()

    def _place(self, digest: str) -> Path:
        return Path(self._places[digest])
