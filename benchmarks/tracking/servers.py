"""The servers that are measured: ours, MLflow's own, and one that answers every request with `{}`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "compat"))

import peers  # noqa: E402

TOKEN = "benchmark-token-0123456789"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}


class Server:
    """A running server. `cold_s` is from starting the process to its first answer."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.token = TOKEN if name == "loopline" else ""
        began = time.perf_counter()
        self.process, self.url = {"loopline": self._ours, "mlflow": self._mlflow, "null": self._null}[name]()
        self._until_answers(began)
        self.cold_s = time.perf_counter() - began

    def _ours(self) -> tuple[subprocess.Popen[Any], str]:
        port = free_port()
        command = [sys.executable, "-m", "loopline", "up", "--no-browser", "--home", str(self.folder / "home")]
        command += ["--port", str(port), "--serving-port", "0"]
        return self._started(command, {"LOOPLINE_TOKEN": TOKEN}), f"http://127.0.0.1:{port}"

    def _mlflow(self) -> tuple[subprocess.Popen[Any], str]:
        port = free_port()
        command = [
            peers.python_of("mlflow-3"),
            "-m",
            "mlflow",
            "server",
            "--port",
            str(port),
        ]  # its own default of workers
        command += [
            "--backend-store-uri",
            f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination",
            f"{self.folder}/artifacts",
        ]
        return self._started(command, QUIET), f"http://127.0.0.1:{port}"

    def _null(self) -> tuple[subprocess.Popen[Any], str]:
        port = free_port()
        return self._started(
            [sys.executable, str(Path(__file__).parent / "null_server.py"), str(port)], {}
        ), f"http://127.0.0.1:{port}"

    def _started(self, command: list[str], more: dict[str, str]) -> subprocess.Popen[Any]:
        environment = {**os.environ, **more}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with open(self.folder / f"{self.name}.log", "ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env=environment, start_new_session=True
            )

    def _until_answers(self, began: float) -> None:
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    return
            except OSError:
                if time.perf_counter() - began > 120 or self.process.poll() is not None:
                    raise RuntimeError((self.folder / f"{self.name}.log").read_text()[-2000:]) from None
                time.sleep(0.01)

    def memory_mb(self) -> tuple[float, int]:
        """Proportional memory of all its processes, and how many there are."""
        import psutil

        top = psutil.Process(self.process.pid)
        family = [top, *top.children(recursive=True)]
        return sum(pss(one.pid) for one in family) / 1024, len(family)

    def cpu_s(self) -> float:
        """CPU seconds that all its processes have used so far: what a busy machine cannot distort."""
        import psutil

        top = psutil.Process(self.process.pid)
        times = [one.cpu_times() for one in (top, *top.children(recursive=True))]
        return sum(one.user + one.system for one in times)

    def settle(self, within_s: float = 90.0) -> None:
        """Wait until it has warmed up: answering already, a server may still be starting workers on both cores."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            before = self.cpu_s()
            time.sleep(2)
            if self.cpu_s() - before < 0.1:
                return

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def ask(self, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
        """One request of the protocol, without the stock client."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        body = None if fields is None else json.dumps(fields).encode()
        request = urllib.request.Request(f"{self.url}/api/2.0/mlflow/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())


def pss(pid: int) -> float:
    """A process's share of memory in KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("Pss:"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
