"""Functions in the place of a library's own: what they add may fail, what they stand for goes on as ever."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loopline.usecases.tracking.client import Run, current

MOST_PARAMS = 200
LONGEST_PARAM = 500
LARGEST_INPUT = 512 << 20  # bytes of data that are worth hashing for their name
_log = logging.getLogger("loopline")
_MISSING = object()


@dataclass(frozen=True)
class Settings:
    """How runs are begun when there is none, and what is kept."""

    begin: Callable[[str], Run]
    models: bool = True
    inputs: bool = True
    register: str = ""


@dataclass
class _State:
    settings: Settings | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    depth: threading.local = field(default_factory=threading.local)
    exclusive: int = 0  # fits that call other fits, perhaps in threads


_state = _State()


def settings_are(settings: Settings) -> None:
    """Use these from now on."""
    _state.settings = settings
    _state.told = set()


def settings() -> Settings:
    """What was asked for; raises LookupError when nothing was."""
    if _state.settings is None:
        raise LookupError("autologging is off")
    return _state.settings


def restore() -> None:
    """Put back everything, newest first."""
    _state.settings = None
    while _state.undo:
        with contextlib.suppress(Exception):
            _state.undo.pop()()


def replace(owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Put `wrapper(original)` in the place of an attribute of a module or class, until `restore`."""
    held = vars(owner).get(name, _MISSING)
    original = getattr(owner, name)
    made = wrapper(original)
    setattr(owner, name, made)

    def put_back() -> None:
        if vars(owner).get(name) is not made:
            return  # somebody else has patched it since
        if held is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, held)

    _state.undo.append(put_back)


def watched(original: Any, watch: Callable[..., Any]) -> Any:
    """A function that does what `original` does, and has `watch(args, kwargs)` look on: a generator that may change
    `kwargs` (a dict) before its only `yield`, gets the result from it, and is closed when the call fails."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _state.settings is None or inside():
            return original(*args, **kwargs)
        with entered():
            given = dict(kwargs)
            looking = begun(watch, args, given)
            if looking is None:
                return original(*args, **kwargs)
            try:
                result = original(*args, **given)
            except BaseException as error:
                ended(looking, error)
                raise
            ended(looking, None, result)
            return result

    return call


def inside() -> bool:
    """Whether a call that is watched is under way, of which this one is a part."""
    return getattr(_state.depth, "value", 0) > 0 or _state.exclusive > 0


@contextlib.contextmanager
def entered(everywhere: bool = False) -> Iterator[None]:
    """A watched call is under way, in this thread or in all."""
    _state.depth.value = getattr(_state.depth, "value", 0) + 1
    _state.exclusive += everywhere
    try:
        yield
    finally:
        _state.depth.value -= 1
        _state.exclusive -= everywhere


def begun(watch: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The generator at its `yield`, or None when it failed before: then nothing is logged."""
    try:
        looking = watch(args, kwargs)
        next(looking)
    except StopIteration:
        return None
    except Exception as error:
        warn(error)
        return None
    return looking


def ended(looking: Any, error: BaseException | None, result: Any = None) -> None:
    """Tell the generator how it went."""
    try:
        if error is None:
            looking.send(result)
        else:
            looking.throw(error)
    except StopIteration:
        pass
    except BaseException as problem:
        if problem is not error:
            if not isinstance(problem, Exception):
                raise
            warn(problem)


def warn(error: Exception) -> None:
    """Say once what could not be logged."""
    text = f"{type(error).__name__}: {error}"[:300]
    if text not in _state.told:
        _state.told.add(text)
        _log.warning("Something could not be logged by itself (%s).", text)


@contextlib.contextmanager
def run_for(name: str) -> Iterator[Run]:
    """The run to log to: the one whose block this is, unless something was logged to it by itself before; then one
    nested in it, and without any a new one. A run begun here ends here, failed when the call failed."""
    here = current()
    if here is not None and not getattr(here, "autologged", False):
        here.autologged = True  # type: ignore[attr-defined]
        yield here
        return
    with settings().begin(name) as run:
        run.autologged = True  # type: ignore[attr-defined]
        run._wait = 0.0  # a search of a thousand fits waits for none of them
        yield run


def log_params(run: Run, params: Mapping[str, Any]) -> None:
    """Params as texts, those that the run has already left out."""
    texts = {str(key): str(value)[:LONGEST_PARAM] for key, value in list(params.items())[:MOST_PARAMS]}
    run.params({key: value for key, value in texts.items() if run._params.get(key, value) == value})


def log_input(run: Run, name: str, data: Any) -> None:
    """An input by its digest, unless it is too large to be hashed in passing."""
    if not settings().inputs or data is None:
        return
    size = getattr(data, "nbytes", None)
    if size is None and hasattr(data, "memory_usage"):
        used = data.memory_usage()
        size = int(used.sum() if hasattr(used, "sum") else used)
    if size is None and hasattr(data, "estimated_size"):
        size = data.estimated_size()
    if size is not None and size <= LARGEST_INPUT:
        tried(lambda: run.input(name, data))


def tried(act: Callable[[], Any]) -> Any:
    """Do it; a failure is said and costs nothing else."""
    try:
        return act()
    except Exception as error:
        warn(error)
        return None


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def seconds(self) -> float:
        """How many."""
        return time.perf_counter() - self._began
