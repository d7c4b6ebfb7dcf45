"""Requests of the Open Inference Protocol, version 2: tensors as JSON or in the binary tensor data extension.

One input is one column, of shape [n] or [n, 1]; where all inputs of a model are numbers, one tensor [n, columns] may hold
all of them in the order of the signature. Binary data is little-endian and row-major; an element of BYTES has its length
before it in four bytes.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from loopline.core.tables import Column
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.rows import Rows, decoded
from loopline.shells.dataplane.values import Scalar, Wrong, settled

CODES = {
    "BOOL": "B", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i",
    "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
INTEGERS = {
    **{f"INT{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
FLOATS = ("FP64", "FP32", "FP16")
NUMBERS = (*FLOATS, "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
TAKEN: dict[str, tuple[str, ...]] = {
    "float": NUMBERS, "integer": ("INT64", *(kind for kind in NUMBERS if kind != "INT64")), "boolean": ("BOOL",),
    "string": ("BYTES",), "timestamp": ("BYTES",), "key": ("BYTES", *INTEGERS),
}  # fmt: skip
NUMERIC = ("float", "integer")
LENGTH = struct.Struct("<I")
FORM = "See the API's description at /v1/endpoints/{endpoint}/openapi.json."


class Tensor(msgspec.Struct, gc=False):
    """One input."""

    name: str
    shape: list[Annotated[int, Meta(ge=0)]]
    datatype: str
    data: list[Scalar | list[Scalar]] | None = None
    parameters: dict[str, Scalar] | None = None


class Wished(msgspec.Struct, gc=False):
    """One output that is asked for."""

    name: str
    parameters: dict[str, Scalar] | None = None


class Infer(msgspec.Struct, gc=False):
    """A request."""

    inputs: list[Tensor]
    id: Annotated[str, Meta(max_length=1000)] | None = None
    parameters: dict[str, Scalar] | None = None
    outputs: list[Wished] | None = None


class Request(NamedTuple):
    """What a request says: rows, its id, and whether the output is to be binary."""

    rows: list[tuple[Any, ...]]
    id: str | None
    binary: bool


_INFER = msgspec.json.Decoder(Infer)


def read(contract: Rows, output: Column, body: bytes, json_length: int | None = None) -> Request:
    """A request's rows and wishes. `json_length` is where the JSON ends and binary data begins. Fault names what is
    wrong."""
    head, tail = (body, b"") if json_length is None else (body[:json_length], body[json_length:])
    request = decoded(_INFER, head)
    given = _columns(contract, request.inputs, tail)
    most = contract.most_rows if json_length is None else contract.most_columnar
    return Request(contract.from_columns(given, most), request.id, _binary(request, output))


def columns_of(contract: Rows, tensors: Sequence[tuple[str, str, Sequence[int], Sequence[Any]]]) -> dict[str, Any]:
    """Columns by name from tensors as (name, datatype, shape, flat values); Fault names what is wrong."""
    given: dict[str, Any] = {}
    for name, datatype, shape, values in tensors:
        if len(tensors) == 1 and _is_matrix(contract, name, shape):
            width = len(contract.columns)
            _counted(name, shape, values, shape[0] * width)
            for place, column in enumerate(contract.columns):
                given[column.name] = _checked(column.name, column.type, column.nullable, datatype, values[place::width])
            continue
        if name in given:
            raise Fault(400, f"The input {name[:100]!r} is there twice.", contract.expected())
        if contract.is_known(name):
            if len(shape) not in (1, 2) or list(shape[1:]) not in ([], [1]):
                raise Fault(400, f"The input {name[:100]!r} has the shape {list(shape[:8])}.", _shapes(contract))
            _counted(name, shape, values, shape[0])
            kind, nullable = contract.kinds[contract.fields.index(name)]
            given[name] = _checked(name, kind, nullable, datatype, values)
    return given


def unpacked(name: str, datatype: str, raw: bytes) -> Sequence[Any]:
    """The flat values of a tensor's binary data; Fault when it cannot be read."""
    if datatype == "BYTES":
        return _texts(name, raw)
    code = CODES.get(datatype)
    if code is None:
        raise Fault(
            400,
            f"The input {name[:100]!r} has the datatype {datatype[:20]!r}.",
            f"Known are {', '.join(CODES)}, BYTES.",
        )
    size = struct.calcsize(f"<{code}")
    if len(raw) % size:
        raise Fault(
            400,
            f"The input {name[:100]!r} has {len(raw)} bytes, not a multiple of {size}.",
            f"{datatype} has {size} a value.",
        )
    if code == "e":
        return struct.unpack(f"<{len(raw) // 2}e", raw)
    values = array(code)
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return [value != 0 for value in values] if datatype == "BOOL" else values.tolist()


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """Values of an output as binary data."""
    if datatype == "BYTES":
        texts = [str("" if value is None else value).encode() for value in values]
        return b"".join([LENGTH.pack(len(text)) + text for text in texts])
    found = array("d", values)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def datatype_of(column: Column, output: bool = False) -> str:
    """The datatype under which a column is described; every number that a model gives is an FP64."""
    if output and column.type in ("integer", "boolean"):
        return "FP64"
    return TAKEN[column.type][0]


