"""Runs a file of business rules once, with its tests, in a process that is good for nothing else.

A script that needs the standard library alone: source on standard input, one JSON document on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import types
from typing import Any

NAME = "rules"


def main() -> None:
    """Read, try, tell."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(tried(sys.stdin.read()), answers)
    answers.flush()
    os._exit(0)  # whatever the rules started


def tried(source: str) -> dict[str, Any]:
    """What the file brings; `problem` says why it cannot be taken."""
    module = types.ModuleType(NAME)
    sys.modules[NAME] = module
    try:
        exec(compile(source, NAME, "exec"), module.__dict__)  # noqa: S102
    except BaseException as error:
        return {"problem": f"it cannot be run: {said(error, source)}"}
    found = vars(module)
    tests = [name for name, value in found.items() if name.startswith("test_") and callable(value)]
    for name in tests:
        try:
            found[name]()
        except BaseException as error:
            return {"problem": f"its test {name} fails: {said(error, source)}"}
    return {
        **{name: callable(found.get(name)) for name in ("before", "after")},
        **{name: plain(found.get(name)) for name in ("inputs", "output")},
        "tests": tests,
    }


def plain(value: Any) -> Any:
    """A declaration as JSON has it; what it cannot have, as text."""
    try:
        return json.loads(json.dumps(value, default=str, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return repr(value)[:200]


def said(error: BaseException, source: str) -> str:
    """The error and where in the file it arose."""
    told = f"{type(error).__name__}: {error}".strip(": ")
    if isinstance(error, SyntaxError):
        return told
    places = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == NAME]
    if not places or places[-1] is None:
        return told
    lines = source.splitlines()
    line = lines[places[-1] - 1].strip() if places[-1] <= len(lines) else ""
    return f"{told} (line {places[-1]}: {line})"


if __name__ == "__main__":
    main()
