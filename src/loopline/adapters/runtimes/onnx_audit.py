"""What is checked on an ONNX file before ONNX Runtime sees it: its operators, its tensors and where their bytes lie.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from loopline.adapters.runtimes.protobuf_wire import NUMBERS, Value, fields, message, number, signed, text, varint
from loopline.core.errors import Invalid, Refused

HINT = "The file is damaged or forged; export the model again."
LARGEST = 2 << 30  # as protobuf has it
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
REFUSED = frozenset({"PythonOp", "PythonOpGrad", "ATen", "ExternalOp"})  # they call what lies outside of the file
CLASSIFIERS = frozenset({"TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier", "ZipMap"})
TREES = frozenset({"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"})
AROUND_TREES = frozenset(
    {"Add", "ArgMax", "ArrayFeatureExtractor", "Cast", "Concat", "Constant", "Div", "Exp", "Flatten", "Identity", "Mul",
     "Reshape", "Sigmoid", "Softmax", "Sub", "ZipMap"}
)  # fmt: skip
DEEPEST = 16
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_SIZES = {
    1: 4,
    2: 1,
    3: 1,
    4: 2,
    5: 2,
    6: 4,
    7: 8,
    9: 1,
    10: 2,
    11: 8,
    12: 4,
    13: 8,
    16: 2,
}  # bytes by TensorProto type
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


class Side(NamedTuple):
    """An input or output of the graph: `type` as in TensorProto (1 float, 7 int64, 8 string, 9 bool, 11 double), 0 for
    what is no tensor; `shape` with None for a side that is not fixed."""

    name: str
    type: int
    shape: tuple[int | None, ...]


class Graph(NamedTuple):
    """What the file says of the model. `external` are the names of files beside it; `gaps` whether it is made of trees,
    which know what to do with a number that is missing."""

    inputs: list[Side]
    outputs: list[Side]
    classes: int | None
    external: set[str]
    gaps: bool


def audit(path: Path, files: Mapping[str, Path]) -> Graph:
    """What the file says, when all of it may be loaded. Invalid says what is damaged, Refused what may not be."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 30} GB")
        return _Audit({name: one.stat().st_size for name, one in files.items()}).model(path.read_bytes())
    except (KeyError, ValueError, IndexError, OverflowError, RecursionError, OSError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise Invalid(f"{path.name!r} is no readable ONNX model ({reason}).", HINT) from None


class _Audit:
    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        self._external: set[str] = set()
        self._functions: set[tuple[str, str]] = set()
        self._classes: int | None = None
        self._kinds: set[str] = set()

    def model(self, content: bytes) -> Graph:
        parts = list(fields(content))
        graphs = [message(value) for place, value in parts if place == _MODEL_GRAPH]
        if len(graphs) != 1 or not any(place == _MODEL_OPSETS for place, _ in parts):
            raise ValueError("it holds no graph or no operator set")
        if any(place == _MODEL_TRAINING for place, _ in parts):
            raise Refused("The model brings a training graph, which is not served.", "Export it for inference.")
        functions = [message(value) for place, value in parts if place == _MODEL_FUNCTIONS]
        self._functions = {_named(function) for function in functions}
        for function in functions:
            self._nodes((message(value) for place, value in fields(function) if place == 7), DEEPEST)
        return self._whole(graphs[0])

    def _whole(self, graph: bytes) -> Graph:
        held = self._graph(graph, DEEPEST)
        inputs = [_value(message(value)) for place, value in fields(graph) if place == 11]
        outputs = [_value(message(value)) for place, value in fields(graph) if place == 12]
        inputs = [one for one in inputs if one.name not in held]
        if not inputs or not outputs:
            raise ValueError("its graph takes or gives nothing")
        sides = [one.shape[1] for one in outputs if one.type in (1, 11) and len(one.shape) == 2]
        classes = self._classes or next((side for side in sides if side is not None and side > 1), None)
        gaps = bool(self._kinds & TREES) and self._kinds <= TREES | AROUND_TREES
        return Graph(inputs, outputs, classes, self._external, gaps)

    def _graph(self, content: bytes, depth: int) -> set[str]:
        """Check a graph; answers the names of the tensors that it holds itself."""
        if depth < 1:
            raise ValueError("it is nested too deeply")
        parts = list(fields(content))
        self._nodes((message(value) for place, value in parts if place == 1), depth)
        for place, value in parts:
            if place == 15:  # a sparse tensor: its values and their places
                self._sparse(message(value))
        return {self._tensor(message(value)) for place, value in parts if place == 5}

    def _nodes(self, nodes: Iterable[bytes], depth: int) -> None:
        for node in nodes:
            parts = list(fields(node))
            kind = next((text(value) for place, value in parts if place == 4), "")
            domain = next((text(value) for place, value in parts if place == 7), "")
            self._kinds.add(kind)
            known = domain in DOMAINS and kind not in REFUSED
            if not known and (domain, kind) not in self._functions:
                raise Refused(
                    f"The model uses the operator {domain + '.' if domain else ''}{kind}"[:200]
                    + ", which is not part of ONNX Runtime.",
                    "Export it with standard operators only.",
                )
            for place, value in parts:
                if place == 5:
                    self._attribute(message(value), kind, depth)

    def _attribute(self, content: bytes, kind: str, depth: int) -> None:
        parts = list(fields(content, NUMBERS))
        for place, value in parts:
            if place in (5, 10):
                self._tensor(message(value))
            elif place in (6, 11):
                self._graph(message(value), depth - 1)
            elif place in (22, 23):
                self._sparse(message(value))
        if kind in CLASSIFIERS and any(place == 1 and text(value).startswith("classlabels") for place, value in parts):
            labels = sum(place in (8, 9) for place, _ in fields(content))
            self._classes = labels or self._classes

    def _sparse(self, content: bytes) -> None:
        for place, value in fields(content):
            if place in (1, 2):
                self._tensor(message(value))

    def _tensor(self, content: bytes) -> str:
        """Check a tensor, whose shape must promise exactly the bytes that are there; answers its name."""
        dims: list[int] = []
        outside: dict[str, str] = {}
        kind, raw, name, beside = 0, None, "", False
        for place, value in fields(content, None):
            if place == 1:
                dims += [signed(one) for one in _integers(value)]
            elif place == 2:
                kind = number(value)
            elif place == 8:
                name = text(value)
            elif place == 9:
                raw = len(message(value))
            elif place == 13:
                outside |= _entry(message(value))
            elif place == 14:
                beside = number(value) == 1
        if any(side < 0 for side in dims):
            raise ValueError(f"the tensor {name[:40]!r} has a negative side")
        size = math.prod(dims) * _SIZES.get(kind, 0)
        if beside or outside:
            self._outside(outside, size)
        elif (raw is not None and kind in _SIZES and raw != size) or (raw is None and math.prod(dims) > len(content)):
            raise ValueError(f"the tensor {name[:40]!r} is not as long as it says")
        return name

    def _outside(self, where: Mapping[str, str], size: int) -> None:
        """Bytes beside the model: in a file of the model's own folder, inside of its length."""
        place = where.get("location", "")
        start, length = int(where.get("offset", "0") or 0), int(where.get("length", size) or size)
        if not _PLAIN.match(place) or place not in self._sizes:
            raise Refused(f"The model wants bytes of {place[:100]!r}, which is no file of it.", HINT)
        if start < 0 or length < 0 or length != size or start + length > self._sizes[place]:
            raise Refused(f"The model wants bytes outside of {place[:100]!r}.", HINT)
        self._external.add(place)


def _integers(value: Value) -> list[int]:
    """A repeated integer, written one by one or packed."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        one, at = varint(value, at)
        found.append(one)
    return found


def _entry(content: bytes) -> dict[str, str]:
    parts = dict(fields(content))
    return {text(parts.get(1, b"")): text(parts.get(2, b""))}


def _named(function: bytes) -> tuple[str, str]:
    """Domain and name of a function that the model defines."""
    parts = list(fields(function))
    name = next((text(value) for place, value in parts if place == 1), "")
    return next((text(value) for place, value in parts if place == 10), ""), name


def _value(content: bytes) -> Side:
    """Name, type and shape of an input or output."""
    parts = dict(fields(content))
    name = text(parts.get(1, b""))
    tensor = dict(fields(message(parts.get(2, b"")))).get(1)
    if tensor is None:
        return Side(name, 0, ())
    inner = dict(fields(message(tensor)))
    sides = [message(value) for place, value in fields(message(inner.get(2, b""))) if place == 1]
    return Side(name, number(inner.get(1, 0)), tuple(_side(side) for side in sides))


def _side(content: bytes) -> int | None:
    found = dict(fields(content)).get(1)
    return signed(number(found)) if found is not None and signed(number(found)) > 0 else None
