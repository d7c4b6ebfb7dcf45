"""MLflow's signature of a model as ours: named columns in, one column out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.tables import Column, ColumnType, Signature
from loopline.usecases.registry.flavor_files import NotServable

MOST_COLUMNS = 10_000
_TYPES: dict[str, ColumnType] = {
    "double": "float",
    "float": "float",
    "long": "integer",
    "integer": "integer",
    "string": "string",
    "boolean": "boolean",
    "datetime": "timestamp",
}
_KINDS: dict[str, ColumnType] = {"f": "float", "i": "integer", "u": "integer", "b": "boolean", "s": "string"}


def translated(written: Any) -> Signature:
    """MLflow's signature as ours. NotServable says what it lacks, or what no table has."""
    inputs = columns_in(written)
    outputs = specs(written.get("outputs"))
    if not outputs:
        raise NotServable("Its signature does not say what it gives; log it with the outputs too.")
    return Signature(inputs, output(outputs))


def columns_in(written: Any) -> tuple[Column, ...]:
    """The columns that a model takes. Those without names are called x0, x1, …, as scikit-learn calls them."""
    if not isinstance(written, dict) or not written.get("inputs"):
        raise NotServable("It has no signature; log it with `signature=` or `input_example=`.")
    inputs = specs(written["inputs"])
    if len(inputs) == 1 and is_tensor(inputs[0]):
        columns = tensor_columns(inputs[0])
    else:
        columns = tuple(column(one, f"x{place}") for place, one in enumerate(inputs))
    if len({one.name for one in columns}) != len(columns):
        raise NotServable("Its signature names one column twice, which no table has.")
    return columns


def agreed(written: Any, signature: Signature, problem: str, told: Signature | None) -> Signature:
    """The signature that MLflow wrote, helped out by what the model's own file tells: the columns where there is no
    signature, the output where it has another form, and which columns may have gaps."""
    if told is None:
        if problem:
            raise NotServable(problem)
        return signature
    if not isinstance(written, dict) or not written.get("inputs"):
        return told
    inputs = with_gaps(columns_in(written), told.inputs)
    return Signature(inputs, told.output if problem else signature.output)


def with_gaps(columns: tuple[Column, ...], told: tuple[Column, ...]) -> tuple[Column, ...]:
    """Columns of numbers and texts may have gaps where the model knows what to do with them: a frame shows none of it."""
    by_name = {one.name: one for one in told}
    places = told if len(told) == len(columns) else (None,) * len(columns)
    found = []
    for one, place in zip(columns, places, strict=True):
        known = by_name.get(one.name, place)
        gaps = known is not None and known.nullable and one.type in ("float", "string")
        found.append(Column(one.name, one.type, one.nullable or gaps))
    return tuple(found)


def specs(text: Any) -> list[dict[str, Any]]:
    """The columns or tensors of one side of a signature."""
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else text or []
    except (msgspec.DecodeError, RecursionError):
        raise NotServable("Its signature cannot be read.") from None
    if not isinstance(found, list) or len(found) > MOST_COLUMNS or not all(isinstance(one, dict) for one in found):
        raise NotServable("Its signature is not a list of columns.")
    return found


def is_tensor(spec: Mapping[str, Any]) -> bool:
    """Whether a side of a signature is an array."""
    return spec.get("type") == "tensor"


def column(spec: Mapping[str, Any], unnamed: str) -> Column:
    """One column as ours."""
    kind, name = spec.get("type"), spec.get("name", unnamed)
    if is_tensor(spec):
        inner, shape = tensor(spec)
        if shape not in ([-1], [-1, 1]) or not isinstance(name, str) or not name:
            raise NotServable("Its signature names several tensors, of which not each is a column.")
        return Column(name, inner)
    if not isinstance(kind, str) or kind not in _TYPES or not isinstance(name, str) or not name:
        raise NotServable(f"Its signature holds a column of type {str(kind)[:40]!r}, which no table here has.")
    return Column(name, _TYPES[kind], nullable=spec.get("required") is False or spec.get("optional") is True)


def tensor_columns(spec: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns of an array of rows."""
    kind, shape = tensor(spec)
    if len(shape) != 2 or not 0 < shape[1] <= MOST_COLUMNS:
        raise NotServable(f"Its signature takes an array of shape {shape}, which is no table.")
    return tuple(Column(f"x{place}", kind) for place in range(shape[1]))


def tensor(spec: Mapping[str, Any]) -> tuple[ColumnType, list[int]]:
    """Type and shape of an array."""
    inner = spec.get("tensor-spec")
    inner = inner if isinstance(inner, dict) else {}
    shape, kind = inner.get("shape"), str(inner.get("dtype"))[:1]
    if not isinstance(shape, list) or not all(type(side) is int for side in shape) or kind not in _KINDS:
        raise NotServable("Its signature holds an array that cannot be read.")
    return _KINDS[kind], shape


def output(outputs: list[dict[str, Any]]) -> Column:
    """The one column that a model gives: a number, as classes that are numbers are, or a text."""
    first = outputs[0]
    if is_tensor(first):
        kind, shape = tensor(first)
        if shape not in ([-1], [-1, 1]):
            raise NotServable(f"Its signature gives an array of shape {shape}; one value a row is served.")
        name = "prediction"
    else:
        found = column(first, "prediction")
        kind, name = found.type, found.name
    if len(outputs) > 1:
        raise NotServable(f"Its signature gives {len(outputs)} columns; one is served.")
    if kind == "timestamp":
        raise NotServable("It gives times, which no model here does.")
    return Column(name, "string" if kind == "string" else "float")


def settled(signature: Signature, classes: int | None) -> Signature:
    """The signature with what really comes out: of two classes, whatever they are called, the probability of the
    second."""
    if signature.output.type != "string":
        return signature
    if classes is None:
        raise NotServable("It gives texts, and how many classes it knows cannot be told from its files.")
    kind: ColumnType = "float" if classes == 2 else "string"
    return Signature(signature.inputs, Column(signature.output.name, kind))
