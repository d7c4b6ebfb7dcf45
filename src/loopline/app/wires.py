"""The foreign protocols that use-cases speak, gathered for whoever carries them: the HTTP shell, and MLflow's plug-in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from loopline.app.wiring import PARTS
from loopline.core.errors import LooplineError
from loopline.core.wires import Coded, Route

Intake = Mapping[str, Callable[[Any, bytes], Any]]
CODES = {
    "not_found": "RESOURCE_DOES_NOT_EXIST",
    "taken": "RESOURCE_ALREADY_EXISTS",
    "refused": "PERMISSION_DENIED",
    "unavailable": "TEMPORARILY_UNAVAILABLE",
}


class Wire(NamedTuple):
    """What one part answers in MLflow's protocol, and how it takes in on the short way what is logged."""

    part: str
    routes: tuple[Route, ...]
    intake: Intake


def mlflow_wires() -> Iterator[Wire]:
    """Each part that speaks MLflow's protocol."""
    for part in PARTS:
        name = f"loopline.usecases.{part}"
        if find_spec(name) is not None and find_spec(f"{name}.wire_mlflow") is not None:
            module = import_module(f"{name}.wire_mlflow")
            yield Wire(part, module.ROUTES, getattr(module, "INTAKE", {}))


def pattern_of(path: str) -> re.Pattern[str]:
    """An address with {placeholders} as a pattern; {name:path} takes slashes too."""
    text = re.sub(r"\\\{(\w+):path\\\}", r"(?P<\1>.*)", re.escape(path))
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", text) + r"\Z", re.DOTALL)


def mlflow_code(error: LooplineError) -> str:
    """MLflow's code for an error."""
    return error.code if isinstance(error, Coded) else CODES.get(error.kind, "INVALID_PARAMETER_VALUE")
