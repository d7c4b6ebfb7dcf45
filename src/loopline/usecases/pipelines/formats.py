"""Values as the files that programs of any language read and write."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.usecases.pipelines.results import Model

TABLES = ("parquet", "csv", "arrow")
FORMATS = (*TABLES, "json", "folder")
_ENDING = re.compile(r"\.[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_SCALARS = (bool, int, float, str, type(None))


def checked_format(what: str, name: str, form: str) -> None:
    """Invalid for a name that cannot be a file's, or for an unknown format."""
    if not name.isidentifier():
        raise Invalid(f"{what} has a name that cannot be a file's.", "Use letters, digits and underscores.")
    if form not in FORMATS and not _ENDING.match(form):
        raise Invalid(f"{what} has the unknown format {form!r}.", f'Use {", ".join(FORMATS)}, or an ending as ".png".')


def is_parameter(value: Any) -> bool:
    """Whether a value is a parameter where nothing is declared: a number, a text, true, false or none."""
    return type(value) in _SCALARS


def file_name(name: str, form: str) -> str:
    """The file in which an input or output lies."""
    if form == "folder":
        return name
    return name + (form if form.startswith(".") else f".{form}")


def usual_format(value: Any, where: str) -> str:
    """The format of an input that nobody declared; Invalid for a value that no program could read."""
    from loopline.usecases.pipelines.values.tables import frame_kind

    if frame_kind(value):
        return "parquet"
    if isinstance(value, list | dict):
        return "json"
    if isinstance(value, Path):
        return "folder" if value.is_dir() else value.suffix or ".bin"
    if isinstance(value, bytes | bytearray):
        return ".bin"
    if isinstance(value, Model):
        raise Invalid(f"{where} is a model, which a program cannot read.", "Hand on the file or folder it came from.")
    raise Invalid(
        f"{where} is of the type {type(value).__qualname__}, which a program cannot read.",
        "Hand on a frame, a file, a folder, lists and maps, numbers or texts.",
    )


def written(value: Any, form: str, path: Path, where: str) -> None:
    """Write an input; Invalid when its value does not go into that format."""
    try:
        if isinstance(value, Path):
            _linked(value, form, path, where)
        elif form in TABLES:
            _WRITERS[form](_table(value, form, where), str(path))
        elif form == "json":
            path.write_text(json.dumps(_plain(value)), encoding="utf-8")
        elif isinstance(value, bytes | bytearray):
            path.write_bytes(value)
        elif isinstance(value, str):
            path.write_text(value, encoding="utf-8")
        else:
            raise TypeError(f"a {type(value).__qualname__} is no {form}")
    except (TypeError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise Invalid(f"{where} cannot be written as {form}: {error}.", "Choose another format in inputs=.") from None


def read(path: Path, form: str, where: str) -> Any:
    """The value of an output; Invalid when the file does not hold what its format says."""
    if form in TABLES:
        try:
            return _READERS[form](str(path))
        except (OSError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise Invalid(f"{where} cannot be read as {form}: {said}.", "See what the program wrote.") from None
    if form == "json":
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise Invalid(f"{where} cannot be read as json: {error}.", "See what the program wrote.") from None
    return path


def _linked(value: Path, form: str, path: Path, where: str) -> None:
    if value.is_dir() != (form == "folder"):
        raise Invalid(f"{where} is {'a folder' if value.is_dir() else 'a file'}, not {form}.", "Mend it in inputs=.")
    try:
        path.symlink_to(value.resolve())
    except OSError:
        (shutil.copytree if value.is_dir() else shutil.copyfile)(value, path)


def _table(value: Any, form: str, where: str) -> Any:
    from loopline.usecases.pipelines.values.tables import as_arrow, frame_kind

    if not frame_kind(value):
        raise Invalid(f"{where} is no table and cannot be written as {form}.", "Hand on a frame, or declare json.")
    return as_arrow(value)


def _plain(value: Any) -> Any:
    """A table as a list of rows; everything else as it is."""
    from loopline.usecases.pipelines.values.tables import as_arrow, frame_kind

    table = as_arrow(value) if frame_kind(value) else None
    return value if table is None else table.to_pylist()


def _write_parquet(table: Any, path: str) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)


def _write_csv(table: Any, path: str) -> None:
    from pyarrow import csv

    csv.write_csv(table, path)


def _write_arrow(table: Any, path: str) -> None:
    import pyarrow as pa

    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _read_parquet(path: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _read_csv(path: str) -> Any:
    from pyarrow import csv

    return csv.read_csv(path, read_options=csv.ReadOptions(use_threads=False))


def _read_arrow(path: str) -> Any:
    """An Arrow file, or the stream that some languages write under the same name."""
    import pyarrow as pa

    with open(path, "rb") as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        return (pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)).read_all()


_WRITERS: Mapping[str, Callable[[Any, str], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "arrow": _write_arrow,
}
_READERS: Mapping[str, Callable[[str], Any]] = {"parquet": _read_parquet, "csv": _read_csv, "arrow": _read_arrow}
