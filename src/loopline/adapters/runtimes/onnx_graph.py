"""ONNX models, run by ONNX Runtime on the processor: standard operators only, no library and no file from outside."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loopline.adapters.runtimes import beside, onnx_audit
from loopline.adapters.runtimes.matrix import chosen
from loopline.adapters.runtimes.onnx_audit import Graph, Side
from loopline.core.errors import Invalid, LooplineError, Unavailable
from loopline.core.tables import Column, ColumnType, Signature

FILE = "model.onnx"
# numpy's type and ours by TensorProto's; a text that is missing is given as the empty one, as ONNX has no null
TYPES: dict[int, tuple[str, ColumnType]] = {
    1: ("float32", "float"), 2: ("uint8", "integer"), 3: ("int8", "integer"), 4: ("uint16", "integer"),
    5: ("int16", "integer"), 6: ("int32", "integer"), 7: ("int64", "integer"), 8: ("object", "string"),
    9: ("bool", "boolean"), 10: ("float16", "float"), 11: ("float64", "float"),
}  # fmt: skip
FLOATS = (1, 10, 11)
Feed = Callable[[Mapping[str, Any]], dict[str, Any]]


class Onnx:
    """The runtime of the format "onnx"."""

    format = "onnx"
    file = FILE

    def accepts(self, model: Any) -> bool:
        """Whether `model` is an ONNX ModelProto."""
        return type(model).__name__ == "ModelProto" and type(model).__module__.partition(".")[0] == "onnx"

    def save(self, model: Any, folder: Path) -> None:
        """Write `model.onnx`; the same model gives the same bytes. Refused for operators that are not ONNX Runtime's."""
        (folder / FILE).write_bytes(model.SerializeToString(deterministic=True))
        onnx_audit.audit(folder / FILE, beside.of_folder(folder))

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Invalid for a damaged file, Refused for what reaches outside of it; ONNX Runtime is not imported."""
        return _read(files).classes

    def signature(self, files: Mapping[str, Path]) -> Signature | None:
        """What the graph tells of its columns (one for each input, or x0, x1, … for those of one matrix) and its output;
        None for a matrix of any width."""
        graph = _read(files)
        widths = [_width(one) for one in graph.inputs]
        words = any(one.type == 8 for one in graph.outputs) and graph.classes != 2
        gives = Column("prediction", "string" if words else "float")
        if all(width == 1 for width in widths):
            return Signature(
                tuple(Column(one.name, _kind(one), graph.gaps and one.type in FLOATS) for one in graph.inputs), gives
            )
        only, width = graph.inputs[0], widths[0]
        if len(widths) > 1 or width is None:
            return None
        return Signature(
            tuple(Column(f"x{place}", _kind(only), graph.gaps and only.type in FLOATS) for place in range(width)), gives
        )

    def load(self, folder: Path, signature: Signature) -> Session:
        """The model, after the file was checked."""
        graph = _read(beside.of_folder(folder))
        feed = _feed(graph.inputs, signature)
        try:
            session = _session(folder / FILE)
        except LooplineError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise Invalid(f"ONNX Runtime cannot read {FILE} ({reason}).", "Export the model again.") from None
        return Session(session, feed, graph)


class Session:
    """An ONNX graph in memory. Satisfies `LoadedModel`; may be asked by several threads."""

    def __init__(self, session: Any, feed: Feed, graph: Graph) -> None:
        outputs = {one.name: one.type for one in session.get_outputs()}
        labels = [
            name for name, kind in outputs.items() if kind in ("tensor(int64)", "tensor(int32)", "tensor(string)")
        ]
        scores = [
            name for name, kind in outputs.items() if kind.startswith(("tensor(float", "tensor(double", "seq(map("))
        ]
        if not labels and not scores:
            raise Invalid("The ONNX model gives neither numbers nor labels.", "Export it with such an output.")
        self._names = labels[:1] + scores[:1]
        self._answer = _answer(bool(labels), bool(scores))
        self._alone = any(one.shape and one.shape[0] == 1 for one in graph.inputs)
        self._session, self._feed = session, feed
        self.model = session

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. A graph that was exported for one row gets them one after the other."""
        import numpy as np

        given = self._feed(columns)
        rows = len(next(iter(given.values())))
        if not self._alone or rows == 1:
            return self._answer(self._session.run(self._names, given))
        each = [{name: value[row : row + 1] for name, value in given.items()} for row in range(rows)]
        return np.concatenate([self._answer(self._session.run(self._names, one)) for one in each])


