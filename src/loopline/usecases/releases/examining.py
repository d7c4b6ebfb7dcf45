"""A project's tests, run on the sealed files alone in the release's environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from loopline.core.errors import CheckFailed, Invalid
from loopline.usecases.releases.model import Case, Outcomes

FOLDER = "tests"
PATIENCE_S = 3600.0
KEPT_OUT = ("LOOPLINE_URL", "LOOPLINE_TOKEN", "LOOPLINE_HOME", "PYTHONPATH", "PYTEST_ADDOPTS", "VIRTUAL_ENV")


class Examination:
    """One run of the tests, which another thread may stop."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self.late = False

    def run(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the tests; end them and all that they started when they hang or this thread is interrupted."""
        with self._guard:
            self._process = process
        if self._stopped:
            self.stop()
        limit = threading.Timer(PATIENCE_S, self._too_late)
        limit.daemon = True
        limit.start()
        try:
            process.wait()
        finally:
            limit.cancel()
            self.stop()

    def stop(self) -> None:
        """End the tests now; those that have not begun will not."""
        with self._guard:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _too_late(self) -> None:
        self.late = True
        self.stop()


class Said(msgspec.Struct):
    """What the process that ran the tests wrote."""

    code: int
    cases: tuple[Case, ...]


def examined(
    files: Mapping[str, bytes], python: str, scratch: Path, at: str, examination: Examination | None = None
) -> Outcomes:
    """The outcome of every test in tests/, run in a copy of these files that is thrown away.

    `python` is the interpreter ("": this one). Raises CheckFailed when there is none, one fails or none passes.
    """
    refuse_without_tests(files)
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep(scratch)
    copy = Path(tempfile.mkdtemp(prefix="tests-", dir=scratch))
    try:
        for name, content in files.items():
            (copy / "project" / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / "project" / name).write_bytes(content)
        return judged(*performed(copy, python, examination or Examination()), at)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def refuse_without_tests(files: Mapping[str, bytes]) -> None:
    """CheckFailed when no file could hold a test."""
    if not any(name.startswith(f"{FOLDER}/") and name.endswith(".py") for name in files):
        raise CheckFailed("The project has no tests.", "Write some in tests/: only what was tested is sealed.")


def sweep(scratch: Path) -> None:
    """Remove the copies that killed processes left, once no tests could still be running in them."""
    for copy in scratch.glob("tests-*"):
        with contextlib.suppress(OSError):
            if copy.stat().st_mtime < time.time() - 2 * PATIENCE_S:
                shutil.rmtree(copy, ignore_errors=True)


def performed(copy: Path, python: str, examination: Examination) -> tuple[Said, str, float]:
    """Run pytest on copy/project; answers what it noted, the end of what it printed, and the seconds."""
    report, began = copy / "report.json", time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in KEPT_OUT}
    environment |= {"LOOPLINE_HOME": str(copy / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    if not python and "PYTHONPATH" in os.environ:  # this interpreter may find Loopline there
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    command = [python or sys.executable, "-m", "loopline.usecases.releases.tests_run"]
    command += [str(report), str(os.getpid()), FOLDER]
    with open(copy / "printed", "wb") as printed:
        process = subprocess.Popen(
            command, cwd=copy / "project", env=environment, stdout=printed, stderr=printed, start_new_session=True
        )
        examination.run(process)
    if examination.late:
        raise CheckFailed("The tests did not end within an hour.", "See which one hangs: `pytest tests -v`.")
    said = (copy / "printed").read_text(errors="replace")
    if not report.is_file():
        last = (said.strip().splitlines() or [""])[-1].strip(" .")
        raise CheckFailed(
            f"The tests could not be run: pytest ended with {ending(process.returncode)} and without a report"
            f"{f' ({last[:300]})' if last else ''}.",
            "`pytest tests` shows the whole of it.",
        )
    return msgspec.json.decode(report.read_bytes(), type=Said), said, time.monotonic() - began


def ending(code: int) -> str:
    """An exit code, or the signal that ended a process."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def judged(said: Said, printed: str, seconds: float, at: str) -> Outcomes:
    """The outcomes; CheckFailed names the tests that failed."""
    found = Outcomes(
        cases=said.cases, seconds=seconds, at=at, python=f"{sys.version_info.major}.{sys.version_info.minor}"
    )
    failed = [case for case in found.cases if case.outcome == "failed"]
    if failed:
        names = ", ".join(case.name for case in failed[:3]) + (" and more" if len(failed) > 3 else "")
        lines = failed[0].message.strip().splitlines() or [""]
        last = next((line[1:].strip() for line in lines if line.startswith("E ")), lines[-1])  # pytest marks the reason
        raise CheckFailed(
            f"{len(failed)} of {len(found.cases)} tests failed in the release's environment: {names} ({last[:200]}).",
            "Nothing was sealed. Mend them, then run `loopline release` again.",
        )
    if not found.count("passed"):
        raise CheckFailed("No test of the project passed, because none ran.", "Write some in tests/.")
    if said.code:
        last = (printed.strip().splitlines() or [""])[-1]
        raise CheckFailed(f"pytest ended with exit code {said.code}: {last[:300]}", "`pytest tests` shows why.")
    return found


def reopened(content: bytes) -> Outcomes:
    """A report as it was kept; Invalid for what is none."""
    try:
        return msgspec.json.decode(content, type=Outcomes)
    except msgspec.DecodeError:
        raise Invalid("The kept report of the tests is damaged.", "Run them again with --tests-again.") from None
