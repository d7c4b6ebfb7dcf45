"""Many deaths of programs that log and of the server that they log to: what was said is there, once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import loopline
from loopline.usecases.tracking import spool

pytestmark = pytest.mark.torture
ROUNDS = 60
PROGRAM = """
import loopline
with loopline.run("killed") as run:
    print(run.id, flush=True)
    for step in range(10_000_000):
        run.log(loss=1.0, step=step)
        if step % 50 == 0:
            print(step, flush=True)
"""


class Server:
    """`loopline up` that can be killed and started again at the same address."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._file = Path(environment["LOOPLINE_HOME"], "run", "server.json")
        self._port = "0"
        self.start()

    def start(self) -> None:
        self._file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "loopline", "up", "--no-browser", "--serving-port", "0", "--port", self._port]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        until = time.monotonic() + 60
        while not self._file.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        self.url: str = json.loads(self._file.read_text())["url"]
        self._port = self.url.rpartition(":")[2]

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def test_what_was_said_before_any_death_is_there_once(tmp_path: Path, torture_result: Callable[..., None]) -> None:
    draw, said, kept = random.Random(20), 0, 0
    environment = os.environ | {
        "LOOPLINE_HOME": str(tmp_path / "home"),
        "LOOPLINE_SPOOL": str(tmp_path / "spool"),
        "LOOPLINE_TOKEN": "t" * 40,
    }
    server = Server(environment)
    program = environment | {"LOOPLINE_URL": server.url}
    last: dict[str, int] = {}
    try:
        for number in range(ROUNDS):
            process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=program, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            run_id = process.stdout.readline().strip()
            time.sleep(draw.uniform(0.05, 0.8))
            if number % 3 == 0:
                server.kill()
                time.sleep(draw.uniform(0.0, 0.5))
            process.kill()
            last[run_id] = int((process.stdout.read().split() or ["-1"])[-1])
            process.wait()
            process.stdout.close()
            if number % 3 == 0:
                server.start()
        client = loopline.connect(url=server.url, token="t" * 40)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LOOPLINE_SPOOL", environment["LOOPLINE_SPOOL"])
            assert spool.synced(client).waiting == 0
        for run_id, step in last.items():
            steps = [one["step"] for one in client.call("tracking.history", run_id=run_id, key="loss")]
            assert steps == list(range(len(steps)))
            assert len(steps) > step
            assert client.call("tracking.get", run_id=run_id)["status"] == "killed"
            said, kept = said + step + 1, kept + len(steps)
        client.close()
    finally:
        server.kill()
    torture_result("logging", rounds=ROUNDS, server_kills=-(-ROUNDS // 3), said=said, kept=kept, lost=0, twice=0)
