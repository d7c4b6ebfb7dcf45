"""Tables of FlatBuffers, field by field, without their library: every place is held against the bytes that are there.

Source: https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from typing import Any


class Table:
    """A table at a place of a buffer. `field` numbers count from 0 as in its schema. ValueError for a place outside."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at
        self._fields = at - _read("<i", content, at)
        self._count = (_read("<H", content, self._fields) - 4) // 2

    def place(self, field: int) -> int | None:
        """Where a field's value lies; None for one that is not written."""
        if field >= self._count:
            return None
        offset = _read("<H", self._content, self._fields + 4 + 2 * field)
        return self._at + offset if offset else None

    def scalar(self, field: int, form: str, default: Any) -> Any:
        """A number, `form` as in `struct`."""
        place = self.place(field)
        return default if place is None else _read(form, self._content, place)

    def bytes(self, field: int) -> bytes:
        """A text or a vector of bytes."""
        found: bytes = self.numbers(field, "u1").tobytes()
        return found

    def numbers(self, field: int, dtype: Any) -> Any:
        """A vector of numbers as a numpy array, empty when it is not written."""
        import numpy as np

        start, length = self._vector(field)
        kind = np.dtype(dtype)
        if start + length * kind.itemsize > len(self._content):
            raise ValueError("a vector ends outside")
        return np.frombuffer(self._content, dtype=kind, count=length, offset=start)

    def count(self, field: int) -> int:
        """How long a vector says that it is."""
        return self._vector(field)[1]

    def table(self, field: int) -> Table | None:
        """A table inside."""
        place = self.place(field)
        return None if place is None else Table(self._content, place + _read("<I", self._content, place))

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        start, length = self._vector(field)
        if start + 4 * length > len(self._content):
            raise ValueError("a vector ends outside")
        places = range(start, start + 4 * length, 4)
        return [Table(self._content, place + _read("<I", self._content, place)) for place in places]

    def _vector(self, field: int) -> tuple[int, int]:
        place = self.place(field)
        if place is None:
            return 0, 0
        start = place + _read("<I", self._content, place)
        return start + 4, _read("<I", self._content, start)


def root(content: bytes) -> Table:
    """The outermost table of a buffer."""
    return Table(content, _read("<I", content, 0))


def _read(form: str, content: bytes, at: int) -> int:
    if at < 0 or at + struct.calcsize(form) > len(content):
        raise ValueError("a place lies outside")
    found: int = struct.unpack_from(form, content, at)[0]
    return found
