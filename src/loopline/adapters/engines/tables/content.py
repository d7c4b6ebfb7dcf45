"""The form in which a compiled model is kept: a JSON header, then its arrays one after the other.

    8 bytes magic · 8 bytes length of the header (little endian) · header · arrays, each aligned to 64 bytes

The header holds `inputs` (names and kinds of columns), `ops` (what is done, in order) and `arrays` (dtype and shape).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from typing import Any

from loopline.core.errors import Invalid

MAGIC = b"LOOPTAB1"
DTYPES = ("<f8", "<f4", "<i8", "<i4", "|u1")
_ALIGN = 64
_LONGEST_HEADER = 1 << 26
_MOST_ARRAYS = 1 << 14
_HINT = "Compile the model again: `loopline compile MODEL/VERSION --again`."


def packed(header: dict[str, Any], arrays: Sequence[Any]) -> bytes:
    """A header and arrays as bytes; the same values always give the same bytes."""
    import numpy as np

    whole = [np.ascontiguousarray(array) for array in arrays]
    described = [[array.dtype.str, list(array.shape)] for array in whole]
    text = json.dumps({**header, "arrays": described}, sort_keys=True, separators=(",", ":")).encode()
    parts = [MAGIC, struct.pack("<Q", len(text)), text]
    size = sum(map(len, parts))
    for array in whole:
        gap = -size % _ALIGN
        parts += [b"\0" * gap, array.tobytes()]
        size += gap + array.nbytes
    return b"".join(parts)


def unpacked(content: bytes) -> tuple[dict[str, Any], list[Any]]:
    """The header and the arrays (read-only, without a copy); Invalid when they do not fill the content exactly."""
    try:
        header, start = _header(content)
        return header, _arrays(content, header.pop("arrays"), start)
    except (ValueError, KeyError, TypeError, struct.error, RecursionError, OverflowError) as error:
        raise damaged(str(error)) from None


def damaged(what: str) -> Invalid:
    """The refusal of content that cannot be right."""
    return Invalid(f"The compiled model is damaged ({what[:200]}).", _HINT)


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    if content[: len(MAGIC)] != MAGIC:
        raise ValueError("it does not begin as one of this version")
    start = len(MAGIC) + 8
    length = struct.unpack("<Q", content[len(MAGIC) : start])[0]
    if length > min(_LONGEST_HEADER, len(content) - start):
        raise ValueError("its header is longer than itself")
    header = json.loads(content[start : start + length])
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header, start + length


def _arrays(content: bytes, described: Any, place: int) -> list[Any]:
    import numpy as np

    if not isinstance(described, list) or len(described) > _MOST_ARRAYS:
        raise ValueError("its arrays are not described")
    found = []
    for dtype, shape in described:
        if dtype not in DTYPES or len(shape) > 3 or any(type(side) is not int or side < 0 for side in shape):
            raise ValueError("an array is of an odd kind")
        place += -place % _ALIGN
        count = math.prod(shape)
        size = count * int(dtype[-1])
        if size > len(content) - place:
            raise ValueError("an array is longer than the content")
        found.append(np.frombuffer(content, dtype, count, place).reshape(shape) if count else np.empty(shape, dtype))
        place += size
    if place != len(content):
        raise ValueError("bytes are left over")
    return found
