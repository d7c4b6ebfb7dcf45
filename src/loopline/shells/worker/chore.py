"""The child that evaluates, seals and clears up: `python -m loopline.shells.worker.chore --home DIR`, questions on stdin."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.app.wiring import Loopline, open_home, verb_named
from loopline.core.errors import Invalid, LooplineError
from loopline.core.verbs import Caller, Role
from loopline.kit.processes import die_with_parent

LESS_URGENT = 5
COMPILE_S = 2.0  # then others get their turn


def main() -> None:
    parser = argparse.ArgumentParser(prog="loopline.shells.worker.chore")
    parser.add_argument("--home", required=True)
    arguments = parser.parse_args()
    parent = os.environ.get("LOOPLINE_PARENT")
    die_with_parent(int(parent) if parent else None)
    os.nice(LESS_URGENT)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what libraries print must not look like an answer
        with open_home(Path(arguments.home), create=False) as loopline:
            for line in sys.stdin:
                began = time.process_time()
                answer = answered(loopline, json.loads(line))
                answer["seconds"] = f"{time.process_time() - began:.3f}"
                print(json.dumps(answer), file=answers, flush=True)


def answered(loopline: Loopline, question: dict[str, str]) -> dict[str, str]:
    """Do what is asked; the answer holds the error, if any, in one sentence."""
    try:
        if question["do"] == "seal":
            loopline.serving.seal()
        elif question["do"] == "clear":
            loopline.retention.collect()
            loopline.serving.tidy()
        elif question["do"] == "judge":
            judge(loopline)
        elif question["do"] == "compile":
            loopline.registry.compile_waiting(COMPILE_S)
        else:
            loopline.monitoring.evaluate(question["endpoint"])
            loopline.monitoring.blame_open(question["endpoint"])
    except LooplineError as error:
        return {"error": str(error)}
    except Exception as error:  # one endpoint's trouble is not the others'
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}
    return {"error": ""}


def judge(loopline: Loopline) -> None:
    """Answer what waits. Who does so holds a lock, so that what was begun and is open is known to be lost."""
    with open(loopline.home / "run" / "judge.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        loopline.promotion.answer(lambda *asked: performed(loopline, *asked))


def performed(loopline: Loopline, name: str, fields: Mapping[str, Any], caller: str, role: int) -> Any:
    """A verb that loads models, as who asked for it."""
    verb = verb_named(name)
    if verb.loads is None:
        raise Invalid(f"{name} is not done here.", "Ask for it directly.")
    request = msgspec.convert(fields, verb.request, strict=False)
    return verb.call(loopline.get(name.partition(".")[0]), request, Caller(caller, Role(role)))


if __name__ == "__main__":
    main()
