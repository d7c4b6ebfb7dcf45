"""In which interpreter the model of a deployment runs: its own environment, built from a lock where it is not this one."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import TYPE_CHECKING

from loopline.core.errors import LooplineError, Unavailable

if TYPE_CHECKING:
    from loopline.app.wiring import Loopline

NEEDED = "loopline.app.wiring, loopline.shells.dataplane.model_process, loopline.usecases.serving.service"
PATIENCE_S = 120.0


def python_of(loopline: Loopline, endpoint: str, revision: int) -> str:
    """The interpreter for a revision; "" is the one that runs this.

    The endpoint's option `release` says it, else the lock among the version's files, else the one with which the step
    was run that made it, else the release that did. Takes as long as building takes: never call it on a loop. Raises
    Unavailable in one sentence when there is none.
    """
    found = loopline.serving.revision(endpoint, revision)
    what = f"{found.model}/{found.version}"
    try:
        lock = lock_of(loopline, found.model, found.version, loopline.serving.options(endpoint).release)
        python: str = "" if lock is None else loopline.environments.python_for(lock)
    except LooplineError as error:
        raise Unavailable(f"The environment of {what} is not to be had: {error.message}", error.hint) from None
    if python:
        missing = lacking(python)
        if missing:
            hint = "Add loopline to what the project needs, and run `loopline lock`."
            raise Unavailable(f"The environment of {what} lacks what serving needs: {missing}", hint)
    return python


def lock_of(loopline: Loopline, model: str, version: int, release: str | None) -> bytes | None:
    """The lock of the environment, or None for this interpreter."""
    if release:
        found: bytes = loopline.releases.lock_text(release)
        return found
    own: bytes | None = loopline.registry.lock_of(model, version)
    if own is not None:
        return own
    made_by = loopline.registry.version(model, version).metadata.get("release")
    return loopline.releases.lock_text(str(made_by)) if made_by else None


@cache
def lacking(python: str) -> str:
    """What an interpreter cannot import of what a model's process needs, in its own words; "" when it has all."""
    try:
        done = subprocess.run(
            [python, "-P", "-c", f"import numpy, {NEEDED}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:300]
    return done.stderr.strip().rpartition("\n")[2][:300] if done.returncode else ""
