"""Where the code of a project runs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from concurrent.futures import Future


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of `target`, "package.module:function", which takes bytes and answers bytes.

    `label` is the name shown when something goes wrong; `folder` is where the call may write files. `timeout` is in
    seconds and `memory` in bytes (0: no limit); `cpu` counts the slots it takes. `environment` are variables set for this
    call alone. `python` is the interpreter that shall run it (empty: the one that runs Loopline);
    it finds Loopline there or, where that has none, where this one runs from.

    `places` are the files that the call reads (digest → path) and `projects` the folders whose code it needs (digest →
    path), for executors whose machines do not share this one's disk. `moved` says where such paths lie on the machine
    that runs the call; the executor fills it in.
    """

    target: str
    payload: bytes
    label: str = ""
    folder: str = ""
    timeout: float = 0.0
    memory: int = 0
    cpu: float = 1.0
    environment: dict[str, str] = {}
    python: str = ""
    places: dict[str, str] = {}
    projects: dict[str, str] = {}
    moved: dict[str, str] = {}


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a call. `error` is empty when it answered, else one sentence; `trace` is the user's traceback,
    `kind` that of a refusal (core/errors).

    `died` says that the process ended under it; `reason` why it failed, when that is known: timeout, memory, stopped.
    `log` holds what it printed and logged (its last megabyte), `warnings` counts those that Python's warnings issued.
    Seconds are wall clock and CPU of the call alone; `max_rss` is the process's peak memory in bytes; `node` names the
    machine when it is another one. `files` are those that the call handed over (path here → path of the caller).
    """

    answer: bytes = b""
    error: str = ""
    hint: str = ""
    kind: str = ""
    trace: str = ""
    died: bool = False
    reason: str = ""
    log: bytes = b""
    warnings: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss: int = 0
    node: str = ""
    files: dict[str, str] = {}


class Executor(Protocol):
    """Guarantees: every submitted call gets exactly one outcome, whatever the code does; a call that ends its process
    fails alone; nothing that it started survives `close` or the death of the owner. `slots` are how many calls of one
    cpu run side by side; a call that asks for more cpu than there is runs alone."""

    @property
    def slots(self) -> int: ...

    def submit(self, call: Call) -> Future[Outcome]:
        """Run a call when a slot is free. The future never holds an exception but a cancellation."""

    def stop(self, future: Future[Outcome]) -> None:
        """End a call now, whether it runs or waits: its outcome has `died` and the reason stopped. Nothing for one that
        has ended."""

    def log(self, future: Future[Outcome]) -> bytes:
        """What a call has printed so far (its last megabyte); empty before it runs and after it ended."""

    def close(self) -> None:
        """End everything now; calls that still run are answered as died."""


class Standing:
    """Where the call that runs now stands: the folder in which it may write, and where the caller's paths lie here."""

    __slots__ = ("folder", "handed", "moved")

    def __init__(self, folder: str, moved: dict[str, str]) -> None:
        self.folder = folder
        self.moved = moved
        self.handed: dict[str, str] = {}


_standing: ContextVar[Standing | None] = ContextVar("standing", default=None)


def stand(standing: Standing | None) -> None:
    """For executors: set where the call stands that this thread runs now."""
    _standing.set(standing)


def scratch() -> str:
    """The folder in which the running call may write; empty when no call runs or it has none."""
    standing = _standing.get()
    return standing.folder if standing else ""


def here(path: str) -> str:
    """Where a path of the caller lies on the machine that runs the call: itself, unless that is another machine."""
    standing = _standing.get()
    return standing.moved.get(path, path) if standing and standing.moved else path


def handed(path: str) -> str:
    """Hand a file over to the caller, written in the call's folder; answers the path under which the caller finds it."""
    standing = _standing.get()
    if standing is None or not standing.moved:
        return path
    theirs = next(theirs for theirs, ours in standing.moved.items() if ours == standing.folder)
    found = standing.handed[path] = theirs + path.removeprefix(standing.folder)
    return found
