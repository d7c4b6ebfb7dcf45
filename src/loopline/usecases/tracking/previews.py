"""What can be shown of a file without trusting it: pure readers with limits, nothing is ever unpickled or executed."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from loopline.usecases.tracking.model import Artifact

Kind = Literal["image", "audio", "video", "page", "text", "table", "confusion", "nothing"]
MOST_TEXT = 256 << 10
MOST_TAIL = 64 << 10
MOST_JSON = 4 << 20
MOST_ROWS = 100
MOST_COLUMNS = 50
MOST_LABELS = 60
LONGEST_CELL = 200
LARGEST_GROUP = 64 << 20  # bytes of a Parquet row group when unpacked
LARGEST_PICTURE = 32 << 20
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp")
SOUNDS = (
    "audio/wav",
    "audio/x-wav",
    "audio/mpeg",
    "audio/ogg",
    "audio/flac",
    "audio/x-flac",
    "audio/mp4",
    "audio/webm",
)
FILMS = ("video/mp4", "video/webm", "video/ogg")
PAGES = ("text/html", "image/svg+xml", "application/xhtml+xml")
SHOWN = (*IMAGES, *SOUNDS, *FILMS, *PAGES)
TABLE = "application/vnd.loopline.table+json"
CONFUSION = "application/vnd.loopline.confusion+json"
DRAWINGS = ("application/vnd.plotly.", "application/vnd.vega")
CODE = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".npy", ".npz", ".h5", ".keras", ".bin")


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it can be shown. `cut` says that there is more; `rows` are of texts and numbers; `total` counts all rows
    where that is known; `note` says what else there is to know, `sibling` names a picture of the same thing."""

    name: str
    media_type: str
    size: int
    digest: str
    kind: Kind
    text: str = ""
    columns: list[str] = []
    rows: list[list[Any]] = []
    total: int | None = None
    cut: bool = False
    note: str = ""
    sibling: str = ""


def preview(file: Artifact, path: Path, *, tail: bool = False, beside: frozenset[str] = frozenset()) -> Preview:
    """What can be shown of the bytes at `path`; `beside` are the names of the run's other files. With `tail` the end of a
    text instead of its beginning. Never raises for what the file holds."""
    read = reader(file)
    try:
        shown = read(file, path) if not tail else text(file, path, tail=True)
    except (ValueError, TypeError, KeyError, RecursionError, OSError, MemoryError) as error:
        shown = {**text(file, path), "note": f"It cannot be read as {file.media_type} ({str(error)[:200]})."}
    about = {"name": file.name, "media_type": file.media_type, "size": file.size, "digest": file.digest}
    if file.media_type.startswith(DRAWINGS):
        shown = {
            **shown,
            "sibling": picture_of(file.name, beside),
            "note": "A drawing for a library that runs in browsers: shown as its text.",
        }
    return msgspec.convert({**about, **shown}, Preview)


def reader(file: Artifact) -> Callable[[Artifact, Path], dict[str, Any]]:
    """What reads a file of this type or name."""
    kind, name = file.media_type.partition(";")[0].strip().lower(), file.name.lower()
    if kind in IMAGES and file.size <= LARGEST_PICTURE:
        return lambda *_: {"kind": "image"}
    for kinds, word in ((SOUNDS, "audio"), (FILMS, "video")):
        if kind in kinds:
            return lambda *_, word=word: {"kind": word}
    if kind in PAGES:
        return lambda *given: {**text(*given), "kind": "page"}
    if kind == TABLE:
        return table
    if kind == CONFUSION:
        return confusion
    if kind == "text/csv" or name.endswith((".csv", ".tsv")):
        return separated
    if name.endswith((".parquet", ".pq")) or kind == "application/vnd.apache.parquet":
        return parquet
    return as_json if kind.endswith("json") or name.endswith(".json") else text


def text(file: Artifact, path: Path, tail: bool = False) -> dict[str, Any]:
    """The beginning (or end) of a text; nothing for bytes that are none."""
    most = MOST_TAIL if tail else MOST_TEXT
    with open(path, "rb") as stream:
        if tail and file.size > most:
            stream.seek(file.size - most)
        raw = stream.read(most)
    cut = file.size > most
    if not tail and not is_text(raw, cut):
        kind = (
            "Loading such a file can run code, so nothing of it is shown; it can be downloaded."
            if file.name.endswith(CODE)
            else ""
        )
        return {"kind": "nothing", "note": kind}
    found = raw.decode(errors="replace")
    return {"kind": "text", "text": found.partition("\n")[2] if tail and cut else found, "cut": cut}


def is_text(raw: bytes, cut: bool) -> bool:
    """Whether bytes are a text in UTF-8; one that is cut may end within a character."""
    if b"\x00" in raw:
        return False
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return cut and error.start > len(raw) - 4
    return True


