"""Loopline: a project's pipelines, run in this process; the steps too, so that all is counted in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphs import Node

CODE = """
import os
import time

from loopline import pipeline, step


@step
def link(before: int, number: int) -> int:
    return before + number


@step
def knot(a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int, i: int, j: int, number: int) -> int:
    return (a + b + c + d + e + f + g + h + i + j + number) % 1_000_000_007


@step
def slow(before: int, number: int) -> int:
    note("begin", number)
    time.sleep(0.25)
    note("end", number)
    return before + number


def note(what: str, name: object) -> None:
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{what} {name} {time.time()}\\n")


@pipeline
def chain(size: int = 100, salt: int = 0) -> int:
    total = salt
    for number in range(size):
        total = link(total, number)
    return total


@pipeline(name="slow")
def slow_chain(size: int = 20, salt: int = 0) -> int:
    total = salt
    for number in range(size):
        total = slow(total, number)
    return total


@pipeline
def diamond(size: int = 10, salt: int = 0) -> int:
    above = [link(salt, number) for number in range(10)]
    for layer in range(1, size):
        above = [knot(*above, number) for number in range(10)]
    return knot(*above, 0)
"""


def write_project(folder: Path) -> Path:
    """The project of the graphs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.py").write_text(CODE)
    return folder


class Loopline:
    """An installation of its own. That a step was taken or ran is what the run itself says, and is checked."""

    def __init__(self, place: Path) -> None:
        from loopline.app.wiring import open_home

        self._opened = open_home(place / "home")
        self._folder = write_project(place / "graphs")
        self._place = place

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """The pipeline of that name; tracing it is part of the run."""
        if graph == "edits":
            sys.path.append(str(self._place / "site-packages"))
            return lambda salt, again: self._edits()

        def run(salt: int, again: bool | None) -> None:
            given = {"size": 10 if graph == "diamond" else len(nodes), "salt": salt}
            done = self._opened.pipelines.run(self._folder, graph, given, actor="benchmark", executor="inline")
            wanted = "hit" if again else "ran"
            if done.status != "finished" or (again is not None and done.count(wanted) != len(nodes)):
                raise SystemExit(f"{graph} was not {'taken' if again else 'run'}: {done.error}")

        return run

    def _edits(self) -> None:
        done = self._opened.pipelines.run(self._place / "project", "edits", {}, actor="benchmark", executor="inline")
        if done.status != "finished":
            raise SystemExit(done.error)


open_tool = Loopline
