"""numpy arrays and scalars as .npy files whose bytes are the same whenever shape, type and elements are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

PLAIN = "biufU"  # kinds of scalars that a plain number, truth value or text stands for
_PIECE_BYTES = 1 << 24
_MAPPED_BYTES = 1 << 20


def is_numpy(value: Any) -> bool:
    """Whether a value is an array or scalar of numpy's own (or a memory-mapped array); imports nothing."""
    return type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "dtype")


def refusal(value: Any) -> str:
    """Why an array cannot be kept, and the way out; empty when it can."""
    import numpy as np

    if value.dtype.hasobject:
        return "Its elements are Python objects: give it a number type, or return a list."
    if (
        value.dtype.names and not str(np.lib.format.dtype_to_descr(value.dtype)).isascii()
    ):  # titles and inner fields too
        return "Give its fields names and titles of plain letters."
    if isinstance(value, np.generic) or type(value) in (np.ndarray, np.memmap):
        return ""
    return "Return a plain array: numpy.asarray(…), or value.filled(…) of a masked one."


def write(value: Any, file: BinaryIO) -> None:
    """Write an array in C order, piece by piece, with zeros between the fields of its rows."""
    import numpy as np

    array = np.asarray(value)
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_2_0(file, header)
    if array.ndim == 0:
        file.write(padded(array.reshape(1)).tobytes())
        return
    row = max(1, array.nbytes // max(1, len(array)))
    step = max(1, _PIECE_BYTES // row)
    for start in range(0, len(array), step):
        file.write(memoryview(padded(array[start : start + step]).reshape(-1).view(np.uint8)))


def padded(array: Any) -> Any:
    """The array in C order; what lies between the fields of a structured one is zero."""
    import numpy as np

    if array.dtype.names is None:
        return np.ascontiguousarray(array)
    clean = np.zeros(array.shape, array.dtype)
    _copy_fields(array, clean)
    return clean


def _copy_fields(source: Any, target: Any) -> None:
    for name in source.dtype.names:
        if source.dtype[name].names is None:
            target[name] = source[name]
        else:
            _copy_fields(source[name], target[name])


def read(source: Path | bytes, is_scalar: bool) -> Any:
    """The array; a large one is mapped into memory, and a change to it stays with the one who makes it."""
    import io

    import numpy as np

    if isinstance(source, bytes):
        found = np.load(io.BytesIO(source), allow_pickle=False)
    elif source.stat().st_size < _MAPPED_BYTES:
        found = np.load(source, allow_pickle=False)
    else:
        found = np.load(source, mmap_mode="c", allow_pickle=False).view(np.ndarray)
    return found[()] if is_scalar else found
