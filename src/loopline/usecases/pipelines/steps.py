"""`@step` and `@pipeline`: plain functions that, inside a pipeline being traced, note what would be called with what."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from loopline.core.errors import Invalid
from loopline.core.ids import checked_name
from loopline.usecases.pipelines.handles import Handle
from loopline.usecases.pipelines.model import External, Options, Search
from loopline.usecases.pipelines.options import options_from, search_from

P = ParamSpec("P")
R = TypeVar("R")
_GATHERING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Dataset:
    """Annotation of a pipeline's parameter that names a dataset; its newest accepted snapshot is taken when a run starts.

    A step's parameter annotated so receives it as a `pyarrow.Table`; with `pandas.DataFrame` or `polars.DataFrame` as
    such a frame.
    """


class Tracer(Protocol):
    """Who notes the calls of steps and of pipelines inside pipelines, and which of them hang on a condition."""

    def called(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Any: ...
    def mapped(self, step: Step[Any, Any], arguments: Mapping[str, Any], over: tuple[str, ...]) -> Any: ...
    def searched(self, step: Step[Any, Any], arguments: Mapping[str, Any], search: Search) -> Any: ...
    def branched(self, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any] | None) -> Any: ...
    def inside(self, pipeline: Pipeline[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any: ...


tracing: ContextVar[Tracer | None] = ContextVar("tracing", default=None)


class Step(Generic[P, R]):
    """A function whose result is kept by what it was made from. Called as the plain function it is."""

    def __init__(self, function: Callable[P, R], name: str = "", options: Options = Options()) -> None:
        functools.update_wrapper(self, function)
        self.function: Any = function
        self.name = checked_name("step", name or function.__name__)
        self.options = options
        for one in options.volatile:
            if one not in self.signature.parameters:
                raise Invalid(
                    f"The step {self.name!r} has no parameter {one!r} that could be volatile.",
                    f"It takes {self.signature}.",
                )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        tracer = tracing.get()
        if tracer is None:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        return tracer.called(self, self.bound(args, kwargs))  # type: ignore[no-any-return]

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature."""
        return inspect.signature(self.function)

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, defaults included; Invalid when they do not fit."""
        quick = self._quickly_bound(args, kwargs)
        if quick is not None:
            return quick
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Invalid(
                f"The step {self.name!r} is called wrongly: {error}.", f"It takes {self.signature}."
            ) from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _quickly_bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        """What `bound` answers for plain parameters, which costs a tenth; None where Python must be asked."""
        if self._plain is None or len(args) > len(self._plain):
            return None
        found = dict(zip(self._plain, args, strict=False))
        given = {**self._plain, **kwargs, **found}
        fits = len(given) == len(self._plain) and not (found.keys() & kwargs.keys())
        return given if fits and not any(one is inspect.Parameter.empty for one in given.values()) else None

    @functools.cached_property
    def _plain(self) -> dict[str, Any] | None:
        """Default by parameter where all may be given by position or name; None where some may not."""
        found = self.signature.parameters
        plain = all(one.kind is one.POSITIONAL_OR_KEYWORD for one in found.values())
        return {name: one.default for name, one in found.items()} if plain else None

    def map(self, *, over: str | Sequence[str], **arguments: Any) -> Any:
        """Call the step once for each item of the list (or dict) given for the parameter `over`, side by side; several
        names go together item by item. Gives the list (or dict) of results, in order.

        Raises Invalid for a name that is not given, and for lists of different lengths.
        """
        names = (over,) if isinstance(over, str) else tuple(over)
        if not names:
            raise Invalid(f"The step {self.name!r} is mapped over nothing.", 'Name a parameter: over="item".')
        for name in names:
            if name not in arguments:
                raise Invalid(
                    f"The step {self.name!r} is mapped over {name!r}, which is not given.", f"Write {name}=[…]."
                )
            if name not in self.signature.parameters or self.signature.parameters[name].kind in _GATHERING:
                raise Invalid(
                    f"The step {self.name!r} is mapped over {name!r}, which is no parameter of its own.",
                    f"It takes {self.signature}.",
                )
        tracer = tracing.get()
        if tracer is not None:
            return tracer.mapped(self, self.bound((), arguments), names)
        return each(self, arguments, names)

    def search(
        self,
        *,
        space: Mapping[str, Any],
        trials: int,
        direction: str = "minimize",
        measure: str = "",
        sampler: str = "tpe",
        seed: int = 0,
        width: int = 4,
        **arguments: Any,
    ) -> Any:
        """Call the step with arguments drawn from `space` until `trials` are done, `width` side by side: a
        hyper-parameter search. Gives {"best": arguments, "value": number, "trials": […]}.

        `space` maps a parameter to (low, high), (low, high, "log") or a list of choices; `measure` names the number in
        the step's result (default: the result is it); `sampler` is tpe, random or grid. Raises Invalid for a space or
        direction that cannot be.
        """
        asked = {"space": dict(space), "trials": trials, "direction": direction, "measure": measure}
        chosen = search_from(asked | {"sampler": sampler, "seed": seed, "width": width})
        tracer = tracing.get()
        if tracer is not None:
            return tracer.searched(self, self.bound((), {**arguments, **dict.fromkeys(chosen.space)}), chosen)
        from loopline.usecases.pipelines.expanding import searched

        return searched(chosen, lambda point: self.function(**arguments, **point))

    def code(self, territory: Any) -> tuple[Any, dict[str, str]]:
        """The closure of the step's code, and the files beyond the project that belong to it with their digests."""
        from loopline.usecases.pipelines.identity import code_of

        return code_of(self.function, territory)

    def target(self) -> str:
        """Where a worker process finds the step: "module:name"."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    def __repr__(self) -> str:
        return f"<step {self.name}>"


class Pipeline(Generic[P, R]):
    """A function that calls steps. Called as the plain function it is; `loopline run` traces it.

    `registers` is the name under which a returned model is registered.
    """

    def __init__(self, function: Callable[P, R], name: str = "", registers: str = "") -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = checked_name("pipeline", name or function.__name__)
        self.registers = checked_name("model", registers) if registers else ""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        tracer = tracing.get()
        if tracer is not None:
            return tracer.inside(self, args, kwargs)  # type: ignore[no-any-return]
        return self.function(*args, **kwargs)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature."""
        return inspect.signature(self.function)

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


