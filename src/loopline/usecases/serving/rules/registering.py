"""Taking a file of rules: its tests run in a process of their own, never here."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import CheckFailed, Invalid
from loopline.usecases.serving.rules.model import LARGEST, Declared, columns

TRYING = Path(__file__).with_name("trying.py")
PATIENCE_S = 30.0
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


class Tried(msgspec.Struct, frozen=True):
    """What the process says of the file: see `trying.tried`."""

    problem: str = ""
    before: bool = False
    after: bool = False
    tests: tuple[str, ...] = ()
    inputs: Any = None
    output: Any = None


def declared(name: str, source: str) -> Declared:
    """What the file brings, once its tests have passed. Invalid for what is no file of rules, CheckFailed for a test
    that fails."""
    if len(source.encode()) > LARGEST:
        raise Invalid(f"The rules {name!r} are larger than {LARGEST >> 10} KB.", "Rules are small; a model is no rule.")
    found = tried(name, source)
    problem = found.get("problem", "")
    if problem:
        kind = CheckFailed if problem.startswith("its test") else Invalid
        raise kind(f"The rules {name!r} are not taken: {problem[:500]}.", "Mend the file and put it again.")
    if not (found["before"] or found["after"]):
        raise Invalid(
            f"The rules {name!r} have neither before(rows) nor after(rows, predictions).", "Write one of them."
        )
    inputs = None if found["inputs"] is None else columns(found["inputs"], "inputs")
    outputs = None if found["output"] is None else columns(found["output"], "output")
    if outputs is not None and len(outputs) != 1:
        raise Invalid(f"The rules {name!r} declare {len(outputs)} outputs.", 'Declare one, as {"price": "float"}.')
    if inputs is not None and not found["before"]:
        raise Invalid(f"The rules {name!r} declare inputs and have no before(rows).", "It makes the model's inputs.")
    if outputs is not None and not found["after"]:
        raise Invalid(f"The rules {name!r} declare an output and have no after(rows, predictions).", "It gives it.")
    return Declared(
        before=found["before"], after=found["after"], tests=tuple(found["tests"]), inputs=inputs,
        output=outputs[0] if outputs else None,
    )  # fmt: skip


def tried(name: str, source: str) -> dict[str, Any]:
    """What the file says when it is run with its tests. CheckFailed when that does not end."""
    environment = {key: os.environ[key] for key in KEPT if key in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", str(TRYING)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment, cwd=folder, start_new_session=True,
        )  # fmt: skip
        with process:
            try:
                said = process.communicate(source.encode(), timeout=PATIENCE_S)[0]
            except subprocess.TimeoutExpired:
                raise CheckFailed(
                    f"The rules {name!r} are not taken: their tests were not done after {PATIENCE_S:g} seconds.",
                    "Rules are quick.",
                ) from None
            finally:  # also what the rules started
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    try:
        return msgspec.structs.asdict(msgspec.json.decode(said, type=Tried))
    except msgspec.DecodeError:
        return {"problem": f"it ended the process that ran it (code {process.returncode}), or wrote into its answer"}
