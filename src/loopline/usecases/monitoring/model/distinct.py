"""How many different values a column has had: sketches that add up, whatever the order. They need the package
datasketches (extra `sketches`); without it nothing is kept, and nothing is told.

HyperLogLog by DataSketches (HLL_8, 2^11 registers; Flajolet, Fusy, Gandouet, Meunier: HyperLogLog, 2007): exact up to some
hundred values, then right to 2.3 % (one standard error). What is kept of it does not depend on the order in which values
came: the running estimate of one particular order (HIP) is left out, and the few values kept as such are sorted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from loopline.kit.installed import installed

LG_REGISTERS = 11
_FLAGS, _OUT_OF_ORDER, _HIP = 5, 16, slice(8, 16)
_REGISTERS_FROM = 40


def possible() -> bool:
    """Whether sketches can be made and read here."""
    return "datasketches" in installed()


def sketch() -> Any:
    """A new one, with `update(value)` for texts and integers. Only where it is `possible`."""
    import datasketches

    return datasketches.hll_sketch(LG_REGISTERS, datasketches.tgt_hll_type.HLL_8)


def kept(sketch: Any) -> bytes:
    """What is kept of a sketch; empty for an empty one."""
    return b"" if sketch.is_empty() else zlib.compress(_orderless(sketch.serialize_compact()), 6)


def of(values: Iterable[str | int]) -> bytes:
    """What is kept of some values."""
    if not possible():
        return b""
    made = sketch()
    for value in values:
        made.update(value)
    return kept(made)


def together(*contents: bytes) -> bytes:
    """The sketch of all values of several."""
    if not possible():
        return b""
    import datasketches

    union = datasketches.hll_union(LG_REGISTERS)
    for content in contents:
        if content:
            union.update(_opened(content))
    return kept(union.get_result(datasketches.tgt_hll_type.HLL_8))


def estimate(content: bytes) -> float:
    """About how many different values there were; 0 where that is not known."""
    return float(_opened(content).get_estimate()) if content and possible() else 0.0


def _opened(content: bytes) -> Any:
    import datasketches

    return datasketches.hll_sketch.deserialize(zlib.decompress(content))


def _orderless(content: bytes) -> bytes:
    """The same sketch in the one form that all orders share (layout: DataSketches, HllUtil and PreambleUtil)."""
    raw = bytearray(content)
    integers = raw[0]
    if integers >= 10:  # an array of registers
        raw[_FLAGS] |= _OUT_OF_ORDER
        raw[_HIP] = bytes(8)
        return bytes(raw)
    # A list or a set of coupons (uint32) behind two or three integers.
    body = raw[4 * integers :]
    coupons = sorted(body[at : at + 4] for at in range(0, len(body), 4))
    return bytes(raw[: 4 * integers]) + b"".join(coupons)
