"""The demo's installation of Loopline: a server of its own, reached as any program would reach it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from story import Story

import loopline

PATIENCE_S = 120.0
FIRST_WEEK = "2013-04-08"  # before it is over nothing can be mature
RELEASE = "training@prod"
LOOPLINE = (sys.executable, "-m", "loopline")


class Installation:
    """Starts `loopline up` on a fresh home; step results of the play before are taken over as a cache."""

    def __init__(self, home: Path, previous: Path, token: str, story: Story) -> None:
        self.home, self.token, self.story = home, token, story
        self._previous = previous
        self._server: subprocess.Popen[str] | None = None
        self._submitted: list[subprocess.Popen[bytes]] = []
        self.link = self.serving_url = self.url = ""
        self.client: Any = None

    def __enter__(self) -> Installation:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        if self.home.exists():
            shutil.rmtree(self._previous, ignore_errors=True)
            self.home.rename(self._previous)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._submitted:
            process.terminate()
        if self.client:
            self.client.close()
        if self._server and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait()

    def start(self, port: int, serving_port: int) -> None:
        """`loopline up`, on free ports when the usual ones are taken."""
        if self._previous.exists():
            self.loopline("cache", "import", str(self._previous))
        begun = time.perf_counter()
        if not self._up(port, serving_port):
            self._up(0, 0)
        self.story.line(f"server ready in {time.perf_counter() - begun:.1f} s", f"pages {self.url}")
        self.client = loopline.connect(url=self.url, token=self.token)

    def _up(self, port: int, serving_port: int) -> bool:
        ports = ("--port", str(port), "--serving-port", str(serving_port))
        command = (*LOOPLINE, "up", "--json", "--no-browser", "--home", str(self.home), *ports)
        environment = os.environ | {"LOOPLINE_TOKEN": self.token}
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        said = self._server.stdout.readline() if self._server.stdout else ""
        if not said:
            return False
        running = json.loads(said)
        self.link, self.serving_url = running["link"], running["serving_url"]
        self.url = self.link.partition("/sign-in")[0]
        return True

    def loopline(self, *arguments: str, folder: Path | None = None) -> Any:
        """A command on the installation's own files; answers what it prints as JSON. SystemExit with its words when it
        fails."""
        command = [*LOOPLINE, *arguments, "--json", "--home", str(self.home)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"`loopline {' '.join(arguments)}` ended with {done.returncode}:\n{done.stderr.strip()}")
        return json.loads(done.stdout or "null")

    def apply(self, project: Path) -> None:
        """`loopline apply` in the project's folder."""
        with self.story.doing("applying loopline.yaml"):
            self.loopline("apply", folder=project)

    def release(self, project: Path) -> None:
        """Seal the pipeline with its tests, and have the release stand in prod: whatever runs by itself runs that."""
        with self.story.doing("testing and sealing the pipeline"):
            release = self.loopline("release", "training", folder=project)
        with self.story.doing("holding the data against the contract, promoting the release to prod"):
            self.snapshot("flights", "weather")
            self.loopline("promote", release["digest"], "--env", "prod")
        self.story.line(f"release {release['digest'][:12]} stands in prod")

    def first_model(self, endpoint: str) -> None:
        """Train on January to March, and wait until what the gate lets through answers."""
        with self.story.doing("training on January to March"):
            run = self.loopline("run", RELEASE)
        self.story.ran(run)
        with self.story.doing("gate, promotion, deployment"):
            self._until(lambda: self.live(endpoint), "the first model to go live")

    def live(self, endpoint: str) -> Any:
        """The live revision of an endpoint, or None."""
        return self.client.call("serving.endpoint", endpoint=endpoint).get("live")

    def snapshot(self, *datasets: str) -> None:
        """Have the server take a snapshot of each dataset, as a schedule would."""
        for name in datasets:
            self.client.call("datasets.snapshot", name=name)

    def caught_up(self, endpoint: str, until: Any) -> None:
        """Let the accelerated clock wait until the monitor has judged what matured by then; at its true speed it would
        have had days."""
        wanted = f"{until:%Y-%m-%d}"
        self._until(lambda: self._judged(endpoint) >= wanted, f"the monitor to reach {wanted}")

    def _judged(self, endpoint: str) -> str:
        windows = self.client.call("monitoring.windows", endpoint=endpoint)
        mature = [window["end"] for window in windows if window["mature"]]
        return max(mature, default=f"{FIRST_WEEK}")

    def submit(self, days: int) -> None:
        """Somebody submits a candidate: `loopline run training@prod` beside the running traffic."""
        params = ("-p", f"days={days}") if days else ()
        command = (*LOOPLINE, "run", RELEASE, *params, "--json", "--home", str(self.home))
        environment = os.environ | {"LOOPLINE_ACTOR": "schedule"}
        log = (self.home / "logs" / f"submitted-{len(self._submitted)}.log").open("wb")
        self._submitted.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def training(self) -> bool:
        """Whether a candidate is being trained or judged just now."""
        if any(process.poll() is None for process in self._submitted):
            return True
        return any(firing["state"] in ("requested", "running") for firing in self.client.call("automation.firings"))

    def settle(self, endpoint: str) -> None:
        """Have what the traffic left behind evaluated, and wait for what follows from it."""
        with self.story.doing("letting the last evaluation and policies finish"):
            time.sleep(0.2)  # the prediction log is flushed at most 100 ms after an answer
            self.client.call("monitoring.evaluate", endpoint=endpoint)
            self._until(lambda: not self.training(), "policies to finish")

    def findings(self, endpoint: str) -> list[tuple[str, str]]:
        """What Loopline itself says of the play, as (name, value) rows."""
        summary = self.client.call("monitoring.summary", endpoint=endpoint)
        windows = self.client.call("monitoring.windows", endpoint=endpoint, column="version")
        alerts = self.client.call("monitoring.alerts", endpoint=endpoint)
        cache = self.client.call("pipelines.cache")
        delay = summary["label_delay"]
        states = Counter(alert["state"] for alert in alerts)
        return [
            *qualities(windows),
            ("label delay", f"p50 {hours(delay['p50_hours'])}, p99 {hours(delay['p99_hours'])} of event time"),
            ("truths joined", f"{summary['labelled']:,} of {summary['predictions']:,} predictions"),
            ("alerts", ", ".join(f"{count} {state}" for state, count in states.items()) or "none"),
            *(("", alert["message"]) for alert in alerts),
            ("cached steps", f"{cache['hits']} taken, {cache['runs']} run, {cache['seconds_saved']:.0f} s saved"),
        ]

    def loopline_text(self, *arguments: str) -> str:
        """What a command prints for people."""
        command = [*LOOPLINE, *arguments, "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def swap_if_none_happened(self, endpoint: str) -> None:
        """When no candidate was promoted, deploy the champion once more: a swap all the same."""
        if len(self.client.call("serving.revisions", endpoint=endpoint)) > 1:
            return
        live = self.live(endpoint)
        self.client.call("serving.deploy", endpoint=endpoint, version=live["version"])
        self._until(lambda: self.live(endpoint)["revision"] != live["revision"], "the champion's second deployment")

    def _until(self, true: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                raise SystemExit(f"Waited {PATIENCE_S:.0f} s for {what}; the logs are in {self.home / 'logs'}.")
            time.sleep(0.1)


def qualities(windows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """AUC of each version over its mature weeks, in the order in which they went live."""
    weeks: dict[str, list[float]] = {}
    for window in windows:
        if window["mature"] and "auc" in window["metrics"]:
            weeks.setdefault(window["value"], []).append(window["metrics"]["auc"])
    return [
        (
            f"AUC of version {version}",
            f"last week {values[-1]:.3f}, mean {sum(values) / len(values):.3f} of {len(values)}",
        )
        for version, values in weeks.items()
    ]


def hours(value: float | None) -> str:
    """Hours, or a word for what is not known yet."""
    return "unknown" if value is None else f"{value:.1f} h"
