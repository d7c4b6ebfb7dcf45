"""Ways to run a model without the library that trained it."""

from __future__ import annotations

from collections.abc import Mapping

from loopline.adapters.engines.onnx import Onnx
from loopline.adapters.engines.tables import Tables
from loopline.ports.engine import Engine
from loopline.ports.runtime import Runtime


def engines(runtimes: Mapping[str, Runtime]) -> dict[str, Engine]:
    """By name, cheap to have: what an engine needs is imported at its first use. `runtimes` by format: a graph is run by
    the runtime of its format."""
    found: dict[str, Engine] = {"tables": Tables()}
    if "onnx" in runtimes:
        found["onnx"] = Onnx(runtimes["onnx"])
    return found