def branch(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any] | None = None) -> Any:
    """What `then()` gives when `condition` counts as true, else what `otherwise()` gives (default: None).

    Inside a pipeline both are traced and only one of them runs, once the step that gives the condition has ended:
    `model = branch(enough, lambda: large(frame), lambda: small(frame))`.
    """
    tracer = tracing.get()
    if tracer is not None and isinstance(condition, Handle):
        return tracer.branched(condition, then, otherwise)
    if condition:
        return then()
    return None if otherwise is None else otherwise()


def each(step: Step[Any, Any], arguments: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """A mapped call of plain values."""
    lists = {name: arguments[name] for name in names}
    first = lists[names[0]]
    for name, one in lists.items():
        if not isinstance(one, list | tuple | dict) or len(one) != len(first):
            raise Invalid(
                f"The step {step.name!r} cannot be mapped over {name!r}: it is no list of the same length.",
                "Give lists (or dicts) of one length.",
            )
    items = {name: list(one.values()) if isinstance(one, dict) else list(one) for name, one in lists.items()}
    done = [step.function(**{**arguments, **{name: items[name][n] for name in names}}) for n in range(len(first))]
    keyed = next((one for one in lists.values() if isinstance(one, dict)), None)
    return done if keyed is None else dict(zip(keyed, done, strict=True))


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str = "",
    no_cache: bool = False,
    max_age: str | float = 0.0,
    volatile: Sequence[str] = (),
    uses: Sequence[External] = (),
    retries: int = 0,
    backoff: float = 1.0,
    timeout: str | float = 0.0,
    cpu: float = 1.0,
    memory: str | int = 0,
    environment: Mapping[str, str] = {},
    lock: str = "",
    seed: int | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Any = None, /, *, name: str = "", **options: Any) -> Any:
    """Make a function a step: `@step`, or `@step(no_cache=True)` for one that must run each time.

    `max_age` is the oldest result taken from the cache ("7d"), `volatile` names parameters that do not count, `uses` what
    the step reads by itself (`File`, `Url`, `Query`). A failed call is made `retries` times again, after `backoff` seconds,
    doubled each time up to an hour. `timeout` ("10m") and `memory` ("2GB") limit a call, which takes `cpu` slots; `environment` are
    variables for it; `lock` is a file of the project as `loopline lock` writes it, and the step runs with exactly what it
    pins; `seed` starts the random numbers. Raises Invalid for an option that cannot be.
    """
    made = options_from(options)
    if function is None:
        return functools.partial(_made, Step, name=name, options=made)
    return _made(Step, function)


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline(*, name: str = "", registers: str = "") -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(function: Any = None, /, *, name: str = "", registers: str = "") -> Any:
    """Make a function a pipeline: `@pipeline`, or `@pipeline(registers="late-arrival")`."""
    if function is None:
        return functools.partial(_made, Pipeline, name=name, registers=registers)
    return _made(Pipeline, function)


def _made(kind: Any, function: Any, **options: Any) -> Any:
    if not inspect.isfunction(function):
        raise Invalid(f"{function!r} cannot be a {kind.__name__.lower()}.", "Decorate a plain function.")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise Invalid(
            f"{function.__name__!r} cannot be a {kind.__name__.lower()}: it is asynchronous or a generator.",
            "Return the whole result from a plain function.",
        )
    return kind(function, **options)


def hints(function: Any) -> dict[str, Any]:
    """A function's annotations, evaluated where they can be; one that names what is not there stays a text."""
    from typing import get_type_hints

    try:
        return get_type_hints(function)
    except Exception:  # evaluating a text may raise anything
        return dict(getattr(function, "__annotations__", {}))


def is_dataset(annotation: Any) -> bool:
    """Whether an annotation is `Dataset`, also as text."""
    return annotation is Dataset or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "Dataset")
