"""What is checked on a skops file before any library looks at it: the archive, its arrays, and every type named."""

from __future__ import annotations

import ast
import functools
import json
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from loopline.adapters.runtimes.skops_types import ALLOWED
from loopline.core.errors import Invalid, Refused

PROTOCOL = 2
SCHEMA = "schema.json"
_DAMAGED_HINT = "The file is damaged or forged; save the model again."
_NPY_MAGIC = b"\x93NUMPY"
# what reading a damaged archive or header raises; NotImplementedError for a version of zip, SyntaxError for a literal
DAMAGED = (AttributeError, EOFError, IndexError, KeyError, MemoryError, NotImplementedError, OSError, OverflowError,
           RecursionError, SyntaxError, TypeError, ValueError, zipfile.BadZipFile)  # fmt: skip
_DEEPEST_WRAPPING = 20
_LONGEST_NPY_HEADER = 10_000


def audit(path: Path) -> dict[str, Any]:
    """The file's schema, when all of it may be loaded; nothing of it has been run or built.

    Refused names the type that is not on our list; Invalid says what is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path.stat().st_size)
            schema = json.loads(archive.read(SCHEMA))
            _check_schema(schema)
            for name in archive.namelist():
                if name != SCHEMA:
                    _check_array(archive, name)
    except DAMAGED as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise Invalid(f"{path.name!r} is no readable model file ({reason}).", _DAMAGED_HINT) from None
    return dict(schema)


def plain_schema(path: Path) -> dict[str, Any]:
    """The schema of a file whose archive and arrays were checked, but not the types that it names: to read plain values
    out of it, never to build what it describes. ValueError for a damaged one."""
    with zipfile.ZipFile(path) as archive:
        _check_entries(archive, path.stat().st_size)
        for name in archive.namelist():
            if name != SCHEMA:
                _check_array(archive, name)
        return dict(json.loads(archive.read(SCHEMA)))


def plain_array(path: Path, node: dict[str, Any]) -> list[Any]:
    """The values of an array with one dimension, of texts or numbers; the file was checked."""
    import numpy as np

    if node.get("type") == "json":
        return [json.loads(one["content"]) for one in node["content"]]
    with zipfile.ZipFile(path) as archive, archive.open(node["file"]) as stream:
        return list(np.lib.format.read_array(stream, allow_pickle=False).tolist())


def entries(state: Any) -> Iterator[dict[str, Any]]:
    """Every entry of a schema that builds an object, the outermost first."""
    if isinstance(state, dict):
        if "__loader__" in state:
            yield state
        for value in state.values():
            yield from entries(value)
    elif isinstance(state, list):
        for value in state:
            yield from entries(value)


def class_count(path: Path, schema: dict[str, Any]) -> int | None:
    """How many classes the outermost estimator chooses from; None for one that tells none. The file was audited."""
    node: Any = schema
    for _ in range(_DEEPEST_WRAPPING):
        state = node.get("content", {}).get("content") if isinstance(node, dict) else None
        if not isinstance(state, dict):
            return None
        if "classes_" in state:
            return _length(path, state["classes_"])
        steps = state.get("steps")
        node = steps["content"][-1]["content"][1] if steps else state.get("best_estimator_") or state.get("estimator_")
    return None


def _length(path: Path, array: Any) -> int | None:
    """The length of an array with one dimension."""
    if array.get("type") == "json":
        return len(array["content"])
    with zipfile.ZipFile(path) as archive, archive.open(array["file"]) as stream:
        shape, _, _ = _npy_header(stream)
    return shape[0] if len(shape) == 1 else None


def library_versions(schema: dict[str, Any]) -> set[str]:
    """The versions of scikit-learn that the estimators in the file say they were fitted with."""
    found = set()
    for entry in entries(schema):
        content = entry.get("content")
        mark = content.get("_sklearn_version") if isinstance(content, dict) else None
        if isinstance(mark, dict) and isinstance(mark.get("content"), str):
            found.add(str(json.loads(mark["content"])))
    return found


def _check_entries(archive: zipfile.ZipFile, size: int) -> None:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) != len(names) or SCHEMA not in names:
        raise ValueError("an entry is doubled or the schema is missing")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise ValueError(f"the entry {info.filename!r} is compressed or encrypted")
        if info.filename != SCHEMA and not (info.filename.endswith(".npy") and info.filename[:-4].isalnum()):
            raise ValueError(f"the entry {info.filename!r} does not belong into a model")
    # Stored entries cannot grow; overlapping ones could, and would add up to more than the file.
    if sum(info.file_size for info in infos) > size:
        raise ValueError("the entries overlap")


def _check_schema(schema: Any) -> None:
    if not isinstance(schema, dict) or schema.get("protocol") != PROTOCOL or schema["protocol"] is True:
        raise Refused("The model file has another version of its format.", "Save the model again with this Loopline.")
    for entry in entries(schema):
        loader = entry["__loader__"]
        name = f"{entry.get('__module__')}.{entry.get('__class__')}"
        if not isinstance(loader, str) or name not in ALLOWED.get(loader, ()):
            raise Refused(
                f"The model holds {name}, which is not on the list of types that Loopline loads.",
                "Use linear models, trees, forests, boosting, naive Bayes or neural networks with the usual encoders.",
            )
        if loader == "RandomGeneratorNode":
            _check_generator(entry)


def _check_generator(entry: dict[str, Any]) -> None:
    name = json.loads(entry["content"]["bit_generator"]["content"]["bit_generator"]["content"])
    if name not in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"):
        raise Refused(f"The model holds a random generator {name!r}, which Loopline does not load.", _DAMAGED_HINT)


def _check_array(archive: zipfile.ZipFile, name: str) -> None:
    """An array's header must promise exactly the bytes that follow, so that reading it cannot ask for more memory."""
    with archive.open(name) as stream:
        shape, itemsize, start = _npy_header(stream)
    if any(side < 0 for side in shape) or start + math.prod(shape) * itemsize != archive.getinfo(name).file_size:
        raise ValueError(f"the array {name!r} is not as long as it says")


