"""MLflow's REST protocol for experiments, runs, metrics, artifacts, logged models and traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from loopline.core.wires import Route

FILES = ("experiments", "runs", "metrics", "searches", "inputs", "logged_models", "artifacts", "shown", "traces")


def routes() -> tuple[Route, ...]:
    """What the files of this folder answer, together."""
    found: list[Route] = []
    for name in FILES:
        if find_spec(f"{__name__}.{name}") is not None:
            found += import_module(f"{__name__}.{name}").ROUTES
    return tuple(found)


def intake() -> Mapping[str, Callable[[Any, bytes], Any]]:
    """What is logged comes in on a shorter way: each address, and what reads the body sent there."""
    if find_spec(f"{__name__}.intake") is None:
        return {}
    found: Mapping[str, Callable[[Any, bytes], Any]] = import_module(f"{__name__}.intake").INTAKE
    return found


ROUTES = routes()
INTAKE = intake()
