"""A pipeline's parameters: given or default, as the types that its annotations ask for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.usecases.pipelines import fitting
from loopline.usecases.pipelines.model import Data
from loopline.usecases.pipelines.steps import Pipeline, hints, is_dataset


def signature_of(pipeline: Pipeline[Any, Any]) -> dict[str, dict[str, Any]]:
    """The parameters of a pipeline, each with its type and default as people write them."""
    annotations = hints(pipeline.function)
    found: dict[str, dict[str, Any]] = {}
    for name, parameter in pipeline.signature.parameters.items():
        kind = annotations.get(name)
        found[name] = {"type": "Dataset" if is_dataset(kind) else "" if kind is None else fitting.shown(kind)}
        if parameter.default is not inspect.Parameter.empty:
            found[name]["default"] = shown(parameter.default)
    return found


def bound(pipeline: Pipeline[Any, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value: given or default; datasets as `Data`. Invalid for unknown, missing or wrong ones."""
    known, annotations = pipeline.signature.parameters, hints(pipeline.function)
    for parameter in known.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise Invalid(f"The pipeline {pipeline.name!r} takes {parameter}.", "Name each of its parameters.")
    for name in sorted(params.keys() - known.keys()):
        raise Invalid(
            f"The pipeline {pipeline.name!r} has no parameter {name!r}.", f"It has {', '.join(known) or 'none'}."
        )
    given: dict[str, Any] = {}
    for name, parameter in known.items():
        if name not in params and parameter.default is inspect.Parameter.empty:
            raise Invalid(f"The pipeline {pipeline.name!r} needs the parameter {name!r}.", f"Give it with -p {name}=….")
        if name not in params:
            value = parameter.default
        else:
            value = converted(pipeline.name, name, params[name], annotations.get(name), parameter.default)
        given[name] = Data(str(value)) if is_dataset(annotations.get(name)) else value
    return given


def converted(pipeline: str, name: str, value: Any, annotation: Any, default: Any) -> Any:
    """A value from the command line or JSON as the type that the annotation, else the default, asks for."""
    kind = annotation if annotation is not None else type(default)
    if (
        is_dataset(annotation)
        or kind in (inspect.Parameter, type(None), inspect.Parameter.empty)
        or isinstance(kind, str)
    ):
        return value
    if isinstance(value, str) and value[:1] in '[{"' and kind is not str:
        value = parsed(value)
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"The parameter {name!r} of {pipeline!r} cannot be {value!r}: {error}.", "Give it as its annotation says."
        ) from None
    except TypeError:  # a type that only the pipeline knows
        return value


def parsed(text: str) -> Any:
    """JSON where it is JSON, else the text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def shown(value: Any) -> str:
    """A parameter as people read it and tracking keeps it."""
    if isinstance(value, Data):
        return value.dataset
    return value if isinstance(value, str) else repr(value)
