"""The engine `onnx`: a scikit-learn model as an ONNX graph, run by ONNX Runtime. Needs skl2onnx where a model is compiled."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Unavailable
from loopline.core.tables import Signature, kind_of
from loopline.ports.engine import UnknownForm
from loopline.ports.runtime import LoadedModel, Runtime

FILE = "model.onnx"
TOLERANCE = 1e-6  # graphs compute in float32 where there is no operator for float64
OPSET = 17


class Onnx:
    """Whatever skl2onnx can translate. `runtime` is the one of the format "onnx", which checks a graph before it is run.
    Satisfies `Engine`."""

    name = "onnx"
    version = 1

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def compile(self, source: Any, signature: Signature) -> bytes:
        """See `Engine.compile`."""
        model = getattr(source, "model", None)
        if hasattr(source, "library") or not any(
            base.__module__.startswith("sklearn.") for base in type(model).__mro__
        ):
            raise UnknownForm("models of other libraries")
        try:
            import onnxruntime  # noqa: F401  (without it nothing could run the graph)
            import skl2onnx  # noqa: F401
        except (ImportError, OSError):
            raise Unavailable(
                "it needs skl2onnx and onnxruntime here", "Install `loopline[onnx]` and skl2onnx."
            ) from None
        for double in (True, False):
            content = self._translated(model, signature, double)
            if content is not None:
                return content
        raise UnknownForm(f"a way to translate {type(model).__name__} with all its parts")

    def _translated(self, model: Any, signature: Signature, double: bool) -> bytes | None:
        from skl2onnx import to_onnx

        try:
            with _silence():
                types = _types(model, signature, double)
                graph = to_onnx(model, initial_types=types, options=_options(model), target_opset=OPSET)
            content = bytes(graph.SerializeToString(deterministic=True))
            self.load(content, signature)
        except Exception:  # both raise whatever comes up, for a part that they do not know
            return None
        return content

    def load(self, content: bytes, signature: Signature) -> Graph:
        """See `Engine.load`."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / FILE).write_bytes(content)
            return Graph(self._runtime.load(Path(folder), signature))


class Graph:
    """A graph in memory. Satisfies `Ready`."""

    tolerance = TOLERANCE

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`."""
        return self._loaded.predict(columns)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What a translation warns of is found by comparing."""
    quiet = logging.getLogger("skl2onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        quiet.setLevel(level)


def _types(model: Any, signature: Signature, double: bool) -> list[Any]:
    """The inputs of the graph: one matrix for a model that was fitted on an array of numbers, else each column."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    number = DoubleTensorType if double else FloatTensorType

    if not hasattr(model, "feature_names_in_"):
        return [("inputs", number([None, len(signature.inputs)]))]
    kinds = {column.name: StringTensorType if kind_of(column) == "s" else number for column in signature.inputs}
    return [(str(name), kinds[str(name)]([None, 1])) for name in model.feature_names_in_]


def _options(model: Any) -> dict[int, Any]:
    return {id(model): {"zipmap": False}} if hasattr(model, "classes_") else {}
