"""kill -9 of the server while four writers log batches: what was acknowledged is there, once and whole, and the next write
is taken within a second."""

from __future__ import annotations

import bisect
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.integration

TOKEN = "compat-token-0123456789"
WRITERS, BATCH = 4, 10
AGAIN_S = 1.0


class Killed:
    """A server that is killed and comes back at the same address."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.home = home
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "loopline", "up", "--json", "--no-browser", "--home", str(self.home)]
        environment = os.environ | {"LOOPLINE_TOKEN": TOKEN}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        ports = ["--port", str(self.port), "--serving-port", "0"]
        self.process = subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, env=environment)

    def kill(self, whole: bool) -> None:
        """The whole installation (and start it anew), or its control plane alone (which is started by itself)."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        if not whole:
            for one in family:
                if "loopline.shells.http" in one.cmdline():
                    one.kill()
            return
        for pid in (self.process.pid, *(one.pid for one in family)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.close()
        self.start()

    def close(self) -> None:
        self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Writer(threading.Thread):
    """Logs batches for ever, each until it is acknowledged, as MLflow's client does."""

    def __init__(self, port: int, place: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.port, self.key, self.stop = port, f"w{place}", stop
        self.run_id = ""
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.acknowledged: list[tuple[int, float]] = []
        self.tried = -1
        self.refused: list[str] = []

    def run(self) -> None:
        self.run_id = self.until_acknowledged("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        while not self.stop.is_set():
            self.tried += 1
            metrics = [
                {"key": f"{self.key}-{place}", "value": 1.0, "timestamp": self.tried, "step": self.tried}
                for place in range(BATCH)
            ]
            if self.until_acknowledged("runs/log-batch", {"run_id": self.run_id, "metrics": metrics}) is not None:
                self.acknowledged.append((self.tried, time.monotonic()))

    def until_acknowledged(self, path: str, fields: dict[str, Any]) -> Any:
        """What the server answers; None when it refuses or the test is over."""
        while not self.stop.is_set():
            try:
                status, content = self.asked(path, json.dumps(fields))
            except (OSError, http.client.HTTPException):
                self.connection.close()
                time.sleep(0.01)
                continue
            if status == 200:
                return json.loads(content)
            if status < 500:
                self.refused.append(content.decode())
                return None
        return None

    def asked(self, path: str, body: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        self.connection.request("POST", f"/api/2.0/mlflow/{path}", body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.torture)], ids=["two kills", "twenty kills"])
def test_acknowledged_batches_survive(kills: int, tmp_path: Path, torture_result: Callable[..., None]) -> None:
    server, stop = Killed(tmp_path / "home"), threading.Event()
    writers = [Writer(server.port, place, stop) for place in range(WRITERS)]
    for one in writers:
        one.start()
    chance, waits = random.Random(7), []
    wait_for(lambda: all(one.acknowledged for one in writers), 20)
    for number in range(kills):
        time.sleep(chance.uniform(0.2, 0.8))
        killed_at = time.monotonic()
        server.kill(whole=number % 2 == 0)
        wait_for(lambda at=killed_at: any(after(one, at + 0.02) for one in writers), 20)
        waits.append(min(after(one, killed_at + 0.02) for one in writers if after(one, killed_at + 0.02)) - killed_at)
        wait_for(lambda at=killed_at: all(after(one, at + 0.02) for one in writers), 20)
    stop.set()
    for one in writers:
        one.join(30)
        one.connection.close()
    found = [kept(tmp_path / "home", server, one) for one in writers]
    server.process.send_signal(signal.SIGTERM)
    server.close()
    acknowledged = sum(len(one.acknowledged) for one in writers)
    lost = sum(
        step not in steps for one, (steps, _) in zip(writers, found, strict=True) for step, _ in one.acknowledged
    )
    torn = sum(torn for _, torn in found)
    torture_result(
        "tracking_kills",
        kills=kills,
        writers=WRITERS,
        acknowledged=acknowledged,
        lost=lost,
        torn=torn,
        next_write_s=max(waits),
    )
    assert not [one.refused for one in writers if one.refused]
    assert (lost, torn) == (0, 0)
    # the middle, and only where nothing else runs: another test may keep both cores busy
    assert kills < 20 or sorted(waits)[len(waits) // 2] <= AGAIN_S


def after(writer: Writer, at: float) -> float:
    """When a writer was acknowledged for the first time after `at`; 0 if it was not."""
    times = [when for _, when in writer.acknowledged[-20_000:]]
    place = bisect.bisect(times, at)
    return times[place] if place < len(times) else 0.0


def kept(home: Path, server: Killed, writer: Writer) -> tuple[set[int], int]:
    """Steps of a writer that are there whole, and how many are torn or there twice."""
    import loopline

    client = loopline.connect(url=f"http://127.0.0.1:{server.port}", token=TOKEN)
    counts: Counter[int] = Counter()
    for place in range(BATCH):
        counts.update(
            one["step"] for one in client.call("tracking.history", run_id=writer.run_id, key=f"{writer.key}-{place}")
        )
    client.close()
    whole = {step for step, count in counts.items() if count == BATCH}
    return whole, len(counts) - len(whole)


def wait_for(true: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "no write was taken in time"
        time.sleep(0.005)
