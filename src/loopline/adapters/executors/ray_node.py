"""What runs on a node of a Ray cluster: unpack what a call needs, have a worker process run it, send back what it made."""

from __future__ import annotations

import atexit
import functools
import io
import os
import shutil
import socket
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import msgspec

from loopline.adapters.executors.calling import out_of_memory
from loopline.adapters.executors.processes import Processes
from loopline.ports.executor import Call, Outcome

CACHE = "LOOPLINE_RAY_CACHE"
_TOLD_EVERY_S = 0.25
_KEPT_S = 7 * 86400
_pool: list[Processes] = []


class Board:
    """An actor with the logs of calls that run, each with its last megabyte."""

    def __init__(self) -> None:
        self._logs: dict[int, bytes] = {}

    def post(self, number: int, log: bytes) -> None:
        """What a call has printed so far."""
        self._logs[number] = log

    def read(self, number: int) -> bytes:
        """The same, for whoever asks."""
        return self._logs.get(number, b"")

    def forget(self, number: int) -> None:
        """A call has ended."""
        self._logs.pop(number, None)


def perform(content: bytes, parcel: list[Any], home: str, board: Any, number: int) -> tuple[bytes, dict[str, Any]]:
    """Run a call; answers the outcome and the files made (the caller's path → bytes). `home` is the caller's node."""
    import ray

    call = msgspec.msgpack.decode(content, type=Call)
    node = ray.get_runtime_context().get_node_id()
    if node == home:
        return msgspec.msgpack.encode(run(call, board, number)), {}
    scratch = cache() / "scratch" / uuid.uuid4().hex
    scratch.mkdir(parents=True)
    try:
        outcome = run(moved(call, parcel, scratch, ray.get), board, number)
        files = {theirs: whole(ours) for ours, theirs in outcome.files.items()}
        outcome = msgspec.structs.replace(outcome, files={}, node=f"{socket.gethostname()}/{node[:8]}")
        return msgspec.msgpack.encode(outcome), files
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run(call: Call, board: Any, number: int) -> Outcome:
    """Run a call in the warm worker process of this Ray worker, and tell the board what it prints."""
    if not _pool:
        _pool.append(Processes(slots=1, guards=2))  # Ray kills the children of a worker that it ends
        atexit.register(_pool[0].close)
    future, told = _pool[0].submit(call), b""
    while not wait([future], timeout=_TOLD_EVERY_S).done:
        log = _pool[0].log(future)
        if log != told:
            told = log
            board.post.remote(number, log)
    _pool[0].tidy()  # this process may stay when the caller's executor is closed
    return future.result()


def moved(call: Call, parcel: list[Any], scratch: Path, fetch: Callable[[Any], Any]) -> Call:
    """The call with what it needs laid out on this node's disk, and with word of where that is."""
    paths = {call.folder: str(scratch)} if call.folder else {}
    for kind, digest, path, ref in parcel:
        paths[path] = str(kept(kind, digest, functools.partial(fetch, ref)))
    return msgspec.structs.replace(call, moved=paths, places={}, projects={})


def kept(kind: str, digest: str, fetch: Callable[[], Any]) -> Path:
    """The place in this node's cache of a file or unpacked folder; fetched when it is not there yet."""
    path = cache() / f"{kind}s" / Path(digest).name
    if path.exists():
        os.utime(path)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    swept(path.parent)
    new = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    if kind == "project":
        unpacked(fetch(), new)
    else:
        new.write_bytes(memoryview(fetch()))
        new.chmod(0o444)
    try:
        new.rename(path)
    except OSError:  # somebody else was quicker with the same folder
        shutil.rmtree(new, ignore_errors=True)
    return path


def unpacked(content: bytes, folder: Path) -> None:
    """Lay out an archive of a project, member by member."""
    folder.mkdir()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            target = Path(os.path.normpath(folder / member.filename))
            if not target.is_relative_to(folder):
                raise ValueError(f"{member.filename} leads out of the project")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))


def swept(folder: Path) -> None:
    """Take away what nobody used for a week."""
    oldest = time.time() - _KEPT_S
    for path in folder.iterdir():
        if path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def cache() -> Path:
    """This node's folder for contents that came from elsewhere."""
    named = os.environ.get(CACHE)
    return Path(named) if named else Path(tempfile.gettempdir()) / f"loopline-ray-{os.getuid()}"


def whole(path: str) -> Any:
    """A file's bytes, in the form that travels without being copied."""
    import numpy as np

    return np.fromfile(path, dtype=np.uint8)


def lost(ray: Any, call: Call, error: Exception) -> Outcome:
    """The outcome of a call that Ray could not bring to an end."""
    what, known = call.label or "A call", ray.exceptions
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if isinstance(error, known.OutOfMemoryError):
        said, hint = out_of_memory(call)
        return Outcome(error=said, hint=hint, died=True, reason="memory")
    if isinstance(error, known.RayTaskError):
        cause = getattr(error, "cause", None) or error
        said = next(iter(str(cause).strip().splitlines()), "")
        hint = "Every node of the cluster needs this Loopline and the project's packages."
        return Outcome(error=f"{what} could not be run on its node: {type(cause).__name__}: {said}", hint=hint)
    ends = (known.WorkerCrashedError, known.NodeDiedError, known.RaySystemError, known.ObjectLostError)
    why = "its process on the node ended" if isinstance(error, ends) else first
    return Outcome(error=f"{what} was lost: {why}.", hint="Run it again.", died=True)
