"""Write values down: small ones into the row, larger ones into files of a folder, named by digest."""

from __future__ import annotations

import enum
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from loopline.core.errors import Invalid
from loopline.kit.digests import file_digest
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines import materializers
from loopline.usecases.pipelines.model import INLINE, Leaf, Many, Tree
from loopline.usecases.pipelines.results import Model
from loopline.usecases.pipelines.values import arrays, folders, models, objects, scalars, tables
from loopline.usecases.pipelines.values.frames import stored_kind

_SCALARS = (bool, int, float, str, type(None))
_encode = json.JSONEncoder(separators=(",", ":")).encode
_SMALL_TABLE = 2048  # bytes of columns below which a table may fit into a row


class Writer:
    """Writes values for one step. `files` are those written, digest → path below `folder`; `known` are files that the
    step was given (digest → path): a table that is one of them is not written again."""

    def __init__(
        self, folder: str | Path, runtimes: Mapping[str, Runtime], known: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._runtimes = runtimes
        self._known = known or {}
        self.files: dict[str, str] = {}
        self._count = 0

    def tree(self, value: Any, where: str = "the result") -> Tree:
        """The value as a tree of leaves; Invalid for a type that cannot be stored, naming where it stands."""
        try:
            return self._tree(value, where)
        except RecursionError:
            raise Invalid(f"{where} is nested too deeply, or holds itself.", "Return it flat.") from None

    def _tree(self, value: Any, where: str) -> Tree:
        if is_json(value):
            leaf = text(value)
            return leaf if leaf.size <= INLINE or leaf.content is None else self._bytes("json", leaf.content, {})
        if materializers.materializer_of(type(value)):
            return self._custom(value)
        if isinstance(value, Model):
            return models.written(value, self._runtimes, self)
        if type(value) in (list, tuple, dict) or is_named(value):
            return self._many(value, where)
        if type(value) in (bytes, bytearray):
            return self._bytes("bytes", bytes(value), {"frame": "bytearray"} if type(value) is bytearray else {})
        if tables.frame_kind(value):
            return self._table(value)
        if isinstance(value, Path):
            return self._path(value, where)
        return self._object(value, where)

    def new(self) -> Path:
        """A place for one more file or folder."""
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._count += 1
        return folder / f"{self._count}.out"

    def noted(self, path: Path) -> str:
        """Take a finished file in; answers its digest."""
        digest = file_digest(path)
        self.files[digest] = str(path)
        return digest

    def blob(self, content: bytes) -> str:
        """Take bytes in as a file; answers their digest."""
        path = self.new()
        path.write_bytes(content)
        return self.noted(path)

    def _many(self, value: Any, where: str) -> Many:
        if isinstance(value, dict):
            if not all(type(key) is str for key in value):
                raise Invalid(f"{where} is a dict whose keys are no texts.", "Use texts as keys.")
            return Many(
                "dict", tuple(self._tree(item, f"{where}[{key!r}]") for key, item in value.items()), tuple(value)
            )
        items = tuple(self._tree(item, f"{where}[{number}]") for number, item in enumerate(value))
        if isinstance(value, list):
            return Many("list", items)
        fields = tuple(getattr(value, "_fields", ()))
        return Many("tuple", items, fields, objects.tuple_title(value) if fields else "")

    def _object(self, value: Any, where: str) -> Tree:
        if arrays.is_numpy(value):
            return self._array(value, where)
        if scalars.is_scalar(value):
            return self._bytes("scalar", scalars.encoded(value), {})
        if isinstance(value, enum.Enum):
            which = [value.value, "value"] if is_json(value.value) else [value.name, "name"]
            return self._bytes("enum", _encode([objects.place_of(type(value), where), *which]).encode(), {})
        fields = objects.fields_of(value)
        if fields is None:
            raise refused(value, where)
        items = tuple(self._tree(item, f"{where}.{name}") for name, item in fields.items())
        return Many("dict", items, tuple(fields), objects.place_of(type(value), where))

    def _table(self, value: Any) -> Leaf:
        table, meta = tables.as_arrow(value), {"frame": stored_kind(value)}
        assert table is not None  # as its kind is known
        inside = tables.parts(table)
        if table.nbytes <= _SMALL_TABLE:
            return self._bytes("table", tables.encoded(table), meta)
        found = tables.unchanged(table.schema, inside, self._known) if isinstance(inside, list) else None
        if found is not None:
            return Leaf("table", found[0], found[1], None, meta)
        path = self.new()
        tables.write_parts(table.schema, inside, path)
        return self._kept("table", path, meta)

    def _array(self, value: Any, where: str) -> Leaf:
        import numpy as np

        if isinstance(value, np.generic) and value.dtype.kind in arrays.PLAIN and is_json(value.item()):
            return text(value.item())
        refusal = arrays.refusal(value)
        if refusal:
            raise Invalid(
                f"{where} is an array that cannot be stored ({type(value).__name__} of {value.dtype}).", refusal
            )
        meta = {"frame": "scalar"} if isinstance(value, np.generic) else {}
        if value.nbytes <= INLINE // 2:
            buffer = io.BytesIO()
            arrays.write(value, buffer)
            return self._bytes("array", buffer.getvalue(), meta)
        path = self.new()
        with open(path, "wb") as file:
            arrays.write(value, file)
        return self._kept("array", path, meta)

    def _path(self, value: Path, where: str) -> Leaf:
        if value.is_dir():
            files = self._files(value, where)
            return self._manifest("folder", {"files": files}, {"name": value.name, "frame": value.name})
        if not value.is_file():
            raise Invalid(
                f"{where} is the path {str(value)!r}, which is no file.", "Return the path of a file or folder."
            )
        path = self.new()
        shutil.copyfile(value, path)
        return self._kept("file", path, {"name": value.name, "frame": value.name})

    def _custom(self, value: Any) -> Leaf:
        cls = materializers.materializer_of(type(value))
        assert cls is not None  # as it was found before
        folder = self.new()
        folder.mkdir()
        materializers.save(cls, value, folder)
        place = f"{cls.__module__}:{cls.__qualname__}"
        return self._manifest("custom", {"materializer": place, "files": self._files(folder, place)}, {})

    def _files(self, folder: Path, where: str) -> dict[str, str]:
        """Name → digest of a folder's files, each copied: their owner may go on writing."""
        found: dict[str, str] = {}
        for name, path in folders.files_in(folder, where):
            found[name] = ""
            if path is not None:
                copy = self.new()
                shutil.copyfile(path, copy)
                found[name] = self.noted(copy)
        return found

    def _manifest(self, kind: str, about: dict[str, Any], meta: dict[str, Any]) -> Leaf:
        """A value of several files: the list of them stays in the row, however long it is."""
        content = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
        return Leaf(kind, str(blake3(content).hexdigest()), len(content), content, meta)

    def _bytes(self, kind: str, content: bytes, meta: dict[str, Any]) -> Leaf:
        if len(content) <= INLINE:
            return Leaf(kind, str(blake3(content).hexdigest()), len(content), content, meta)
        return Leaf(kind, self.blob(content), len(content), None, meta)

    def _kept(self, kind: str, path: Path, meta: dict[str, Any]) -> Leaf:
        size = path.stat().st_size
        if size <= INLINE:
            return self._bytes(kind, path.read_bytes(), meta)
        return Leaf(kind, self.noted(path), size, None, meta)


def refused(value: Any, where: str) -> Invalid:
    """The refusal of a value, with the way out for its type."""
    cls = type(value)
    hints = {
        "set": "Return sorted(…): a set has no order that stays.",
        "frozenset": "Return sorted(…): a set has no order that stays.",
        "memoryview": "Return bytes(…).",
    }
    near = f"Return a plain {base}: {base}(…)." if (base := plain_base(cls)) else ""
    return Invalid(
        f"{where} is of the type {cls.__module__}.{cls.__qualname__}, which cannot be stored.",
        hints.get(cls.__name__)
        or near
        or "Return a frame, a numpy array, numbers and texts, a dataclass of such, bytes, a Path, or "
        "loopline.Model(estimator, example=…); or say how it is written: @loopline.materializer"
        f"({cls.__qualname__}) on a class with save(self, value, folder) and load(self, folder).",
    )


def plain_base(cls: type) -> str:
    """The name of the plain type that a class is derived from; empty for others."""
    plain = (dict, list, tuple, str, int, float, bytes)
    return next((base.__name__ for base in plain if issubclass(cls, base) and cls is not base), "")


def is_named(value: Any) -> bool:
    """Whether a value is a named tuple."""
    return isinstance(value, tuple) and isinstance(getattr(value, "_fields", None), tuple)


def is_json(value: Any) -> bool:
    """Whether plain JSON gives the value back exactly: scalars, lists and dicts with text keys."""
    if type(value) in _SCALARS:
        return True
    if type(value) is list:
        return all(is_json(item) for item in value)
    return type(value) is dict and all(type(key) is str and is_json(item) for key, item in value.items())


def text(value: Any) -> Leaf:
    """A JSON value as a leaf; a dict's order counts, NaN and infinities are kept as Python writes them."""
    content = _encode(value).encode()
    return Leaf("json", str(blake3(content).hexdigest()), len(content), content)
