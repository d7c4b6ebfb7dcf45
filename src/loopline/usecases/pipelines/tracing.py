"""Call a pipeline with handles in place of data, and note which step would be called with what."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.usecases.pipelines.identity import Territory, code_of
from loopline.usecases.pipelines.model import INLINE, Code, Data, Leaf, Many, Node, Plan, Ref, Tree
from loopline.usecases.pipelines.results import Model
from loopline.usecases.pipelines.steps import Handle, Pipeline, Step, hints, is_dataset, tracing
from loopline.usecases.pipelines.values.writing import Writer


class DataHandle(Handle):
    """A dataset inside a traced pipeline."""

    __slots__ = ()


def traced(pipeline: Pipeline[Any, Any], params: Mapping[str, Any], folder: Path) -> Plan:
    """The plan of a pipeline with these parameters. Raises Invalid for wrong parameters or a body that looks into data."""
    given = bound(pipeline, params)
    notes = Notes(Territory(folder))
    token = tracing.set(notes)
    try:
        result = pipeline.function(**{name: handle_of(value) for name, value in given.items()})
    finally:
        tracing.reset(token)
    tree = None if result is None else notes.tree(result, "what the pipeline returns")
    return Plan(
        pipeline=pipeline.name,
        nodes=tuple(notes.nodes),
        result=tree,
        returns_model=notes.is_model(result, hints(pipeline.function).get("return")),
        registers=pipeline.registers,
        params={name: shown(value) for name, value in given.items()},
        codes={code.digest: code for code, _ in notes.codes.values()},
        outside={file: digest for _, outside in notes.codes.values() for file, digest in outside.items()},
    )


class Notes:
    """The calls noted so far."""

    def __init__(self, territory: Territory) -> None:
        self._territory = territory
        self._labels: Counter[str] = Counter()
        self._returns: list[Any] = []
        self._hints: dict[Step[Any, Any], dict[str, Any]] = {}
        self._writer = Writer(Path("/nonexistent"), {})
        self.nodes: list[Node] = []
        self.codes: dict[Step[Any, Any], tuple[Code, dict[str, str]]] = {}

    def called(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Handle:
        """Note a call; answer what stands for its result."""
        if step not in self.codes:
            self.codes[step] = code_of(step.function, self._territory)
            self._hints[step] = hints(step.function)
        self._labels[step.name] += 1
        count = self._labels[step.name]
        trees = {name: self.tree(value, f"the argument {name!r} of {step.name}") for name, value in arguments.items()}
        self.nodes.append(
            Node(
                step=step.name,
                label=step.name if count == 1 else f"{step.name}#{count}",
                target=f"{step.function.__module__}:{step.function.__qualname__}",
                code=self.codes[step][0].digest,
                arguments=trees,
                options=step.options,
            )
        )
        returns = self._hints[step].get("return")
        self._returns.append(returns)
        return Handle(step.name, len(self.nodes) - 1, (), returns)

    def tree(self, value: Any, where: str) -> Tree:
        """A value with handles in it as a tree of references and stored values."""
        if isinstance(value, DataHandle):
            return Data(value.step)
        if isinstance(value, Handle):
            return Ref(value.position, value.path)
        if holds_handle(value):
            if isinstance(value, dict):
                items = tuple(self.tree(item, f"{where}[{key!r}]") for key, item in value.items())
                return Many("dict", items, tuple(str(key) for key in value))
            form = "list" if isinstance(value, list) else "tuple"
            return Many(form, tuple(self.tree(item, f"{where}[{n}]") for n, item in enumerate(value)))  # type: ignore[arg-type]
        return self._constant(value, where)

    def is_model(self, result: Any, annotation: Any) -> bool:
        """Whether what the pipeline returns is a model, as far as annotations tell."""
        kinds = [annotation]
        if isinstance(result, Handle) and not isinstance(result, DataHandle) and not result.path:
            kinds.append(self._returns[result.position])
        return any(kind is Model or (isinstance(kind, str) and kind.endswith("Model")) for kind in kinds)

    def _constant(self, value: Any, where: str) -> Tree:
        try:
            tree = self._writer.tree(value, where)
        except OSError:
            raise too_large(where) from None
        if isinstance(tree, Leaf) and tree.size > 16 * INLINE:
            raise too_large(where)
        return tree


def too_large(where: str) -> Invalid:
    """The refusal of data made inside a pipeline's body."""
    return Invalid(f"{where} is too large to be part of the pipeline itself.", "Make it in a step and hand that on.")


def holds_handle(value: Any) -> bool:
    """Whether a container has a handle anywhere inside."""
    if isinstance(value, dict):
        return any(isinstance(item, Handle) or holds_handle(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(isinstance(item, Handle) or holds_handle(item) for item in value)
    return False


def bound(pipeline: Pipeline[Any, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value: given or default; datasets as `Data`. Invalid for unknown, missing or wrong ones."""
    known, annotations = pipeline.signature.parameters, hints(pipeline.function)
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


def handle_of(value: Any) -> Any:
    """What the pipeline's body gets for a parameter."""
    return DataHandle(value.dataset, -1) if isinstance(value, Data) else value


def shown(value: Any) -> str:
    """A parameter as people read it and tracking keeps it."""
    if isinstance(value, Data):
        return value.dataset
    return value if isinstance(value, str) else repr(value)
