"""Tensors of every datatype and shape, as JSON and in binary, without a process."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.rows import Rows
from loopline.shells.dataplane.tensors import CODES, Request, packed, read, unpacked

pytestmark = pytest.mark.unit
OUTPUT = Column("y", "float")
NUMBERS = Rows(
    Signature((Column("a", "float"), Column("b", "integer", True)), OUTPUT), None, None, 10, most_columnar=50
)
MIXED = Rows(Signature((Column("a", "float"), Column("c", "string", True)), OUTPUT), "k", None, 10)


def tensor(name: str, datatype: str, shape: list[int], data: Any = None, size: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    return {**found, "data": data} if size is None else {**found, "parameters": {"binary_data_size": size}}


def asked(contract: Rows, *inputs: dict[str, Any], tail: bytes | None = None, **more: Any) -> Request:
    head = json.dumps({"inputs": inputs, **more}).encode()
    return read(contract, OUTPUT, head + (tail or b""), None if tail is None else len(head))


@pytest.mark.parametrize("data", [[1.5, 2, 3, None], [[1.5, 2], [3, None]]])
def test_one_matrix_for_all_columns(data: Any) -> None:
    assert asked(NUMBERS, tensor("input-0", "FP64", [2, 2], data)).rows == [(1.5, 2), (3.0, None)]


def test_a_binary_matrix_in_which_nan_is_null() -> None:
    raw = struct.pack("<4f", 1.5, 2, 3, float("nan"))
    assert asked(NUMBERS, tensor("x", "FP32", [2, 2], size=16), tail=raw).rows == [(1.5, 2), (3.0, None)]


@pytest.mark.parametrize("contract", [NUMBERS, MIXED])
def test_no_other_matrix(contract: Rows) -> None:
    with pytest.raises(Fault, match=r"has the shape \[2, 3\]|is unknown"):
        asked(contract, tensor("a", "FP64", [2, 3], [1] * 6))


@pytest.mark.parametrize("datatype", [kind for kind in CODES if kind != "BOOL"])
def test_numbers_of_every_datatype(datatype: str) -> None:
    raw = struct.pack(f"<2{CODES[datatype]}", 1, 100)
    binary = asked(
        NUMBERS, tensor("a", datatype, [2], size=len(raw)), tensor("b", datatype, [2, 1], size=len(raw)), tail=raw * 2
    )
    text = asked(NUMBERS, tensor("a", datatype, [2], [1, 100]), tensor("b", datatype, [2, 1], [[1], [100]]))
    assert binary.rows == text.rows == [(1.0, 1), (100.0, 100)]


@pytest.mark.parametrize(
    ("datatype", "value"),
    [("UINT8", 256), ("UINT8", -1), ("INT8", 128), ("INT16", 40_000), ("INT32", 1 << 31), ("UINT64", 1 << 64)],
)
def test_a_value_beyond_its_datatype(datatype: str, value: int) -> None:
    with pytest.raises(Fault, match="too large for an integer"):
        asked(NUMBERS, tensor("a", "FP64", [1], [1]), tensor("b", datatype, [1], [value]))


def test_a_large_unsigned_number_does_not_fit() -> None:
    raw = struct.pack("<Q", (1 << 64) - 1)
    with pytest.raises(Fault, match=r"Row 0: the field 'b' is too large for an integer\."):
        asked(NUMBERS, tensor("a", "UINT64", [1], [1]), tensor("b", "UINT64", [1], size=8), tail=raw)


def test_text_and_truth_in_binary() -> None:
    assert unpacked("c", "BYTES", packed("BYTES", ["ä", "", "xyz"])) == ["ä", "", "xyz"]
    assert unpacked("d", "BOOL", b"\x00\x01\x02") == [False, True, True]
    raw = packed("BYTES", ["UA"])
    made = asked(MIXED, tensor("a", "INT8", [1], size=1), tensor("c", "BYTES", [1], size=len(raw)),
                 tensor("k", "INT64", [1], [7]), tail=b"\xff" + raw)  # fmt: skip
    assert made.rows == [(-1.0, "UA", 7)]


def test_what_is_wished() -> None:
    given = tensor("a", "FP64", [1], [1]), tensor("b", "INT64", [1], [1])
    assert asked(NUMBERS, *given).binary is False
    assert asked(NUMBERS, *given, parameters={"binary_data_output": True}).binary is True
    assert asked(NUMBERS, *given, outputs=[{"name": "y", "parameters": {"binary_data": True}}], id="x").binary is True
    wished = [{"name": "y", "parameters": {"binary_data": False}}]
    assert asked(NUMBERS, *given, parameters={"binary_data_output": True}, outputs=wished).binary is False
    with pytest.raises(Fault, match="no output 'z'"):
        asked(NUMBERS, *given, outputs=[{"name": "z"}])


def test_more_rows_where_they_are_binary() -> None:
    raw = struct.pack("<40d", *range(40))
    both = tensor("a", "FP64", [40], size=320), tensor("b", "FP64", [40], size=320)
    assert len(asked(NUMBERS, *both, tail=raw * 2).rows) == 40
    with pytest.raises(Fault, match=r"may have 10 rows") as refused:
        asked(NUMBERS, tensor("a", "FP64", [40], [1] * 40), tensor("b", "FP64", [40], [1] * 40))
    assert "50" in refused.value.hint


def test_nan_in_json_is_null_and_text_is_left_alone() -> None:
    body = json.dumps({"inputs": [tensor("a", "FP64", [1], [1.0]), tensor("c", "BYTES", [1], ['NaN, "NaN" '])]})
    assert read(MIXED, OUTPUT, body.encode()).rows == [(1.0, 'NaN, "NaN" ', None)]
    gap = json.dumps({"inputs": [tensor("a", "FP64", [1], [float("nan")]), tensor("c", "BYTES", [1], ['"NaN'])]})
    with pytest.raises(Fault, match=r"Row 0: the field 'a' may not be null; it is a number\."):
        read(MIXED, OUTPUT, gap.encode())
