"""A real `loopline up` for a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest

import loopline

TOKEN = "journey-token-0123456789"
PARTS = {"loopline.shells.http": "control", "loopline.shells.dataplane": "data", "loopline.shells.worker": "worker"}


class Up:
    """A running installation."""

    def __init__(self, home: Path, *more: str) -> None:
        self.home = home
        self.begun = time.perf_counter()
        command = [sys.executable, "-m", "loopline", "up", "--json", "--no-browser", "--home", str(home)]
        environment = os.environ | {"LOOPLINE_TOKEN": TOKEN}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--serving-port", "0", *more], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, f"loopline up ended with {self.process.wait()}"
        self.ready_s = time.perf_counter() - self.begun
        running = json.loads(said)
        self.link, self.serving_url = running["link"], running["serving_url"]
        self.url = self.link.partition("/sign-in")[0]

    @cached_property
    def client(self) -> Any:
        return loopline.connect(url=self.url, token=TOKEN)

    def children(self) -> dict[str, psutil.Process]:
        """The supervised processes by name."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except psutil.NoSuchProcess:  # killed a moment ago, and not yet buried
                continue
            found |= {part: child for module, part in PARTS.items() if module in words}
        return found

    def family(self) -> list[psutil.Process]:
        """All processes, the supervisor first."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def stop(self) -> int:
        if "client" in self.__dict__:
            self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return self.process.wait(15)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts installations; ends them with the test."""
    started: list[Up] = []

    def start(home: Path | None = None, *more: str) -> Up:
        started.append(Up(home or tmp_path / "home", *more))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `true` answers as soon as it is truthy; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return answer


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until
