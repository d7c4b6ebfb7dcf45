"""Where the code of a project runs."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of `target`, "package.module:function", which takes bytes and answers bytes.

    `label` is the name shown when something goes wrong; `folder` is where the call may write files. `timeout` is in
    seconds and `memory` in bytes (0: no limit); `cpu` counts the slots it takes. `environment` are variables set for this
    call alone. `python` is the interpreter that shall run it (empty: the one that runs Loopline);
    it finds Loopline there or, where that has none, where this one runs from.
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


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a call. `error` is empty when it answered, else one sentence; `trace` is the user's traceback,
    `kind` that of a refusal (core/errors).

    `died` says that the process ended under it; `reason` why, when that is known: timeout, memory, stopped. `log` holds
    what it printed and logged (its last megabyte), `warnings` counts those that Python's warnings issued.
    Seconds are wall clock and CPU of the call alone; `max_rss` is the process's peak memory in bytes; `node` names the
    machine when it is another one.
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


class Executor(Protocol):
    """Guarantees: every submitted call gets exactly one outcome, whatever the code does; a call that ends its process
    fails alone; nothing that it started survives `close` or the death of the owner. `slots` are how many calls of one
    cpu run side by side."""

    slots: int

    def submit(self, call: Call) -> Future[Outcome]:
        """Run a call when a slot is free. The future never holds an exception but a cancellation."""

    def stop(self, future: Future[Outcome]) -> None:
        """End a call now, whether it runs or waits: its outcome has `died` and the reason stopped. Nothing for one that
        has ended."""

    def log(self, future: Future[Outcome]) -> bytes:
        """What a call has printed so far (its last megabyte); empty before it runs and after it ended."""

    def close(self) -> None:
        """End everything now; calls that still run are answered as died."""
