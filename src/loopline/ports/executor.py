"""Where the code of a project runs."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of `target`, "package.module:function", which takes bytes and answers bytes.

    `label` is the name shown when something goes wrong; `folder` is where the call may write files.
    """

    target: str
    payload: bytes
    label: str = ""
    folder: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a call. `error` is empty when it answered, else one sentence; `trace` is the user's traceback,
    `kind` that of a refusal (core/errors).

    `died` says that the process ended under it. `log` holds what it printed and logged (its last megabyte).
    Seconds are wall clock and CPU of the call alone; `max_rss` is the process's peak memory in bytes.
    """

    answer: bytes = b""
    error: str = ""
    hint: str = ""
    kind: str = ""
    trace: str = ""
    died: bool = False
    log: bytes = b""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss: int = 0


class Executor(Protocol):
    """Guarantees: every submitted call gets exactly one outcome, whatever the code does; a call that ends its process
    fails alone; nothing that it started survives `close` or the death of the owner."""

    slots: int

    def submit(self, call: Call) -> Future[Outcome]:
        """Run a call when a slot is free. The future never holds an exception but a cancellation."""

    def close(self) -> None:
        """End everything now; calls that still run are answered as died."""
