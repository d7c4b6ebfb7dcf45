"""Recorded requests to warm a new revision with: the newest rows of the endpoint's log, read without Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopline.core.tables import Signature
from loopline.usecases.serving.model import column_name
from loopline.usecases.serving.records.columns import Packed, join, kind_of
from loopline.usecases.serving.records.segments import Header, names, read
from loopline.usecases.serving.records.writing import PREDICTIONS

MOST_SEGMENTS = 4
LEAST_ROWS = 10
TOLERATED = 0.1
COLUMNS = 8  # the place of the inputs in a block (see records.writing.merged)
SIZES = {"d": 8, "q": 8, "?": 1}


def recorded(home: Path, endpoint: str, signature: Signature, rows: int) -> tuple[list[Packed], int] | None:
    """The inputs of the newest logged requests, packed as a model's process gets them, and how many rows there are: up to
    `rows`. None when there are none whose inputs are those of the signature (some may be redacted)."""
    folder = home / PREDICTIONS / endpoint
    parts: list[tuple[list[Packed], int]] = []
    missing = rows
    for name in names(folder)[: -MOST_SEGMENTS - 1 : -1]:
        found = _read(folder / name)
        places = None if found is None else _places(found[0], signature)
        if found is None or places is None:
            continue
        for block in reversed(found[1]):
            count = min(missing, block[0])
            columns = [_last(block[COLUMNS][place], found[0].inputs[place].kind, count) for place in places]
            parts.append((columns, count))
            missing -= count
            if not missing:
                break
        if not missing:
            break
    if not parts:
        return None
    joined = [
        join(kind_of(column), [part[0][place] for part in parts]) for place, column in enumerate(signature.inputs)
    ]
    return joined, rows - missing


def misfit(faults: list[tuple[int, str]], rows: int) -> str | None:
    """Why a model that could not score these of the recorded rows is unfit: more than a tenth of them; None when it is
    fit. What was answered a moment ago will be asked again."""
    if not faults or (len(faults) <= TOLERATED * rows and rows >= LEAST_ROWS):
        return None
    return f"it cannot score {len(faults)} of the {rows} newest requests: {faults[0][1]}"


def _read(path: Path) -> tuple[Header, list[list[Any]]] | None:
    try:
        return read(path)
    except OSError:  # sealed meanwhile
        return None


def _places(header: Header, signature: Signature) -> list[int] | None:
    """Where the inputs of the signature are among those of the segment."""
    known = {(inputs.name, inputs.type, inputs.kind): place for place, inputs in enumerate(header.inputs)}
    wanted = [(column_name(column.name), column.type, kind_of(column)) for column in signature.inputs]
    return [known[each] for each in wanted] if all(each in known for each in wanted) else None


def _last(packed: Packed, kind: str, count: int) -> Packed:
    return packed[-count * SIZES.get(kind, 1) :]
