"""`loopline logs`: what the steps of a run printed, also while it runs, here or on a server."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from loopline.core.errors import NotFound
from loopline.usecases.pipelines.screen import clean

POLL_S = 0.5


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("step", default="")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.pass_obj
def logs(obj: Any, run_id: str, step: str, follow: bool) -> None:
    """Print what the steps of RUN printed, or STEP alone; with --follow as it comes, until the run has ended.

    Steps from the cache printed nothing in this run: name one to see what it printed when it ran.
    """
    heard = Heard(obj.client.call, run_id, step)
    printed: dict[str, str] = {}
    while True:
        for label, text in heard.news():
            printed[label] = printed.get(label, "") + text
            if not obj.json:
                show(label, text, alone=bool(step))
        if not follow or heard.run["status"] != "running":
            break
        time.sleep(POLL_S)
    if obj.json:
        told = [{"step": label, "log": text} for label, text in printed.items()]
        obj.show({"run_id": heard.run["run_id"], "status": heard.run["status"], "logs": told})
    elif not printed:
        click.echo("Nothing was printed." if heard.run["status"] != "running" else "Nothing printed yet.", err=True)
    elif follow:
        click.echo(f"{heard.run['pipeline']} {heard.run['status']}. {heard.run['error']}".rstrip(), err=True)


class Heard:
    """The logs of a run as far as they were heard. `run` is how it stood when it was last looked at."""

    def __init__(self, call: Any, run_id: str, step: str) -> None:
        self.run: Mapping[str, Any] = call("pipelines.get", run_id=run_id)
        self._call = call
        self._step = step
        self._known: dict[str, int] = {}
        self._over: set[str] = set()
        self._looked = False

    def news(self) -> Iterator[tuple[str, str]]:
        """What was printed since, by step: whole lines as long as the step runs."""
        if self._looked:
            self.run = self._call("pipelines.get", run_id=self.run["run_id"])
        self._looked = True
        for step in self._wanted():
            text = self._call("pipelines.log", run_id=self.run["run_id"], step=step["label"])["log"]
            new = self._new(step["label"], text, step["status"] != "running")
            if new:
                yield step["label"], new

    def _wanted(self) -> list[Mapping[str, Any]]:
        steps = [one for one in self.run["steps"] if one["label"] not in self._over]
        if self._step:
            named = [one for one in self.run["steps"] if self._step in (one["label"], one["step"])]
            if not named and not self._waits():
                there = ", ".join(one["label"] for one in self.run["steps"][:40])
                raise NotFound(f"The run {self.run['run_id'][:8]} has no step {self._step!r}.", f"It has {there}.")
            return [one for one in named[:1] if one["label"] not in self._over]
        return [one for one in steps if one["log"] or one["status"] == "running"]

    def _waits(self) -> bool:
        """Whether the step is one that has not begun yet."""
        if self.run["status"] != "running":
            return False
        nodes = self._call("pipelines.graph", run_id=self.run["run_id"])["nodes"]
        of_map = self._step.partition("[")[0]
        return any(of_map in (node["label"], node["step"]) for node in nodes)

    def _new(self, label: str, text: str, ended: bool) -> str:
        known = self._known.get(label, 0)
        new = text[known:] if len(text) >= known else text  # a further attempt prints from the start
        if ended:
            self._over.add(label)
        else:
            new = new[: new.rfind("\n") + 1]
        self._known[label] = (known if len(text) >= known else 0) + len(new)
        return new


def show(label: str, text: str, alone: bool) -> None:
    """Print a step's lines, after its label unless it is the only one asked for."""
    head = "" if alone else click.style(f"{label} | ", fg="cyan") if sys.stdout.isatty() else f"{label} | "
    for line in text.splitlines():
        click.echo(f"{head}{clean(line)}")
