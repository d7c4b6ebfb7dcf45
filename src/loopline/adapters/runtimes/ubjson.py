"""Universal Binary JSON (draft 12), as XGBoost writes it: read into plain values, arrays of numbers as numpy arrays.

Source: https://ubjson.org. Every length is held against the bytes that are there before anything is made of it.
"""

from __future__ import annotations

import struct
from typing import Any

_INTEGERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
_NUMBERS = {**_INTEGERS, b"d": ">f", b"D": ">d"}
_DTYPES = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_CONSTANTS = {b"T": True, b"F": False, b"Z": None}
DEEPEST = 32


def decoded(content: bytes) -> Any:
    """The one value in `content`. ValueError for anything else."""
    reader = _Reader(content)
    found = reader.value(reader.take(1), DEEPEST)
    if reader.at != len(content):
        raise ValueError("something follows the end")
    return found


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next bytes; ValueError when there are fewer."""
        if size < 0 or self.at + size > len(self._content):
            raise ValueError("it ends too early")
        self.at += size
        return self._content[self.at - size : self.at]

    def value(self, mark: bytes, depth: int) -> Any:
        """The value that begins with `mark`."""
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        if mark in _NUMBERS:
            return struct.unpack(_NUMBERS[mark], self.take(struct.calcsize(_NUMBERS[mark])))[0]
        if mark in (b"S", b"C"):
            return self._text() if mark == b"S" else self.take(1).decode()
        if mark not in (b"{", b"[") or depth < 1:
            raise ValueError(f"it is nested too deeply or holds the mark {mark!r}")
        return self._object(depth - 1) if mark == b"{" else self._array(depth - 1)

    def _length(self) -> int:
        mark = self.take(1)
        if mark not in _INTEGERS:
            raise ValueError("a length is no integer")
        found = int(self.value(mark, 0))
        if not 0 <= found <= len(self._content):
            raise ValueError("a length cannot be")
        return found

    def _text(self) -> str:
        return self.take(self._length()).decode()

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._content[self.at : self.at + 1] != b"}":
            name = self._text()
            if name in found:
                raise ValueError(f"{name[:40]!r} is there twice")
            found[name] = self.value(self.take(1), depth)
        self.take(1)
        return found

    def _array(self, depth: int) -> Any:
        first = self.take(1)
        if first == b"$":
            return self._numbers(self.take(1))
        if first == b"#":
            return [self.value(self.take(1), depth) for _ in range(self._length())]
        found = []
        while first != b"]":
            found.append(self.value(first, depth))
            first = self.take(1)
        return found

    def _numbers(self, kind: bytes) -> Any:
        import numpy as np

        if kind not in _DTYPES or self.take(1) != b"#":
            raise ValueError("an array is of an unknown kind")
        dtype = np.dtype(_DTYPES[kind])
        return np.frombuffer(self.take(self._length() * dtype.itemsize), dtype=dtype)
