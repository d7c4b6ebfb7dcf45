"""Serving side by side with FastAPI: the same scikit-learn model, the same rows, wrk, one run.

    python benchmarks/serving/bench.py [--seconds 5] [--rounds 3]

Makes `.peers/serving` (the peer's own environment) when it is missing; needs `wrk`. The prediction log is on for us.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from model import INPUTS, trained

from loopline.app.wiring import open_home, runtimes
from loopline.core.tables import Column, Signature

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers" / "serving"
PACKAGES = ("fastapi", "uvicorn[standard]", "numpy")
TOKEN = "loop_benchmark-token-0123456789abcdef"
SIGNATURE = Signature(tuple(Column(name, "float") for name in INPUTS), Column("late", "float"))


def peer_python() -> str:
    """The peer's interpreter, with the same scikit-learn as ours."""
    import sklearn

    if not (PEERS / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    python = str(PEERS / "bin" / "python")
    wanted = [*PACKAGES, f"scikit-learn=={sklearn.__version__}"]
    if subprocess.run([python, "-c", "import fastapi, sklearn"], check=False, capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


class Ours:
    """The router and its model process, on a fresh installation."""

    name, path = "Loopline", "/v1/endpoints/late/predict"

    def __init__(self, folder: Path, saved: Path) -> None:
        self.opened = open_home(folder / "home")
        self.opened.access.first(TOKEN)
        digest = self.opened.registry.keep(saved, "sklearn-skops", SIGNATURE)
        self.opened.registry.register("late", digest, "benchmark", {}, None, None, None, {}, "benchmark")
        self.opened.serving.deploy("late", 1, "benchmark", "late")
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        handle = self.listener.fileno()
        command = [
            sys.executable,
            "-m",
            "loopline.shells.dataplane",
            "--home",
            str(folder / "home"),
            "--fd",
            str(handle),
        ]
        self.process = subprocess.Popen(command, pass_fds=[handle])
        self.opened.serving.wait("late", timeout_s=30)

    def check(self, sent: int) -> None:
        """Every answer must be on disk."""
        time.sleep(0.3)
        found = self.opened.serving.read_predictions("late").num_rows
        print(f"logged rows: {found:,} (wrk counted {sent:,}; requests cut off at the end of a round are logged too)")
        if found < sent:
            raise SystemExit("predictions are missing from the log")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(15)
        self.opened.close()
        self.listener.close()


class Peer:
    """FastAPI in its own environment."""

    name, path = "FastAPI + pydantic", "/predict"

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        script = str(Path(__file__).parent / "peers" / "fastapi.py")
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parent),
            "PYTHONSAFEPATH": "1",
        }
        self.process = subprocess.Popen([peer_python(), script, str(self.port), "boosting"], env=environment)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the peer did not start")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(15)


def ask(server: Any, body: bytes) -> float:
    """One prediction."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request(
        "POST", server.path, body, {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    )
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{server.name}: {said}")
    return float(said["predictions"][0])


def family(server: Any) -> list[psutil.Process]:
    """The server's processes."""
    first = psutil.Process(server.process.pid)
    return [first, *first.children()]


def busy(server: Any) -> float:
    """CPU seconds that the server's processes have used."""
    times = [process.cpu_times() for process in family(server)]
    return sum(each.user + each.system for each in times)


def storm(server: Any, script: Path, connections: int, seconds: int) -> tuple[float, float, float, float, int]:
    """(requests/s, p50 and p99 in microseconds, CPU microseconds a request, requests) of one round of wrk.

    Where other programs share the machine, trust the CPU time: it does not count waiting for a core.
    """
    url = f"http://127.0.0.1:{server.port}{server.path}"
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}",
        "--timeout",
        "30s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    before = busy(server)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = busy(server) - before
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{server.name}: {said}")
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", said)[1])  # type: ignore[index]
    count = int(re.search(r"([0-9]+) requests in", said)[1])  # type: ignore[index]
    times = [re.search(rf"{place}%\s+([0-9.]+)(us|ms|s)", said) for place in (50, 99)]
    p50, p99 = (float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]] for found in times)  # type: ignore[index]
    return rate, p50, p99, spent / count * 1e6, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    model, rows = trained()
    row = rows[17]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "model").mkdir()
        runtimes()["sklearn-skops"].save(model, folder / "model")
        body = json.dumps({"rows": [dict(zip(INPUTS, row.tolist(), strict=True))]}).encode()
        script = folder / "ask.lua"
        lines = ['wrk.method = "POST"', f"wrk.body = [[{body.decode()}]]", 'wrk.headers["Content-Type"] = "application/json"',
                 f'wrk.headers["Authorization"] = "Bearer {TOKEN}"']  # fmt: skip
        script.write_text("\n".join(lines))
        ours, peer = Ours(folder, folder / "model"), Peer()
        try:
            compare(ours, peer, body, script, asked, float(model.predict_proba(row[None])[0, 1]))
        finally:
            peer.close()
            ours.close()


def compare(ours: Ours, peer: Peer, body: bytes, script: Path, asked: argparse.Namespace, expected: float) -> None:
    """Rounds in turn, so that the machine's moods reach both."""
    for server in (ours, peer):
        if ask(server, body) != expected:
            raise SystemExit(f"{server.name} answers {ask(server, body)}, the model says {expected}")
        storm(server, script, 8, 1)
    print(f"scaler + gradient boosting (100 trees), 15 inputs, 1 row a request, wrk -t1, {os.cpu_count()} cores")
    sent = 0
    for connections in (1, 32):
        found: dict[str, list[Any]] = {ours.name: [], peer.name: []}
        for _ in range(asked.rounds):
            for server in (ours, peer):
                found[server.name].append(storm(server, script, connections, asked.seconds))
        middle = {
            name: [statistics.median(column) for column in zip(*rounds, strict=True)] for name, rounds in found.items()
        }
        sent += sum(each[4] for each in found[ours.name])
        print(f"{connections} connections")
        for name, (rate, p50, p99, cpu, _) in middle.items():
            print(
                f"  {name:<20}{rate:>9,.0f} requests/s  p50 {p50:>7,.0f} us  p99 {p99:>8,.0f} us  CPU {cpu:>5,.0f} us/request"
            )
        us, other = middle[ours.name], middle[peer.name]
        print(
            f"  requests/s {us[0] / other[0]:.1f} x, p50 {us[1] / other[1]:.2f} x, CPU a request 1/{other[3] / us[3]:.1f}"
        )
    for server in (ours, peer):
        told = (f"{each.memory_full_info().pss / 1e6:.0f} MB" for each in family(server))
        print(f"memory (PSS) {server.name:<20}", *told)
    ours.check(sent)


if __name__ == "__main__":
    main()