def _read(files: Mapping[str, Path]) -> Graph:
    if FILE not in files:
        raise Invalid(f"The model has no {FILE}.", "Save the model again.")
    graph = onnx_audit.audit(files[FILE], files)
    for one in graph.inputs:
        if one.type not in TYPES or not 1 <= len(one.shape) <= 2 or (one.shape[0] or 1) != 1:
            raise Invalid(
                f"The ONNX model's input {one.name[:60]!r} is no column and no table of columns.",
                "Export it to take [rows] or [rows, columns] with a free number of rows.",
            )
    return graph


def _width(value: Side) -> int | None:
    return 1 if len(value.shape) == 1 else value.shape[1]


def _kind(value: Side) -> ColumnType:
    return TYPES[value.type][1]


def _feed(inputs: Sequence[Side], signature: Signature) -> Feed:
    """What turns columns into the inputs of the graph: by name, or in order where an input takes several columns."""
    import numpy as np

    names = [column.name for column in signature.inputs]
    parts = _parts(inputs, names)
    kinds = {column.name: column.type for column in signature.inputs}
    for one, columns in zip(inputs, parts, strict=True):
        wrong = [name for name in columns if (kinds[name] in ("string", "timestamp")) != (one.type == 8)]
        if wrong:
            told = "text" if one.type == 8 else "numbers"
            raise Invalid(
                f"The ONNX model takes {told} for {wrong[0]!r}.", "Give the column that type in the signature."
            )
    plan = [
        (one.name, len(one.shape) == 1, np.dtype(TYPES[one.type][0]), part)
        for one, part in zip(inputs, parts, strict=True)
    ]

    def feed(columns: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _tensor(columns, part, dtype, flat) for name, flat, dtype, part in plan}

    return feed


def _parts(inputs: Sequence[Side], names: list[str]) -> list[list[str]]:
    """The columns of each input."""
    widths = [_width(one) for one in inputs]
    named = all(one.name in names for one in inputs) and set(widths) <= {1, None}
    if named and (len(inputs) > 1 or len(names) == 1):
        return [[one.name] for one in inputs]
    if len(widths) == 1 and widths[0] is None:
        return [names]
    if None in widths or sum(width or 0 for width in widths) != len(names):
        told = ", ".join(f"{one.name} {list(one.shape)}" for one in inputs)[:200]
        raise Invalid(
            f"The ONNX model takes {told}, and its signature names {len(names)} columns.",
            "Name its inputs in the signature, one column for each value of a row.",
        )
    starts = [sum(width or 0 for width in widths[:place]) for place in range(len(widths))]
    return [names[start : start + (width or 0)] for start, width in zip(starts, widths, strict=True)]


def _tensor(columns: Mapping[str, Any], part: list[str], dtype: Any, flat: bool) -> Any:
    import numpy as np

    if dtype.kind == "O":
        values = [["" if value is None else str(value) for value in columns[name]] for name in part]
        table = np.array(values, dtype=object).reshape(len(part), -1).T
    else:
        table = np.empty((len(columns[part[0]]), len(part)), dtype=dtype)
        for place, name in enumerate(part):
            table[:, place] = columns[name]
    return table[:, 0] if flat else np.ascontiguousarray(table)


def _answer(labels: bool, scores: bool) -> Callable[[list[Any]], Any]:
    """What turns the outputs of the graph into one prediction a row: of two classes the probability of the second, of
    more the label, else the number."""
    import numpy as np

    def labelled(values: Any) -> Any:
        found = np.asarray(values).ravel()
        return found.astype(np.float64 if found.dtype.kind in "iufb" else object)

    def answer(outputs: list[Any]) -> Any:
        if not scores:
            return labelled(outputs[0])
        table = _table(outputs[-1])
        if table.shape[1] <= 2:
            return table[:, -1]
        return labelled(outputs[0]) if labels else chosen(table, None)

    return answer


def _table(values: Any) -> Any:
    """Scores [rows, classes] as float64, also those that ZipMap gives as a dictionary a row."""
    import numpy as np

    if isinstance(values, list):
        return np.array([list(one.values()) for one in values], dtype=np.float64)
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def _session(path: Path) -> Any:
    """A session on the processor whose threads do not compete with others: one, or as many as OMP_NUM_THREADS says."""
    runtime = _library()
    options = runtime.SessionOptions()
    wanted = os.environ.get("OMP_NUM_THREADS", "1")
    options.intra_op_num_threads = int(wanted) if wanted.isdecimal() and int(wanted) > 0 else 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _library() -> Any:
    try:
        import onnxruntime
    except (ImportError, OSError):
        hint = "Install it with `pip install 'loopline[onnx]'`."
        raise Unavailable("ONNX models need the package onnxruntime.", hint) from None
    return onnxruntime