def metadata(columns: Iterable[Column], output: bool = False) -> list[dict[str, Any]]:
    """Columns as the protocol describes tensors."""
    return [{"name": each.name, "datatype": datatype_of(each, output), "shape": [-1]} for each in columns]


def _columns(contract: Rows, inputs: Sequence[Tensor], tail: bytes) -> dict[str, Any]:
    start = 0
    tensors = []
    for tensor in inputs:
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            values = _flat(tensor)
        else:
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(tail) - start:
                raise Fault(400, f"The input {tensor.name[:100]!r} says that it has {str(size)[:20]} bytes of binary data,"
                            f" but {len(tail) - start} are left.", "Send Inference-Header-Content-Length and all data after the JSON.")  # fmt: skip
            if tensor.data is not None:
                raise Fault(400, f"The input {tensor.name[:100]!r} has both data and binary data.", "Send one of them.")
            values = unpacked(tensor.name, tensor.datatype, tail[start : start + size])
            start += size
        tensors.append((tensor.name, tensor.datatype, tensor.shape, values))
    if start != len(tail):
        raise Fault(
            400,
            f"{len(tail) - start} bytes of binary data belong to no input.",
            "Say binary_data_size for each input that is binary.",
        )
    return columns_of(contract, tensors)


def _flat(tensor: Tensor) -> Sequence[Any]:
    """The values of JSON data, which may be nested as the shape says or flat."""
    data: Any = tensor.data
    if data is None:
        raise Fault(
            400, f"The input {tensor.name[:100]!r} has no data.", "Send data, or binary_data_size and binary data."
        )
    if not data or not any(isinstance(each, list) for each in data):
        return data  # type: ignore[no-any-return]
    width = tensor.shape[1] if len(tensor.shape) == 2 else 1
    if not all(isinstance(each, list) and len(each) == width for each in data):
        raise Fault(
            400,
            f"The input {tensor.name[:100]!r} has rows that are not of length {width}.",
            "Make data and shape agree.",
        )
    return [value for each in data for value in each]


def _is_matrix(contract: Rows, name: str, shape: Sequence[int]) -> bool:
    numeric = all(column.type in NUMERIC for column in contract.columns)
    fits = len(shape) == 2 and shape[1] == len(contract.columns)
    return numeric and fits and (name not in contract.fields or shape[1] > 1)


def _shapes(contract: Rows) -> str:
    if all(column.type in NUMERIC for column in contract.columns):
        return f"Send one column an input, [n] or [n, 1], or one tensor of all columns, [n, {len(contract.columns)}]."
    return "Send one column an input: [n] or [n, 1]."


def _counted(name: str, shape: Sequence[int], values: Sequence[Any], wanted: int) -> None:
    if len(values) != wanted:
        raise Fault(
            400, f"The input {name[:100]!r} has {len(values)} values but the shape {list(shape)}.", "Make them agree."
        )


def _checked(name: str, kind: str, nullable: bool, datatype: str, values: Sequence[Any]) -> Sequence[Any]:
    """The values, which must be what the datatype says and the datatype one that loses nothing for the field."""
    taken = TAKEN[kind]
    if datatype not in taken:
        raise Fault(
            400, f"The input {name!r} has the datatype {datatype[:20]!r}.", f"Send it as {' or '.join(taken[:6])}."
        )
    bounds = INTEGERS.get(datatype)
    if bounds is None or datatype == "INT64":
        return values
    try:
        values = settled("integer", nullable, values)
    except Wrong:
        return values  # refused where all fields are looked at, for the first row that is wrong
    low, high = bounds
    for row, value in enumerate(values):
        if value is not None and not low <= value <= high:
            raise Fault(
                400, f"Row {row}: the field {name!r} is too large for an integer.", f"{datatype} holds {low} to {high}."
            )
    return values


def _texts(name: str, raw: bytes) -> list[str]:
    found, start, end = [], 0, len(raw)
    try:
        while start < end:
            size = LENGTH.unpack_from(raw, start)[0]
            start += LENGTH.size + size
            if start > end:
                raise struct.error
            found.append(raw[start - size : start].decode())
    except struct.error:
        raise Fault(
            400,
            f"The input {name[:100]!r} has text that ends before its length.",
            "Each element has its length before it in four bytes.",
        ) from None
    except UnicodeDecodeError:
        raise Fault(
            400, f"Row {len(found)}: the field {name[:100]!r} is not text in UTF-8.", "Encode it as UTF-8."
        ) from None
    return found


def _binary(request: Infer, output: Column) -> bool:
    """Whether the output is to be binary; Fault for an output that the model does not have."""
    wished = bool((request.parameters or {}).get("binary_data_output", False))
    for each in request.outputs or ():
        if each.name != output.name:
            raise Fault(400, f"The model has no output {each.name[:100]!r}.", f"Its output is {output.name!r}.")
        parameters: Mapping[str, Any] = each.parameters or {}
        if parameters.get("classification"):
            raise Fault(400, f"The output {each.name!r} cannot be turned into classes.", "Leave out 'classification'.")
        wished = bool(parameters.get("binary_data", wished))
    return wished
