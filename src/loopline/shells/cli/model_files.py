"""A model that lies on the disk, in whatever form its library or MLflow saved it: its format, files and signature.

Nothing is built or run: what the files are is told by their first bytes and held against the format's own checks.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from loopline.core.errors import Invalid, LooplineError
from loopline.core.tables import Column, ColumnType, Signature

MANIFEST, MLFLOW = "model.json", "MLmodel"
KNOWN = ("a LightGBM text, XGBoost (.ubj, .json), CatBoost (.cbm), ONNX or skops file, the folder of an MLflow model, "
         "or a folder that `loopline download` wrote")  # fmt: skip
OWN = {"model.txt": "lightgbm", "model.ubj": "xgboost", "booster.json": "xgboost", "model.cbm": "catboost",
       "model.onnx": "onnx", "model.skops": "sklearn-skops"}  # fmt: skip


class Stored(NamedTuple):
    """A model's files by the names that its format gives them. `signature` is None where the files tell none."""

    format: str
    files: dict[str, Path]
    signature: Signature | None

    def write(self, folder: Path) -> None:
        """Copy the files into an empty folder."""
        for name, path in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


def stored(path: Path, runtimes: Mapping[str, Any]) -> Stored:
    """The model at a path, checked. Invalid for what no format reads, with the reason of the format that came nearest."""
    if path.is_file():
        found = _file(path)
    elif (path / MLFLOW).is_file():
        return _of_mlflow(path, runtimes)
    elif (path / MANIFEST).is_file():
        found = _of_manifest(path)
    else:
        found = _folder(path)
    runtime = runtimes[found.format]
    runtime.inspect(found.files)
    tell = getattr(runtime, "signature", None)
    return found._replace(signature=found.signature or (tell(found.files) if tell else None))


def refined(signature: Signature, rows: Any) -> Signature:
    """A signature whose numbers are integers or booleans where the rows, an Arrow table, show that they are: a booster's
    file calls all of them numbers."""
    import pyarrow as pa

    def shown(column: Column) -> Column:
        if column.type != "float" or column.name not in rows.column_names:
            return column
        values = rows[column.name]
        whole, yes_no = pa.types.is_integer(values.type), pa.types.is_boolean(values.type)
        kind: ColumnType = "integer" if whole else "boolean" if yes_no else "float"
        return column if kind == "float" else Column(column.name, kind, values.null_count > 0)

    return Signature(tuple(shown(one) for one in signature.inputs), signature.output)


def _file(path: Path) -> Stored:
    """One file, by its first bytes; beside an ONNX graph lie the files that it names."""
    head = _head(path)
    if head.startswith(b"tree\n"):
        return Stored("lightgbm", {"model.txt": path}, None)
    if head[:4] == b"CBM1":
        return Stored("catboost", {"model.cbm": path}, None)
    if head[:1] == b"{":
        name = "booster.json" if head[1:].lstrip()[:1] in (b'"', b"}") else "model.ubj"
        return Stored("xgboost", {name: path}, None)
    if head[:4] == b"PK\x03\x04" and path.suffix == ".skops":
        return Stored("sklearn-skops", {"model.skops": path}, None)
    if path.suffix == ".onnx":
        return Stored("onnx", {"model.onnx": path} | _beside(path), None)
    raise Invalid(f"{path.name!r} is no model that is known here.", f"Name {KNOWN}.")


def _beside(path: Path) -> dict[str, Path]:
    """The files that an ONNX graph names as those of its tensors."""
    from loopline.adapters.runtimes.onnx_audit import audit

    around = {one.name: one for one in path.parent.iterdir() if one.is_file() and one != path}
    return {name: around[name] for name in sorted(audit(path, around).external)}


def _folder(path: Path) -> Stored:
    """A folder as a runtime saved it."""
    files = {one.relative_to(path).as_posix(): one for one in sorted(path.rglob("*")) if one.is_file()}
    form = next((OWN[name] for name in OWN if name in files), "")
    if not form:
        raise Invalid(f"The folder {path.name!r} holds no model that is known here.", f"Name {KNOWN}.")
    return Stored(form, files, None)


def _of_manifest(path: Path) -> Stored:
    """A folder that `loopline download` wrote: format and signature stand in its manifest."""
    from loopline.usecases.registry.model import parsed_manifest

    manifest = parsed_manifest((path / MANIFEST).read_bytes())
    missing = [name for name in manifest.files if not (path / name).is_file()]
    if missing or manifest.format not in OWN.values():
        what = f"has no {missing[0]}" if missing else f"is of the format {manifest.format[:40]!r}"
        raise Invalid(f"The folder {path.name!r} {what}.", f"Name {KNOWN}.")
    return Stored(manifest.format, {name: path / name for name in manifest.files}, manifest.signature)


def _of_mlflow(path: Path, runtimes: Mapping[str, Any]) -> Stored:
    """The folder of an MLflow model, read like one that arrives through MLflow's door."""
    from loopline.usecases.registry.flavors import examined

    files = {one.relative_to(path).as_posix(): str(one) for one in sorted(path.rglob("*")) if one.is_file()}
    found = examined(files, _start, Path, runtimes)
    if found.reason:
        raise Invalid(f"The MLflow model {path.name!r} cannot be served: {found.reason}", f"Name {KNOWN}.")
    return Stored(found.format, {name: Path(place) for name, place in found.files.items()}, found.signature)


def _start(place: str, most: int) -> bytes:
    with open(place, "rb") as stream:
        return stream.read(most)


def _head(path: Path) -> bytes:
    try:
        return _start(str(path), 64)
    except OSError as error:
        raise LooplineError(f"{path} cannot be read ({error.strerror}).", "Name another file.") from None