def _npy_header(stream: Any) -> tuple[tuple[int, ...], int, int]:
    magic = stream.read(8)
    if magic[:6] != _NPY_MAGIC or magic[6] not in (1, 2, 3):
        raise ValueError("an array does not begin as one")
    width = 2 if magic[6] == 1 else 4
    length = struct.unpack("<H" if width == 2 else "<I", stream.read(width))[0]
    if length > _LONGEST_NPY_HEADER:
        raise ValueError("an array's header is too long")
    shape, itemsize = _described(stream.read(length))
    return shape, itemsize, 8 + width + length


@functools.lru_cache(maxsize=4096)
def _described(text: bytes) -> tuple[tuple[int, ...], int]:
    """Shape and size of an element by an array's header; the hundreds of arrays in a model share a few headers."""
    header = ast.literal_eval(text.decode("latin-1"))
    return tuple(int(side) for side in header["shape"]), _itemsize(header["descr"])


def _itemsize(description: Any) -> int:
    import numpy as np

    dtype = np.lib.format.descr_to_dtype(description)
    if dtype.hasobject:
        raise Refused("The model holds an array of Python objects, which would have to be unpickled.", _DAMAGED_HINT)
    return int(dtype.itemsize)


def normalised(source: BinaryIO, target: Path) -> None:
    """Write a skops file again so that the same model always gives the same bytes: ids counted, no times."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as result:
        schema = json.loads(archive.read(SCHEMA))
        numbers: dict[Any, int] = {}
        files: dict[str, str] = {}
        for entry in entries(schema):
            if "__id__" in entry:
                entry["__id__"] = numbers.setdefault(entry["__id__"], len(numbers) + 1)
            if isinstance(entry.get("file"), str):
                entry["file"] = files.setdefault(entry["file"], f"{len(files) + 1}.npy")
        result.writestr(_entry(SCHEMA), json.dumps(schema, separators=(",", ":")))
        for old, new in files.items():
            result.writestr(_entry(new), archive.read(old))


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
