"""A program in any language as a model: it answers the Open Inference Protocol (REST, version 2) on a socket or a port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from loopline.adapters.runtimes.isolation import Isolated, copied, manifest
from loopline.core.errors import Unavailable
from loopline.core.programs import SECRET, CommandModel
from loopline.core.tables import Signature

FILES = "files"
GUARD = Path(__file__).with_name("program_guard.py")
POLL_S = 0.05


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """How the program is started. `door` is "socket" or "port"; `model` its own name for the model."""

    FILE: ClassVar[str] = "command.json"
    command: tuple[str, ...]
    door: str
    ready_s: float
    model: str


class Command(Isolated):
    """The runtime of the format "command"."""

    format = "command"

    def accepts(self, model: Any) -> bool:
        """Whether it is a program described as a model."""
        return isinstance(model, CommandModel)

    def save(self, model: CommandModel, folder: Path) -> None:
        """Write files/ and command.json. Nothing is started."""
        copied(model.files, folder / FILES)
        copied(model.lock, folder)
        said = Manifest(command=model.command, door=model.door, ready_s=model.ready_s, model=model.model)
        (folder / Manifest.FILE).write_bytes(msgspec.json.encode(said, order="sorted"))

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Invalid for a manifest that describes no program; nothing is started."""
        said: Manifest = manifest(files.get(Manifest.FILE), Manifest)
        CommandModel(said.command, door=said.door, ready_s=said.ready_s, model=said.model)
        return None

    def load_here(self, folder: Path, signature: Signature) -> Program:
        """Start the program and wait until it is ready."""
        self.inspect({path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()})
        program = Program(manifest(folder / Manifest.FILE, Manifest), folder.resolve() / FILES, signature)
        try:
            program.ready()
        except BaseException:
            program.close()
            raise
        return program


class Program:
    """A running program. Satisfies `LoadedModel`. It ends with this process, however that ends."""

    def __init__(self, said: Manifest, folder: Path, signature: Signature) -> None:
        from loopline.adapters.runtimes import (
            open_inference,  # brings ssl and email along, which other models never need
        )

        self._said = said
        self._signature = signature
        self._scratch = Path(tempfile.mkdtemp(prefix="loopline-"))  # for this user alone
        folder.mkdir(exist_ok=True)
        path, port = str(self._scratch / "model.sock"), free_port() if said.door == "port" else 0
        place = {"LOOPLINE_PORT": str(port)} if port else {"LOOPLINE_SOCKET": path}
        self._door = open_inference.Door(path, port)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(self._scratch), *words(said.command, folder)],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=2, env=environment({**place, "LOOPLINE_MODEL_DIR": str(folder)}),
        )  # fmt: skip

    def ready(self) -> None:
        """Wait until it says that it is. Unavailable when it ends before, or takes too long."""
        until = time.monotonic() + self._said.ready_s
        what = self._said.command[0]
        while not self._answers():
            code = self._process.poll()
            if code is not None:
                raise Unavailable(f"{what} ended with code {code} before it was ready.", "The server's log says why.")
            if time.monotonic() > until:
                hint = "It must answer GET /v2/health/ready with 200; or give it more time by ready_s."
                raise Unavailable(f"{what} was not ready after {self._said.ready_s:g} seconds.", hint)
            time.sleep(POLL_S)

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`. ValueError says what the program refused. When the program has ended, so does this
        process: whoever started it starts both again."""
        from loopline.adapters.runtimes import open_inference

        try:
            return open_inference.inferred(self._door, self._said.model, columns, self._signature)
        except (OSError, ConnectionError):
            raise SystemExit(f"{self._said.command[0]} {self._end()}.") from None

    def close(self) -> None:
        """End the program and all that it started."""
        self._door.close()
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _answers(self) -> bool:
        from loopline.adapters.runtimes import open_inference

        try:
            return open_inference.asked(self._door, "GET", "/v2/health/ready", timeout_s=5.0)[0] == 200
        except (OSError, ConnectionError):
            return False

    def _end(self) -> str:
        try:
            return f"ended with code {self._process.wait(2.0)}"
        except subprocess.TimeoutExpired:
            return "answers no more"


def words(command: tuple[str, ...], folder: Path) -> list[str]:
    """The command with its program found: among the model's files, "python" as this interpreter, or on the PATH."""
    first, own = command[0], folder / command[0]
    if own.is_file() and folder.resolve() in own.resolve().parents:
        own.chmod(0o700)
        return [str(own), *command[1:]]
    found = sys.executable if first == "python" else shutil.which(first)
    if found is None:
        raise Unavailable(f"The program {first!r} is not on this machine.", "Install it where models are served.")
    return [found, *command[1:]]


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's variables without what only Loopline may know."""
    return {**{name: value for name, value in os.environ.items() if name not in SECRET}, **more}


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
