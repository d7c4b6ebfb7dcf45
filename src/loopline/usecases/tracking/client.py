"""A run as user code holds it. Whatever happens to Loopline, the training goes on."""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import operator
import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

from loopline.core.errors import Conflict, Invalid
from loopline.core.ids import checked_name, new_id
from loopline.core.times import from_ms
from loopline.usecases.tracking import model, processes, surroundings
from loopline.usecases.tracking.capturing.seeds import seeds
from loopline.usecases.tracking.delivery import delivery_of
from loopline.usecases.tracking.objects.mixin import Objects
from loopline.usecases.tracking.sending import Client

FINISH_S = 5.0
MOST_POINTS = 5_000  # of one call that travel together
PARENT = "mlflow.parentRunId"  # the tag that MLflow's clients and pages nest runs by
_log = logging.getLogger("loopline")
_current: ContextVar[Run | None] = ContextVar("loopline_run", default=None)
_entered: list[Run] = []
_living: set[Run] = set()


class Run(Objects):
    """A run that was begun and is ended by leaving its `with` block, or by `finish()`.

    with loopline.run("first try") as run:
        run.params(learning_rate=0.1)
        run.log(loss=0.3, step=1)
        run.artifact("confusion.png")

    Every call is written to this machine's disk and delivered from the background, so none waits for Loopline; when it
    cannot be reached, all is delivered when it is back, at the latest by `loopline sync`. Raises only for what is wrong
    in the call itself. Threads and forked processes may share a run.
    """

    def __init__(
        self,
        client: Client,
        name: str = "",
        experiment: str = model.DEFAULT,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        *,
        run_id: str = "",
        parent: Run | str | None = None,
        capture: Iterable[str] = (),
    ) -> None:
        self.id = model.checked_run(run_id) if run_id else new_id()
        self.name = told_text(name or "")
        self._params = checked_texts("param", params or {})
        self._keys: set[str] = set()
        self._ended = False
        self._owner = os.getpid()
        self._wait = FINISH_S
        self._captures: Any = None
        self._around: list[Any] = []
        self._delivery = delivery_of(client)
        self._generation = self._delivery.generation
        around = {**surroundings.lately(), "command": surroundings.command(), "seeds": seeds()}
        self._start = {
            "run_id": self.id,
            "name": self.name,
            "experiment": model.checked_experiment(experiment),
            "params": dict(self._params),
            "tags": self._first_tags(checked_texts("tag", tags or {}), parent),
            "surroundings": around,
            "process": processes.myself(),
            "started_at": from_ms(now_ms()),
        }
        self._delivery.hold(self.id)
        self._begun = self._delivery.add("tracking.start", self._start, always=True)
        if run_id:
            self._resume()
        _living.add(self)
        self._capture(capture)

    def log(self, metrics: Mapping[str, float] | None = None, /, *, step: int = 0, **more: float) -> None:
        """Metrics at a step: `run.log(loss=0.3, step=1)`, or a map for names that are no Python names."""
        at = time.time_ns() // 1_000_000
        step = whole(step)
        given = {**metrics, **more} if metrics else more
        keys = self._keys
        for key in given:
            if key not in keys:
                keys.add(model.checked_key("metric", key))
        points = [point(key, value, step, at) for key, value in given.items()]
        for begin in range(0, len(points), MOST_POINTS):
            self._call("tracking.log", {"run_id": self.id, "metrics": points[begin : begin + MOST_POINTS]})

    def params(self, params: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Params, each written once; floats, texts, anything with a sensible `str`.

        Raises Conflict for one that has another value already.
        """
        given = checked_texts("param", {**(params or {}), **more})
        for key, value in given.items():
            if self._params.setdefault(key, value) != value:
                raise Conflict(
                    f"The param {key!r} is {self._params[key][:80]!r} and cannot become {value[:80]!r}.",
                    "A param is written once; use a tag or a new run.",
                )
        self._call("tracking.log", {"run_id": self.id, "params": given})

    def tags(self, tags: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Tags, which later ones of the same name replace."""
        given = checked_texts("tag", {**(tags or {}), **more})
        self._call("tracking.log", {"run_id": self.id, "tags": given})

    def keep(self, name: str, content: bytes | str | Path, media_type: str = "") -> None:
        """Keep bytes, a text or a file with the run, under a name like a relative path."""
        data = content.encode(errors="replace") if isinstance(content, str) else content
        fields = {"run_id": self.id, "name": model.checked_key("artifact", name), "media_type": media_type}
        self._awake()
        self._delivery.keep("tracking.put_artifact", fields, data)

    def input(self, name: str, data: Any = None, kind: str = "", *, digest: str = "") -> None:
        """Say what went into the run: a digest, or a frame (pandas, Polars, Arrow), an array, a path or a dataset's
        snapshot, of which digest, columns and number of rows are kept; the data itself is not."""
        self._link("input", name, data, kind or "dataset", digest)

    def output(self, name: str, data: Any = None, kind: str = "", *, digest: str = "") -> None:
        """Say what came out of the run, as `input` does."""
        self._link("output", name, data, kind or "value", digest)

    def register(self, kept: str, model: str) -> None:
        """Have a model that `run.model` kept under the name `kept` become the next version of a registered model."""
        self._call("registry.take", {"model": checked_name("model", model), "run_id": self.id, "kept": kept})

    def flush(self, timeout: float = FINISH_S) -> bool:
        """Wait until all that was logged has arrived; False when nobody answers or the time (seconds) is up."""
        return self._delivery.flush(timeout)

    def finish(self, status: str = "finished", error: str = "", wait: float = FINISH_S) -> None:
        """End the run and wait a few seconds for delivery; what still waits then is left to `loopline sync`. With `wait`
        0 delivery goes on in the background, until the program ends."""
        if self._ended or self._owner != os.getpid():  # a forked child ends nothing
            self._delivery.flush(wait)
            return
        if status not in model.ENDED:
            raise Invalid(f"A run cannot end as {status!r}.", f"Use one of {', '.join(sorted(model.ENDED))}.")
        self._ended = True
        _living.discard(self)
        if self._captures is not None:
            self._captures.stop()
        if dropped := self._delivery.dropped(self.id):
            tags = {"loopline.dropped": str(dropped)}
            self._delivery.add("tracking.log", {"run_id": self.id, "tags": tags}, always=True)
        fields = {"run_id": self.id, "status": status, "error": error, "ended_at": from_ms(now_ms())}
        self._delivery.add("tracking.finish", fields, always=True)
        if not self._delivery.let_go(self.id, wait):
            _log.warning("Run %s waits on this machine: `loopline sync` delivers it.", self.id[:8])

    def __enter__(self) -> Run:
        self._around.append(_current.set(self))
        _entered.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self in _entered:
            _entered.remove(self)
        with contextlib.suppress(ValueError, IndexError):  # left in another thread than it was entered in
            _current.reset(self._around.pop())
        if kind is None or error is None:
            self.finish(wait=self._wait)
        else:
            self.finish(*told(error), wait=self._wait)

    def _first_tags(self, tags: dict[str, str], parent: Run | str | None) -> dict[str, str]:
        above = parent if parent is not None else current()
        if isinstance(above, Run):
            above = above.id
        return {"parent": above, PARENT: above, **tags} if above else tags

    def _resume(self) -> None:
        fields = {"run_id": self.id, "process": processes.myself()}
        self._delivery.add("tracking.resume", fields, always=True)

    def _capture(self, what: Iterable[str]) -> None:
        if wanted := tuple(what):
            from loopline.usecases.tracking.capturing import Captures

            self._captures = Captures(self, wanted)

    def _link(self, direction: str, name: str, data: Any, kind: str, digest: str) -> None:
        from loopline.usecases.tracking.objects.digesting import Digested, digested

        found = Digested(digest) if digest and data is None else digested(data)
        link = {"direction": direction, "name": name, "digest": found.digest, "kind": kind, "tags": found.profile}
        self._call("tracking.log", {"run_id": self.id, "links": [link]})

    def _call(self, verb: str, fields: dict[str, Any]) -> None:
        self._awake()
        self._delivery.add(verb, fields)

    def _awake(self) -> None:
        """In a forked child, say first which run this is: its journal may arrive before the parent's does. And again
        when there was no room for it on the disk."""
        if self._generation != self._delivery.generation or not self._begun:
            self._generation = self._delivery.generation
            self._begun = self._delivery.add("tracking.start", self._start, always=True)

    def __reduce__(self) -> Any:
        """The same run in a process that is no fork of this one; it ends nothing there."""
        return attached, (self._delivery.client, self._start)


def current() -> Run | None:
    """The run whose `with` block this is: of this thread, else the one entered last in this process."""
    return _current.get() or (_entered[-1] if _entered else None)


def attached(client: Client, start: dict[str, Any]) -> Run:
    """A run that another process has begun, as `__reduce__` hands it over."""
    run = Run.__new__(Run)
    run.id, run.name = start["run_id"], start["name"]
    run._start, run._params, run._keys = start, dict(start["params"]), set()
    run._wait = FINISH_S
    run._ended, run._owner, run._captures, run._around = False, 0, None, []
    run._delivery = delivery_of(client)
    run._generation, run._begun = run._delivery.generation, False
    return run


def told(error: BaseException) -> tuple[str, str]:
    """How a run ends by an exception, and the sentence that is kept."""
    status = "failed" if isinstance(error, Exception) else "killed"
    if isinstance(error, SystemExit):
        status = "failed" if error.code else "finished"
        if not error.code:
            return status, ""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # an exception that cannot tell itself
        text = type(error).__name__
    return status, surroundings.clean(text[:2000])


def point(key: str, value: Any, step: int, at_ms: int) -> dict[str, Any]:
    """A point as the verb takes it; anything that `float` takes is a value."""
    if type(value) is not float:
        try:
            value = float(value.detach() if hasattr(value, "detach") else value)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise Invalid(f"The metric {key!r} cannot be {str(value)[:80]!r} ({error}).", "Give a number.") from None
    if not math.isfinite(value):
        value = "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return {"key": key, "value": value, "step": step, "at_ms": at_ms}


def whole(step: Any) -> int:
    """A step as a whole number that can be stored, or Invalid."""
    try:
        number = operator.index(step)
    except TypeError:
        raise Invalid(f"The step {str(step)[:40]!r} is no whole number.", "Give an int.") from None
    return number if 0 <= number < 1 << 62 else model.checked_whole("step of a point", number)


def checked_texts(kind: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Values as texts under checked keys; Invalid for what is no map or cannot be told."""
    if not isinstance(values, Mapping):
        raise Invalid(f"{kind.capitalize()}s cannot be {str(values)[:80]!r}.", "Give a map of names and values.")
    return model.checked_texts(kind, {key: told_text(value) for key, value in values.items()})


def told_text(value: Any) -> str:
    """A value as a text that can be written: half characters, as in names of files, become question marks."""
    try:
        return str(value).encode(errors="replace").decode()
    except Exception as error:  # whatever the value's own code does
        raise Invalid(f"A {type(value).__name__} cannot be told as a text ({type(error).__name__}).") from None


def now_ms() -> int:
    """The present in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def _at_exit() -> None:
    """Runs that nobody finished end with the interpreter: failed by the error that ended it, else finished."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if hasattr(sys, "ps1") or "IPython" in sys.modules:  # there the last error was one cell's
        error = None
    for run in list(_living):
        with contextlib.suppress(Exception):
            if run._owner == os.getpid():
                run.finish(*(told(error) if error is not None else ("finished", "")))


atexit.register(_at_exit)