def as_json(file: Artifact, path: Path) -> dict[str, Any]:
    """JSON, set out for people when it is small enough."""
    if file.size > MOST_JSON:
        return text(file, path)
    found = msgspec.json.format(path.read_bytes(), indent=2).decode()
    return {"kind": "text", "text": found[:MOST_TEXT], "cut": len(found) > MOST_TEXT}


def loaded(file: Artifact, path: Path) -> dict[str, Any]:
    """A JSON object of at most MOST_JSON bytes; ValueError for anything else."""
    if file.size > MOST_JSON:
        raise ValueError(f"more than {MOST_JSON} bytes")
    found = msgspec.json.decode(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def table(file: Artifact, path: Path) -> dict[str, Any]:
    """{"columns": [{"name", "type"}], "rows": [[…]], "total": n}."""
    found = loaded(file, path)
    columns = [str(one["name"] if isinstance(one, dict) else one) for one in found["columns"]]
    rows = [[cell(value) for value in row[:MOST_COLUMNS]] for row in found["rows"][:MOST_ROWS]]
    total = found.get("total")
    return grid(columns, rows, total if isinstance(total, int) else len(found["rows"]))


def confusion(file: Artifact, path: Path) -> dict[str, Any]:
    """{"labels": […], "counts": [[…]]}: rows are true labels, columns predicted ones."""
    found = loaded(file, path)
    labels = [str(cell(label)) for label in found["labels"]]
    counts = [[int(count) for count in row[:MOST_LABELS]] for row in found["counts"][:MOST_LABELS]]
    if any(len(row) != min(len(labels), MOST_LABELS) for row in counts) or len(counts) != min(len(labels), MOST_LABELS):
        raise ValueError("its rows do not fit its labels")
    return {
        "kind": "confusion",
        "columns": labels[:MOST_LABELS],
        "rows": counts,
        "total": len(labels),
        "cut": len(labels) > MOST_LABELS,
    }


def separated(file: Artifact, path: Path) -> dict[str, Any]:
    """The first rows of a file of comma or tab separated values."""
    shown = text(file, path)
    if shown["kind"] != "text":
        return shown
    csv.field_size_limit(MOST_TEXT)
    lines = io.StringIO(shown["text"], newline="")
    found = csv.reader(lines, delimiter="\t" if file.name.lower().endswith(".tsv") else ",")
    rows = [[cell(value) for value in row[:MOST_COLUMNS]] for _, row in zip(range(MOST_ROWS + 2), found, strict=False)]
    whole = not shown["cut"] and len(rows) <= MOST_ROWS + 1
    if not rows:
        return shown
    widest = max(len(row) for row in rows)
    filled = [row + [""] * (widest - len(row)) for row in rows]
    return {**grid(filled[0], filled[1 : MOST_ROWS + 1], len(rows) - 1 if whole else None), "cut": not whole}


def parquet(file: Artifact, path: Path) -> dict[str, Any]:
    """The first rows of a Parquet file whose first row group is not too large."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as found:
            names, total = found.schema_arrow.names, found.metadata.num_rows
            groups = found.metadata.num_row_groups
            if groups and found.metadata.row_group(0).total_byte_size > LARGEST_GROUP:
                return {
                    "kind": "nothing",
                    "columns": names,
                    "total": total,
                    "note": "Its first group of rows is too large to unpack here.",
                }
            batch = (
                next(found.iter_batches(MOST_ROWS, row_groups=[0], columns=names[:MOST_COLUMNS]), None)
                if groups
                else None
            )
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    rows = [] if batch is None else [[cell(value) for value in row.values()] for row in batch.to_pylist()]
    return grid(names, rows, total)


def grid(columns: list[str], rows: list[list[Any]], total: int | None) -> dict[str, Any]:
    """A table of the first columns and rows."""
    cut = total is None or total > len(rows) or len(columns) > MOST_COLUMNS
    note = f"The first {MOST_COLUMNS} of {len(columns)} columns." if len(columns) > MOST_COLUMNS else ""
    return {"kind": "table", "columns": columns[:MOST_COLUMNS], "rows": rows, "total": total, "cut": cut, "note": note}


def cell(value: Any) -> Any:
    """A value as a cell shows it."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    found = value.hex() if isinstance(value, bytes) else str(value)
    return found if len(found) <= LONGEST_CELL else found[:LONGEST_CELL] + "…"


def picture_of(name: str, beside: frozenset[str]) -> str:
    """A picture of the same thing among the other files, by its name; nothing when there is none."""
    stem = (
        name.split(".")[0] if "/" not in name else f"{name.rpartition('/')[0]}/{name.rpartition('/')[2].split('.')[0]}"
    )
    return next((f"{stem}{ending}" for ending in (".png", ".svg") if f"{stem}{ending}" in beside), "")
