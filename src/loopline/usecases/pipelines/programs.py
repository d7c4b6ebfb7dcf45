"""A program as the function of a step: lay out its inputs, run it, take in its outputs."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from loopline.core.errors import Invalid
from loopline.ports.executor import scratch
from loopline.usecases.pipelines.formats import file_name, is_parameter, read, usual_format, written
from loopline.usecases.pipelines.model import Code

_SILENT_LINES = ("Execution halted", "Calls: ")  # what R says after its error
_PATIENCE_S = 2.0


class Program:
    """What a command runs, with what. Called with values by name, it answers the value of its output, or of its several
    outputs by name."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        files: Sequence[str],
        root: Path,
    ) -> None:
        self.name = name
        self.words = list(words)
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        self.files = tuple(files)
        self.root = root

    def __call__(self, **values: Any) -> Any:
        folder = workspace()
        self._lay_out(folder, values)
        self._run(folder)
        found = {name: self._output(folder, name, form) for name, form in self.outputs.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    def code(self) -> tuple[Code, dict[str, str]]:
        """What the program is, for the key of its results: see `program_code`."""
        from loopline.usecases.pipelines.program_code import code_of

        return code_of(self)

    def _lay_out(self, folder: Path, values: Mapping[str, Any]) -> None:
        for name in ("inputs", "outputs"):
            (folder / name).mkdir()
        params: dict[str, Any] = {}
        for name, value in values.items():
            form = self.inputs.get(name)
            if form is None and is_parameter(value):
                params[name] = value
                continue
            where = f"The input {name!r} of {self.name}"
            form = form or usual_format(value, where)
            written(value, form, folder / "inputs" / file_name(name, form), where)
        (folder / "params.json").write_text(json.dumps(params), encoding="utf-8")

    def _run(self, folder: Path) -> None:
        variables = {
            "LOOPLINE_INPUTS": str(folder / "inputs"),
            "LOOPLINE_OUTPUTS": str(folder / "outputs"),
            "LOOPLINE_PARAMS": str(folder / "params.json"),
        }
        code, said = watched(self.words, self.root, environment() | variables, self.name)
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise Invalid(f"The command {self.name} {how}{': ' + said if said else ''}.", "Its log may say more.")

    def _output(self, folder: Path, name: str, form: str) -> Any:
        path = folder / "outputs" / file_name(name, form)
        if not (path.is_dir() if form == "folder" else path.is_file()):
            there = ", ".join(sorted(one.name for one in (folder / "outputs").iterdir())) or "nothing"
            raise Invalid(
                f"The command {self.name} did not write its output {name!r} ({path.name}); it wrote {there}.",
                f"Write it to $LOOPLINE_OUTPUTS/{path.name}.",
            )
        return read(path, form, f"The output {name!r} of {self.name}")


def workspace() -> Path:
    """A new folder: inside that of the running call, else one that goes with this process."""
    inside = scratch()
    if inside:
        Path(inside).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="command-", dir=inside))
    folder = tempfile.mkdtemp(prefix="loopline-command-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def environment() -> dict[str, str]:
    """The variables of this process, with its interpreter's programs found first: `python` is this one."""
    place = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([place, os.environ.get("PATH", os.defpath)])}


def watched(words: Sequence[str], folder: Path, variables: Mapping[str, str], name: str) -> tuple[int, str]:
    """Run a program, showing what it prints as it comes; its exit code and the last line of its complaints."""
    try:
        process = subprocess.Popen(
            words, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise Invalid(f"The command {name} cannot run {words[0]}: {error.strerror}.", "Install it.") from None
    complaints: deque[str] = deque(maxlen=20)
    readers = [
        threading.Thread(target=shown, args=(process.stdout, sys.stdout, deque(maxlen=1)), daemon=True),
        threading.Thread(target=shown, args=(process.stderr, sys.stderr, complaints), daemon=True),
    ]
    try:
        for reader in readers:
            reader.start()
        code = process.wait()
        for reader in readers:
            reader.join(_PATIENCE_S)  # what it left running may hold its output open
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return code, telling(complaints)


def shown(pipe: IO[bytes], stream: IO[str], lines: deque[str]) -> None:
    """Show what comes through a pipe, and keep the last lines."""
    with pipe:
        for content in pipe:
            line = content.decode(errors="replace")
            stream.write(line)
            stream.flush()
            lines.append(line.strip())


def telling(lines: Sequence[str]) -> str:
    """The last line that says something, without its full stop."""
    said = [line for line in lines if line and not line.startswith(_SILENT_LINES)]
    return said[-1].rstrip(".") if said else ""
