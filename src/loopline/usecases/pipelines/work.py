"""What runs where a project's code may run: trace a pipeline, perform a step. Called by an executor, bytes to bytes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from loopline.ports.executor import handed, here
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines.model import Plan, Tree
from loopline.usecases.pipelines.project import imported, pipeline_in, project_code, step_at
from loopline.usecases.pipelines.steps import hints


class Trace(msgspec.Struct, frozen=True):
    """Trace the pipeline `pipeline` in `file` of the project in `folder`, whose files have the digest `stamp`."""

    folder: str
    file: str
    stamp: str
    pipeline: str
    params: dict[str, Any]


class Perform(msgspec.Struct, frozen=True):
    """Call the step `target` with resolved arguments. `places` says where the bytes of large ones lie (digest → path),
    `scratch` where to write, `runtimes` how to make the model formats ("module:Class" by format). Random numbers start at
    `seed`, also those of the `libraries` that its code imports; `files` of the project must have these digests when they
    are loaded."""

    folder: str
    stamp: str
    target: str
    arguments: dict[str, Tree]
    places: dict[str, str]
    scratch: str
    runtimes: dict[str, str]
    seed: int = 0
    libraries: list[str] = []
    files: dict[str, str] = {}


class Performed(msgspec.Struct, frozen=True):
    """A step's result, with the files that hold its larger parts (digest → path in the scratch folder)."""

    value: Tree
    files: dict[str, str]


_runtimes: dict[str, Runtime] = {}
_traces = msgspec.msgpack.Decoder(Trace)
_performs = msgspec.msgpack.Decoder(Perform)


def trace(payload: bytes) -> bytes:
    """Answer the plan for a `Trace`."""
    from loopline.usecases.pipelines.tracing import traced

    asked = _traces.decode(payload)
    folder = here(asked.folder)
    with project_code(folder, asked.stamp):
        pipeline = pipeline_in(imported(asked.file, folder), asked.pipeline)
        plan: Plan = traced(pipeline, asked.params, Path(folder))
        return msgspec.msgpack.encode(plan)


def perform(payload: bytes) -> bytes:
    """Answer `Performed` for a `Perform`."""
    from loopline.usecases.pipelines.values.reading import Reader
    from loopline.usecases.pipelines.values.writing import Writer

    asked = _performs.decode(payload)
    runtimes, folder, scratch = made(asked.runtimes), here(asked.folder), here(asked.scratch)
    places = {digest: here(path) for digest, path in asked.places.items()}
    with project_code(folder, asked.stamp, asked.files), standing_in(folder):
        step = step_at(asked.target)
        reader = Reader(scratch, places, runtimes)
        annotations = annotations_of(step.function)
        values = {name: reader.value(tree, annotations.get(name)) for name, tree in asked.arguments.items()}
        args, kwargs = arranged(step.signature.parameters, values)
        begin_random(asked.seed, asked.libraries)
        result = step.function(*args, **kwargs)
        del values, args, kwargs  # what went in need not be held while what came out is written
        writer = Writer(scratch, runtimes, places)
        value = writer.tree(result, f"the result of {step.name}")
    return msgspec.msgpack.encode(Performed(value, {digest: handed(path) for digest, path in writer.files.items()}))


@contextmanager
def standing_in(folder: str) -> Iterator[None]:
    """Have relative paths count from the project's folder: a release reads its own files wherever it is started."""
    try:
        before = os.getcwd()
    except OSError:  # it was taken away
        before = "/"
    os.chdir(folder)
    try:
        yield
    finally:
        with suppress(OSError):
            os.chdir(before)


def begin_random(seed: int, libraries: Sequence[str]) -> None:
    """Start random numbers at the seed, so that a step that draws some gives the same whenever it runs."""
    if "random" in sys.modules:
        sys.modules["random"].seed(seed)
    if "numpy" in libraries:
        importlib.import_module("numpy.random").seed(seed)
    if "torch" in libraries:
        importlib.import_module("torch").manual_seed(seed)


def arranged(parameters: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Values by name as positional and keyword arguments, *args and **kwargs taken apart."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name not in values:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += values[name]
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs |= values[name]
        elif parameter.kind is parameter.KEYWORD_ONLY:
            kwargs[name] = values[name]
        else:
            args.append(values[name])
    for name in values.keys() - parameters.keys():  # a command takes whatever it is given
        kwargs[name] = values[name]
    return args, kwargs


_annotations: dict[Any, dict[str, Any]] = {}


def annotations_of(function: Any) -> dict[str, Any]:
    """A function's evaluated annotations; the same function is asked once."""
    known = _annotations.get(function)
    if known is None:
        known = _annotations[function] = hints(function)
    return known


def made(names: Mapping[str, str]) -> Mapping[str, Runtime]:
    """The model formats of this process."""
    for name, place in names.items():
        if name not in _runtimes:
            module, cls = place.split(":")
            _runtimes[name] = getattr(importlib.import_module(module), cls)()
    return _runtimes
