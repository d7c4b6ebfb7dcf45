"""Verbs that load models, done in another process: a model may be large, slow or hostile, and this one answers everybody.

The question is left in the database. The worker's child takes it up; where no worker runs, a child is started for it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from loopline.app.wiring import Loopline
from loopline.core.errors import KINDS, LooplineError, Unavailable
from loopline.core.verbs import Caller, Verb

PATIENCE_S = 50.0
LOOK_S = 0.05
QUESTION = b'{"do": "judge"}\n'
_places = threading.BoundedSemaphore(8)  # threads of this process that wait
_child = threading.Lock()


def elsewhere(loopline: Loopline, verb: Verb, request: Any, caller: Caller) -> Any:
    """What the verb answers, as plain data; raises its error. Unavailable when it takes long: it goes on all the same."""
    promotion = loopline.promotion
    asked = promotion.ask(verb.name, msgspec.to_builtins(request), caller.name, int(caller.role))
    later = Unavailable("The models are still being looked at.", "What is found is kept: look again in a minute.")
    if not _places.acquire(blocking=False):
        raise later
    try:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if (found := promotion.asked(asked.id)).state != "open":
                return told(found.state, found.answer)
            if not has_worker(loopline.home):
                answer_once(loopline.home, until - time.monotonic())
            time.sleep(LOOK_S)
    finally:
        _places.release()
    raise later


def told(state: str, answer: str) -> Any:
    """An answer as plain data; raises the error that it is."""
    data = msgspec.json.decode(answer)
    if state == "failed":
        raise KINDS.get(data["error"], LooplineError)(data["message"], data["hint"])
    return data


def has_worker(home: Path) -> bool:
    """Whether a worker holds the lock of this home."""
    try:
        with open(home / "run" / "worker.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def answer_once(home: Path, timeout_s: float) -> None:
    """Have a child answer what waits, one child at a time."""
    if not _child.acquire(timeout=max(timeout_s, 0.0)):
        return
    try:
        subprocess.run(
            [sys.executable, "-P", "-m", "loopline.shells.worker.chore", "--home", str(home)],
            input=QUESTION,
            stdout=subprocess.DEVNULL,
            timeout=max(timeout_s, 0.1),
            env=os.environ | {"LOOPLINE_PARENT": str(os.getpid())},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return
    finally:
        _child.release()
