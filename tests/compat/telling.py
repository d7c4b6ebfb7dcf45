"""Runs stories with the stock client of whichever environment runs this, and prints what the server answered.

    python telling.py URI STORY…        one JSON document on stdout: {story: {"said": {…}, "error": null or text}}

Part of the peers' environments: standard library and mlflow only. What differs from one server to the next (ids, times, the
address, random names) is told by placeholders, so that the answers of two servers can be compared field by field.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import os
import re
import sys
import traceback
import warnings
from pathlib import Path

ID = re.compile(r"\b(m-|tr-|s-|d-)?[0-9a-f]{32}\b")
WORDS = re.compile(r"\b[a-z]+-[a-z]+-\d{1,3}\b")
TIME = 1_500_000_000_000
STORIES = Path(__file__).parent / "stories"


class Say:
    """Collects answers: `say("name", value)`; `say.refused("name", call)` tells how a call was refused."""

    def __init__(self, uri):
        self.said = {}
        self._uri = uri
        self._ids = {}

    def __call__(self, name, value):
        assert name not in self.said, f"{name} was said already"
        self.said[name] = self.plain(value)

    def refused(self, name, call):
        """The error code that a call was refused with."""
        try:
            found = call()
        except Exception as error:
            code = getattr(error, "error_code", type(error).__name__)
            self(name, {"refused": code})
        else:
            self(name, {"accepted": type(found).__name__})

    def ask(self, name, call):
        """What a call answers, or how it was refused."""
        try:
            found = call()
        except Exception as error:
            found = {"refused": getattr(error, "error_code", type(error).__name__)}
        self(name, found)

    def plain(self, value):
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, dict):
            return {self.plain(str(key)): self.plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.plain(one) for one in value]
        if isinstance(value, int):
            return "<time>" if value > TIME else value
        if isinstance(value, float):
            return repr(value) if not math.isfinite(value) else float(f"{value:.9g}")
        return self.text(str(value))

    def text(self, value):
        value = value.replace(self._uri, "<server>")
        value = re.sub(r"^(loopline|mlflow-artifacts):/", "artifacts:/", value)  # the plug-in's name for the same place
        value = ID.sub(
            lambda match: self._ids.setdefault(match[0], f"<{match[1] or ''}id {len(self._ids) + 1}>"), value
        )
        return WORDS.sub("<words>", value)


def tell(uri, names):
    """The stories in turn, each with a clean client."""
    import mlflow

    answers = {}
    for name in names:
        say, error = Say(uri), None
        try:
            spec = importlib.util.spec_from_file_location(f"story_{name}", STORIES / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.story(say)
        except Exception:
            error = traceback.format_exc()[-4000:].replace(uri, "<server>")
        while mlflow.active_run():
            mlflow.end_run()
        answers[name] = {"said": say.said, "error": error}
    return answers


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    out, sys.stdout = sys.stdout, sys.stderr  # the client prints links to runs
    os.environ["MLFLOW_TRACKING_URI"] = sys.argv[1]
    json.dump(tell(sys.argv[1], sys.argv[2:]), out, indent=1)
