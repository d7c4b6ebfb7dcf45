"""Write values down: small ones into the row, larger ones into files of a folder, named by digest."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from loopline.core.errors import Invalid
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines.model import INLINE, Leaf, Many, Tree
from loopline.usecases.pipelines.results import Model
from loopline.usecases.pipelines.values import tables

_SCALARS = (bool, int, float, str, type(None))
_encode = json.JSONEncoder(separators=(",", ":")).encode
_SMALL_TABLE = 2048  # bytes of columns below which a table may fit into a row


class Writer:
    """Writes values for one step. `files` are those written, digest → path below `folder`."""

    def __init__(self, folder: str | Path, runtimes: Mapping[str, Runtime]) -> None:
        self._folder = folder
        self._runtimes = runtimes
        self.files: dict[str, str] = {}
        self._count = 0

    def tree(self, value: Any, where: str = "the result") -> Tree:
        """The value as a tree of leaves; Invalid for a type that cannot be stored, naming where it stands."""
        if is_json(value):
            return text(value)
        if isinstance(value, Model):
            return self._model(value)
        if isinstance(value, list | tuple | dict):
            return self._many(value, where)
        if isinstance(value, bytes | bytearray):
            return self._bytes("bytes", bytes(value), {})
        kind = tables.frame_kind(value)
        if kind:
            return self._table(value, kind)
        if isinstance(value, Path):
            return self._file(value, where)
        return self._array(value, where)

    def _many(self, value: Any, where: str) -> Many:
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise Invalid(f"{where} is a dict whose keys are no texts.", "Use texts as keys.")
            items = tuple(self.tree(item, f"{where}[{key!r}]") for key, item in value.items())
            return Many("dict", items, tuple(value))
        items = tuple(self.tree(item, f"{where}[{number}]") for number, item in enumerate(value))
        if isinstance(value, list):
            return Many("list", items)
        fields = tuple(getattr(value, "_fields", ()))
        return Many("tuple", items, fields, type(value).__name__ if fields else "")

    def _table(self, value: Any, kind: str) -> Leaf:
        table = tables.settled(tables.as_arrow(value))
        if table.nbytes <= _SMALL_TABLE:
            return self._bytes("table", tables.encoded(table), {"frame": kind})
        path = self._new()
        tables.write(table, path)
        return self._kept("table", path, {"frame": kind})

    def _array(self, value: Any, where: str) -> Leaf:
        if type(value).__module__.partition(".")[0] == "numpy":
            import numpy as np

            if isinstance(value, np.generic) and is_json(value.item()):
                return text(value.item())
            if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
                path = self._new()
                with open(path, "wb") as file:
                    np.lib.format.write_array(
                        file, np.ascontiguousarray(value).reshape(value.shape), allow_pickle=False
                    )
                return self._kept("array", path, {})
        raise Invalid(
            f"{where} is of the type {type(value).__module__}.{type(value).__qualname__}, which cannot be stored.",
            "Return a frame, a numpy array, numbers and texts, bytes, a Path, or loopline.Model(estimator, example=…).",
        )

    def _file(self, value: Path, where: str) -> Leaf:
        if not value.is_file():
            raise Invalid(f"{where} is the path {str(value)!r}, which is no file.", "Return the path of a file.")
        path = self._new()
        shutil.copyfile(value, path)
        return self._kept("file", path, {"name": value.name})

    def _model(self, model: Model) -> Leaf:
        runtime = next((one for one in self._runtimes.values() if one.accepts(model.estimator)), None)
        if runtime is None:
            raise Invalid(
                f"There is no safe format for a model of the type {type(model.estimator).__qualname__}.",
                f"Formats here: {', '.join(sorted(self._runtimes)) or 'none'}.",
            )
        if model.signature is None:
            raise Invalid("A model was returned without a signature.", "Give example= (some input rows) or signature=.")
        files = self._model_files(model, runtime)
        manifest = {"format": runtime.format, "signature": msgspec.to_builtins(model.signature), "files": files}
        about = {
            "manifest": self._blob(msgspec.json.encode(manifest, order="sorted")),
            "format": runtime.format,
            "signature": manifest["signature"],
            "files": files,
            "metrics": {key: number(value) for key, value in sorted(model.metrics.items())},
            "evaluation": self._frame_blob(model.evaluation, "evaluation"),
            "profile": self._frame_blob(model.profile, "profile"),
            "name": model.name,
            "metadata": model.metadata,
        }
        content = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
        return Leaf("model", blake3(content).hexdigest(), len(content), content)

    def _model_files(self, model: Model, runtime: Runtime) -> dict[str, str]:
        folder = self._new()
        folder.mkdir()
        runtime.save(model.estimator, folder)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): self._noted(path) for path in paths}

    def _frame_blob(self, value: Any, what: str) -> str | None:
        """A frame, bytes or plain value as a blob: the form in which the registry keeps it."""
        if value is None:
            return None
        if isinstance(value, bytes):
            return self._blob(value)
        if tables.frame_kind(value):
            path = self._new()
            tables.write(tables.settled(tables.as_arrow(value)), path)
            return self._noted(path)
        if is_json(value):
            return self._blob(json.dumps(value, sort_keys=True).encode())
        raise Invalid(f"The model's {what} is of the type {type(value).__qualname__}.", "Give a frame.")

    def _bytes(self, kind: str, content: bytes, meta: dict[str, Any]) -> Leaf:
        if len(content) <= INLINE:
            return Leaf(kind, blake3(content).hexdigest(), len(content), content, meta)
        return Leaf(kind, self._blob(content), len(content), None, meta)

    def _kept(self, kind: str, path: Path, meta: dict[str, Any]) -> Leaf:
        size = path.stat().st_size
        if size <= INLINE:
            return self._bytes(kind, path.read_bytes(), meta)
        return Leaf(kind, self._noted(path), size, None, meta)

    def _blob(self, content: bytes) -> str:
        path = self._new()
        path.write_bytes(content)
        return self._noted(path)

    def _noted(self, path: Path) -> str:
        found = blake3()
        found.update_mmap(path)
        digest = found.hexdigest()
        self.files[digest] = str(path)
        return digest

    def _new(self) -> Path:
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._count += 1
        return folder / f"{self._count}.out"


def is_json(value: Any) -> bool:
    """Whether plain JSON gives the value back exactly: scalars, lists and dicts with text keys."""
    if type(value) in _SCALARS:
        return True
    if type(value) is list:
        return all(is_json(item) for item in value)
    return type(value) is dict and all(type(key) is str and is_json(item) for key, item in value.items())


def text(value: Any) -> Leaf:
    """A JSON value as a leaf; NaN and infinities are kept as Python writes them."""
    content = _encode(value).encode()
    return Leaf("json", blake3(content).hexdigest(), len(content), content)


def number(value: float) -> float | None:
    """A metric that JSON can carry; None for one that is no finite number."""
    return value if math.isfinite(value) else None
