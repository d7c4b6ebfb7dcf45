"""Models that run code of their own are loaded in a process of their own, whoever asks for them.

In a model's process (which says so by `enter`) they are loaded directly; anywhere else `Isolated.load` starts a process,
which holds nothing but that model, in the environment of its lock, and answers a model that asks it. What comes back is
read as plain data.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import KINDS, Invalid, Refused, Unavailable
from loopline.core.programs import LOCK, SECRET
from loopline.core.tables import Signature
from loopline.ports.runtime import LoadedModel

PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
SAFE = "Keep what was fitted as skops, safetensors, ONNX, JSON or npz without objects."
_own = False


def enter() -> None:
    """Say that this process belongs to one model: code of that model may run in it."""
    global _own
    _own = True


def none(lock: bytes) -> str:
    """No environment but this one."""
    return ""


environment_of: Callable[[bytes], str] = none
"""The interpreter of the environment that a lock describes, built when it is not there; "" is this one. The app says how."""


class Isolated:
    """A runtime whose models are code. A format writes `load_here`."""

    format = ""
    isolated = True

    def load(self, folder: Path, signature: Signature) -> LoadedModel:
        """See `Runtime.load`: here in a model's own process, else in one that is started for it."""
        if _own:
            return self.load_here(folder, signature)
        lock = folder / LOCK
        python = environment_of(lock.read_bytes()) if lock.is_file() else ""
        return Apart(self.format, folder, signature, python or sys.executable)

    def load_here(self, folder: Path, signature: Signature) -> LoadedModel:
        """Load it into this process."""
        raise NotImplementedError


class Apart:
    """A model in a process of its own. Satisfies `LoadedModel`."""

    def __init__(self, form: str, folder: Path, signature: Signature, python: str) -> None:
        self._guard = threading.Lock()
        self._process = subprocess.Popen(
            [python, "-P", "-m", __name__, form, str(folder), msgspec.json.encode(signature).decode()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name not in SECRET},
        )  # fmt: skip
        self._answer()

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. ValueError says what the model said."""
        with self._guard:
            self._send({name: packed(values) for name, values in columns.items()})
            return unpacked(self._answer())

    def close(self) -> None:
        """End the process."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            process.kill()
            process.stdin.close()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        try:
            write(self._process.stdin, message)
        except (OSError, ValueError):
            raise Unavailable("The process of the model has ended.", "Load the model again.") from None

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        try:
            kind, content = read(self._process.stdout)
        except (EOFError, OSError, ValueError):
            raise Unavailable("The process of the model has ended.", "What it printed says why.") from None
        if kind == "answer":
            return content
        if kind in KINDS:
            raise KINDS[kind](*content)
        raise ValueError(content)


def packed(values: Any) -> Any:
    """An array as plain data."""
    return [values.dtype.str, values.tobytes()] if values.dtype != object else ["O", values.tolist()]


def unpacked(content: Any) -> Any:
    """The array again: numbers, or objects of text and None."""
    import numpy as np

    kind, data = content
    if kind != "O":
        return np.frombuffer(data, dtype=np.dtype(kind))
    found = np.empty(len(data), dtype=object)
    found[:] = data
    return found


def write(stream: Any, message: Any) -> None:
    """One message: msgpack with its length before it."""
    content = msgspec.msgpack.encode(message)
    stream.write(len(content).to_bytes(8, "little") + content)
    stream.flush()


def read(stream: Any) -> Any:
    """The next message; EOFError at the end."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    return msgspec.msgpack.decode(stream.read(int.from_bytes(head, "little")))


def answered(model: LoadedModel, message: Any) -> Any:
    """The answer to one batch of columns."""
    import numpy as np

    try:
        found = np.asarray(model.predict({name: unpacked(one) for name, one in message.items()}))
        return ["answer", packed(found if found.dtype.kind in "fiub" else found.astype(object))]
    except Exception as error:  # whatever a model raises goes back to who asked
        return ["raised", f"{type(error).__name__}: {str(error)[:500]}"]


def serve(form: str, folder: str, described: str) -> None:
    """Answer batches until whoever started this lets go. What the model prints goes to standard error."""
    from loopline.adapters.runtimes import RUNTIMES
    from loopline.adapters.runtimes.isolation import enter as enter_here
    from loopline.core.errors import LooplineError

    enter_here()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        signature = msgspec.json.decode(described, type=Signature)
        model = RUNTIMES[form].load(Path(folder), signature)
    except LooplineError as error:
        write(answers, [error.kind, [error.message, error.hint]])
        return
    write(answers, ["answer", None])
    while True:
        try:
            message = read(sys.stdin.buffer)
        except EOFError:
            return
        write(answers, answered(model, message))


def manifest(path: Path | None, form: Any) -> Any:
    """What a model's own manifest says; Invalid for none."""
    if path is None or not path.is_file():
        raise Invalid(f"The model has no {form.FILE}.", "Register the model again.")
    try:
        return msgspec.json.decode(path.read_bytes(), type=form)
    except msgspec.DecodeError as error:
        raise Invalid(f"{form.FILE} cannot be read ({error}).", "Register the model again.") from None


def is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle does; the length that begins a safetensors file goes on with a zero."""
    with path.open("rb") as stream:
        head = stream.read(3)
    return head[:2] in PICKLES and head[2:] != b"\0"


def copied(files: Mapping[str, Path], folder: Path) -> None:
    """Copy files under their names. Refused for a pickle: nobody can read what it would do."""
    for name, path in sorted(files.items()):
        if name.endswith((".pkl", ".pickle", ".joblib")) or is_pickle(path):
            raise Refused(f"{name} is a pickle, which could run any code when loaded.", SAFE)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


if __name__ == "__main__":
    serve(*sys.argv[1:4])
