"""Rows in files: JSON, CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid

FORM = 'Write it as [{"field": value}, …].'
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


def rows_in(content: bytes, name: str, described: Callable[[], Sequence[Mapping[str, Any]]]) -> Any:
    """The rows in `content`, by the ending of `name` (without one, by what it looks like): a list of dicts, or an Arrow
    table. CSV holds only text, so that its fields are read as the model's inputs, which `described` answers. Invalid
    says where it is wrong."""
    ending = Path(name).suffix.lower()
    if ending == ".parquet" or content[:4] == b"PAR1":
        return _parquet(content, name)
    if ending == ".csv" or (ending != ".json" and content.lstrip()[:1] not in (b"[", b"{")):
        return _csv(content, name, {each["name"]: each["datatype"] for each in described()})
    return from_json(content, name)


def from_json(content: bytes, name: str) -> Any:
    """The rows of a JSON text: a list of rows, one row, or {"rows": [{…}]}."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{name} is not JSON: {error}.", FORM) from None
    if isinstance(found, dict) and "rows" in found:
        found = found["rows"]
    return found if isinstance(found, list) else [found]


def _parquet(content: bytes, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"{name} is not Parquet: {str(error).splitlines()[0][:200]}.", "Look at the file.") from None


def _csv(content: bytes, name: str, types: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        lines = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        rows = []
        for row in lines:
            if None in row or None in row.values():
                raise Invalid(
                    f"{name}, line {lines.line_num}: it has not as many values as the first line.", "Look at it."
                )
            rows.append(
                {
                    key: _value(text, types.get(key), f"{name}, line {lines.line_num}: {key}")
                    for key, text in row.items()
                }
            )
        return rows
    except UnicodeDecodeError:
        raise Invalid(f"{name} is not text in UTF-8.", "Write it as UTF-8.") from None
    except csv.Error as error:
        raise Invalid(f"{name} is not CSV: {error}.", "Its first line names the fields.") from None


def _value(text: str, datatype: str | None, where: str) -> Any:
    """A field's value; an empty one is null."""
    if not text:
        return None
    try:
        if datatype == "BOOL":
            return {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}[text.strip().lower()]
        if datatype is not None and datatype.startswith("FP"):
            return float(text)
        return int(text) if datatype is not None and "INT" in datatype else text
    except (KeyError, ValueError):
        raise Invalid(f"{where} is {text[:40]!r}, which is no {datatype}.", "Look at that line.") from None
