"""Call a pipeline with handles in place of data, and note which step would be called with what."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_origin

from loopline.core.errors import Invalid
from loopline.usecases.pipelines import fitting
from loopline.usecases.pipelines.fitting import fits, is_several, item_of
from loopline.usecases.pipelines.handles import Handle
from loopline.usecases.pipelines.identity import Territory
from loopline.usecases.pipelines.materializers import counted
from loopline.usecases.pipelines.model import (
    INLINE,
    Choice,
    Code,
    Data,
    Guard,
    Leaf,
    Many,
    Node,
    Plan,
    Ref,
    Search,
    Tree,
)
from loopline.usecases.pipelines.parameters import bound, shown, signature_of
from loopline.usecases.pipelines.project import step_at
from loopline.usecases.pipelines.results import Model
from loopline.usecases.pipelines.steps import Dataset, Pipeline, Step, hints, is_dataset, tracing
from loopline.usecases.pipelines.values.objects import tuple_title
from loopline.usecases.pipelines.values.writing import Writer, is_json, is_named, text

MOST = 16 * INLINE  # bytes of a constant in a pipeline's body


class DataHandle(Handle):
    """A dataset inside a traced pipeline."""

    __slots__ = ()


class ChoiceHandle(Handle):
    """What a branch will give, inside a traced pipeline."""

    __slots__ = ("annotations", "choice")

    def __init__(self, condition: Handle, choice: Choice, annotations: list[Any], path: tuple[Any, ...] = ()) -> None:
        known = [one for one in annotations if one is not None]
        same = len(known) == len(annotations) and all(one == known[0] for one in known)
        super().__init__("a branch", condition.position, path, known[0] if same else None)
        self.choice = choice
        self.annotations = annotations

    def chosen(self) -> Tree:
        """The tree that stands for it."""
        return self.choice

    def _part(self, part: int | str, annotation: Any) -> Handle:
        raise self._refused(f"taken apart with [{part!r}]")


def kind_of(value: Any) -> type:
    """dict for what is or will be one, else list."""
    annotation = value.annotation if isinstance(value, Handle) else type(value)
    return dict if (get_origin(annotation) or annotation) is dict else list


def traced(pipeline: Pipeline[Any, Any], params: Mapping[str, Any], folder: Path) -> Plan:
    """The plan of a pipeline with these parameters. Raises Invalid for wrong parameters, results handed where they do not
    fit, pipelines that call themselves, or a body that looks into data."""
    given = bound(pipeline, params)
    notes = Notes(Territory(folder))
    notes.inner.append(pipeline)
    token = tracing.set(notes)
    call = inspect.BoundArguments(pipeline.signature, {name: handle_of(one) for name, one in given.items()})
    try:
        result = pipeline.function(*call.args, **call.kwargs)
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
        signature=signature_of(pipeline),
    )


class Notes:
    """The calls noted so far."""

    def __init__(self, territory: Territory) -> None:
        self._territory = territory
        self._labels: Counter[str] = Counter()
        self._returns: list[Any] = []
        self._hints: dict[Step[Any, Any], dict[str, Any]] = {}
        self._targets: dict[Step[Any, Any], str] = {}
        self._writer = Constants("", {})
        self._guards: tuple[Guard, ...] = ()
        self.inner: list[Pipeline[Any, Any]] = []
        self.nodes: list[Node] = []
        self.codes: dict[Step[Any, Any], tuple[Code, dict[str, str]]] = {}

    def called(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Handle:
        """Note a call; answer what stands for its result."""
        return self._noted(step, arguments)

    def mapped(self, step: Step[Any, Any], arguments: Mapping[str, Any], over: tuple[str, ...]) -> Handle:
        """Note a call for each item; answer what stands for the list of results."""
        for name in over:
            self._checked_several(step, name, arguments[name])
        handle = self._noted(step, arguments, over=over)
        form = dict if any(kind_of(arguments[name]) is dict for name in over) else list
        inner = hints(step.function).get("return")
        handle.annotation = form if inner is None else dict[str, inner] if form is dict else list[inner]  # type: ignore[valid-type]
        self._returns[-1] = handle.annotation
        return handle

    def searched(self, step: Step[Any, Any], arguments: Mapping[str, Any], search: Search) -> Handle:
        """Note a search; answer what stands for its summary."""
        handle = self._noted(step, dict(arguments), search=search)
        handle.annotation = self._returns[-1] = dict[str, Any]
        return handle

    def branched(self, condition: Handle, then: Any, otherwise: Any) -> Any:
        """Note the calls of both ways, each under the condition."""
        if isinstance(condition, ChoiceHandle | DataHandle):
            what = "another branch gives" if isinstance(condition, ChoiceHandle) else "a dataset holds"
            raise Invalid(f"A branch hangs on what {what}.", "Hand that to a step that answers bool, and branch on it.")
        ref = Ref(condition.position, condition.path)
        before, given = self._guards, []
        for way, wanted in ((then, True), (otherwise, False)):
            self._guards = (*before, Guard(ref, wanted))
            try:
                given.append(None if way is None else way())
            finally:
                self._guards = before
        trees = [self.tree(one, "what a branch gives") for one in given]
        return ChoiceHandle(condition, Choice(ref, *trees), [self._annotation(one) for one in given])

    def inside(self, pipeline: Pipeline[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Note the calls of a pipeline inside this one, under its name."""
        if pipeline in self.inner:
            path = " → ".join(one.name for one in [*self.inner, pipeline])
            raise Invalid(f"The pipeline {pipeline.name!r} calls itself: {path}.", "Break the circle.")
        try:
            given = pipeline.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Invalid(
                f"The pipeline {pipeline.name!r} is called wrongly: {error}.", f"It takes {pipeline.signature}."
            ) from None
        given.apply_defaults()
        annotations = hints(pipeline.function)
        for name, value in given.arguments.items():
            if is_dataset(annotations.get(name)) and isinstance(value, str):
                given.arguments[name] = DataHandle(value, -1)
        self.inner.append(pipeline)
        try:
            return pipeline.function(*given.args, **given.kwargs)
        finally:
            self.inner.pop()

    def _noted(self, step: Step[Any, Any], arguments: Mapping[str, Any], **several: Any) -> Handle:
        if step not in self.codes:
            self.codes[step] = counted(step.code(self._territory), self._territory)
            self._hints[step] = hints(step.function)
            self._targets[step] = found_at(step)
        over = several.get("over", ())
        self._check(step, {name: value for name, value in arguments.items() if name not in over})
        name = ".".join([*(one.name for one in self.inner[1:]), step.name])
        self._labels[name] += 1
        count = self._labels[name]
        trees = {name: self.tree(value, f"the argument {name!r} of {step.name}") for name, value in arguments.items()}
        for dropped in several.get("search").space if "search" in several else ():  # type: ignore[union-attr]
            trees.pop(dropped, None)
        self.nodes.append(
            Node(
                step=step.name,
                label=name if count == 1 else f"{name}#{count}",
                target=self._targets[step],
                code=self.codes[step][0].digest,
                arguments=trees,
                options=step.options,
                guards=self._guards,
                **several,
            )
        )
        returns = self._hints[step].get("return")
        self._returns.append(returns)
        return Handle(step.name, len(self.nodes) - 1, (), returns)

    def _check(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> None:
        """That what is handed over fits the step's annotations, as far as they tell."""
        wanted = self._hints[step]
        for name, value in arguments.items():
            given = self._annotation(value)
            kind = step.signature.parameters[name].kind
            if kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL) or given is None:
                continue
            if not fits(given, wanted.get(name)):
                source = f"what {value.step} gives" if isinstance(value, Handle) else repr(value)[:40]
                raise Invalid(
                    f"The step {step.name!r} takes {fitting.shown(wanted[name])} as {name!r}, but {source} is"
                    f" {fitting.shown(given)}.",
                    "Hand on another result, or mend the annotation.",
                )

    def _checked_several(self, step: Step[Any, Any], name: str, value: Any) -> None:
        annotation = self._annotation(value)
        if isinstance(value, DataHandle) or not is_several(annotation if annotation is not None else Any):
            raise Invalid(
                f"The step {step.name!r} cannot be mapped over {name!r}, which is no list.",
                "Give a list or dict, or a step annotated as giving one.",
            )
        wanted = hints(step.function).get(name)
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        for given in (item_of(annotation), *map(self._annotation, items)):
            if given is None or fits(given, wanted):
                continue
            raise Invalid(
                f"The step {step.name!r} takes {fitting.shown(wanted)} as {name!r}, but the items are"
                f" {fitting.shown(given)}.",
                "Hand on another list, or mend the annotation.",
            )

    def _annotation(self, value: Any) -> Any:
        """What is known of a value's type: a handle's annotation, a plain value's own; None for nothing."""
        if isinstance(value, DataHandle):
            return Dataset
        if isinstance(value, Handle):
            return value.annotation
        return type(value) if isinstance(value, bool | int | float | str | list | dict) else None

    def tree(self, value: Any, where: str) -> Tree:
        """A value with handles in it as a tree of references and stored values."""
        if isinstance(value, DataHandle):
            return Data(value.step)
        if isinstance(value, ChoiceHandle):
            return value.chosen()
        if isinstance(value, Handle):
            return Ref(value.position, value.path)
        if holds_handle(value):
            if isinstance(value, dict):
                if not all(type(key) is str for key in value):
                    raise Invalid(f"{where} is a dict whose keys are no texts.", "Use texts as keys.")
                items = tuple(self.tree(item, f"{where}[{key!r}]") for key, item in value.items())
                return Many("dict", items, tuple(value))
            items = tuple(self.tree(item, f"{where}[{n}]") for n, item in enumerate(value))
            if is_named(value):
                return Many("tuple", items, value._fields, tuple_title(value))
            return Many("list" if isinstance(value, list) else "tuple", items)
        return self._constant(value, where)

    def is_model(self, result: Any, annotation: Any) -> bool:
        """Whether what the pipeline returns is a model, as far as annotations tell."""
        kinds = [annotation]
        if isinstance(result, ChoiceHandle):
            kinds += result.annotations
        elif isinstance(result, Handle) and not isinstance(result, DataHandle) and not result.path:
            kinds.append(self._returns[result.position])
        return any(kind is Model or (isinstance(kind, str) and kind.endswith("Model")) for kind in kinds)

    def _constant(self, value: Any, where: str) -> Tree:
        try:
            tree = text(value) if is_json(value) else self._writer.tree(value, where)
        except TooLarge:
            raise too_large(where) from None
        if isinstance(tree, Leaf) and tree.size > MOST:
            raise too_large(where)
        return tree


class TooLarge(Exception):
    """A constant does not fit into the plan."""


class Constants(Writer):
    """Writes what a pipeline's body holds itself: nothing but what fits into the plan."""

    def new(self) -> Path:
        """No place for files."""
        raise TooLarge

    def _object(self, value: Any, where: str) -> Tree:
        if isinstance(value, Handle):
            raise Invalid(f"{where} is the result of a step inside an object.", "Hand it on in a list, tuple or dict.")
        return super()._object(value, where)


def found_at(step: Step[Any, Any]) -> str:
    """Where a worker process finds a step: where its function stands, else under whatever name a module has it."""
    with suppress(ImportError, AttributeError, Invalid):
        if step_at(step.target()) is step:
            return step.target()
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is step:
                return f"{module.__name__}:{name}"
    raise Invalid(
        f"The step {step.name!r} stands at the top of no module, so that worker processes cannot find it.",
        "Make it at the top of a module under a name of its own; @step goes above other decorators.",
    )


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


def handle_of(value: Any) -> Any:
    """What the pipeline's body gets for a parameter."""
    return DataHandle(value.dataset, -1) if isinstance(value, Data) else value
