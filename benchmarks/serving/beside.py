"""Serving beside all peers: the same models, the same rows, wrk, one run.

    python benchmarks/serving/beside.py [--seconds 3] [--only loopline,fastapi] [--kinds boosting] [--json FILE]

Each server runs alone, one after the other, Loopline at the beginning and at the end, so that the machine's moods show.
Every peer has an environment of its own under `.peers/` (made when it is missing); needs `wrk`, and `nginx` for its limit.
Loopline keeps its prediction log (fsync within 100 ms); no peer keeps any.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import psutil
from model import INPUTS, KINDS, MODEL_FILE, trained

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOKEN = "loop_benchmark-token-0123456789abcdef"
PATIENCE_S = 90.0
SHAPES = ((1, 1), (1, 32), (100, 1), (100, 32))  # rows a request, connections


def plain(rows: list[list[float]]) -> Any:
    return {"rows": [dict(zip(INPUTS, row, strict=True)) for row in rows]}


def tensor(rows: list[list[float]]) -> Any:
    flat = [value for row in rows for value in row]
    data = {"name": "x", "shape": [len(rows), len(INPUTS)], "datatype": "FP64", "data": flat}
    return {"inputs": [data], "outputs": [{"name": "predict_proba"}]}


def predictions(said: Any) -> list[float]:
    """Probabilities of class 1, however they are answered."""
    if "outputs" in said:
        values = said["outputs"][0]["data"]
        return values[1::2]
    return [value[1] if isinstance(value, list) else value for value in said["predictions"]]


@dataclass(frozen=True)
class Side:
    """A server: its environment, packages, how it is started, where and how it is asked."""

    name: str
    path: str = "/predict"
    environment: str = ""
    packages: tuple[str, ...] = ()
    form: Callable[[list[list[float]]], Any] = plain
    arguments: tuple[str, ...] = ()
    script: str = ""
    constant: bool = False


SIDES = {
    "loopline": Side("Loopline", "/v1/endpoints/late/predict"),
    "inline": Side("Loopline, in process", "/v1/endpoints/late/predict"),
    "fastapi": Side("FastAPI + pydantic", environment="serving", packages=("fastapi", "uvicorn[standard]"), script="fastapi.py"),
    "mlserver": Side("MLServer", "/v2/models/late/infer", "serving-mlserver", ("mlserver", "mlserver-sklearn"), tensor,
                     script="mlserver.py"),
    "mlserver-default": Side("MLServer, its default", "/v2/models/late/infer", "serving-mlserver",
                             ("mlserver", "mlserver-sklearn"), tensor, ("1",), "mlserver.py"),
    "litserve": Side("LitServe", environment="serving-litserve", packages=("litserve",), script="litserve.py"),
    "mlflow": Side("MLflow", "/invocations", "serving-mlflow", ("mlflow==3.17.2", "fastapi", "uvicorn"),
                   lambda rows: {"inputs": rows}, script="mlflow.py"),
    "bentoml": Side("BentoML", environment="serving-bentoml", packages=("bentoml",), script="bento.py"),
    "rayserve": Side("Ray Serve", environment="serving-rayserve", packages=("ray[serve]",), script="rayserve.py"),
    "bare": Side("bare uvloop, a constant", script="bare.py", constant=True),
    "nginx": Side("nginx, a constant", constant=True),
}  # fmt: skip


def python_of(side: Side) -> str:
    """The side's interpreter, with the same scikit-learn as ours."""
    if not side.environment:
        return sys.executable
    import sklearn

    folder = ROOT / ".peers" / side.environment
    if not (folder / "bin" / "python").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        wanted = [*side.packages, f"scikit-learn=={sklearn.__version__}"]
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(folder / "bin" / "python"), *wanted], check=True)
    return str(folder / "bin" / "python")


@dataclass
class Running:
    """A started server."""

    side: Side
    port: int
    process: subprocess.Popen[bytes]
    started: float
    close: Callable[[], None] = field(default=lambda: None)

    def family(self) -> list[psutil.Process]:
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def busy(self) -> float:
        times = [process.cpu_times() for process in self.family()]
        return sum(each.user + each.system for each in times)

    def memory(self) -> float:
        """Megabytes of PSS."""
        return sum(process.memory_full_info().pss for process in self.family()) / 1e6

    def stop(self) -> None:
        for process in reversed(self.family()):
            process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(self.family() if self.process.poll() is None else [], timeout=10)
        for process in alive:
            process.kill()
        self.process.wait(20)
        self.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def ours(kind: str, folder: Path, mode: str) -> Callable[[], Running]:
    """An installation with the model registered and deployed; what starts its router."""
    from loopline.app.wiring import open_home, runtimes
    from loopline.core.tables import Column, Signature

    signature = Signature(tuple(Column(name, "float") for name in INPUTS), Column("late", "float"))
    (folder / "model").mkdir(parents=True)
    runtimes()["sklearn-skops"].save(trained(kind)[0], folder / "model")
    opened = open_home(folder / "home")
    opened.access.first(TOKEN)
    digest = opened.registry.keep(folder / "model", "sklearn-skops", signature)
    opened.registry.register("late", digest, "benchmark", {}, None, None, None, {}, "benchmark")
    compiled = getattr(opened.registry, "compile", None)
    if compiled is not None:
        compiled("late", 1, "benchmark")
    opened.serving.deploy("late", 1, "benchmark", "late")
    if mode != "process":
        opened.serving.configure("late", {"mode": mode}, "benchmark")

    def start() -> Running:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        handle = listener.fileno()
        command = [
            sys.executable,
            "-m",
            "loopline.shells.dataplane",
            "--home",
            str(folder / "home"),
            "--fd",
            str(handle),
        ]
        began = time.monotonic()
        process = subprocess.Popen(command, pass_fds=[handle])

        def close() -> None:
            listener.close()
            opened.close()

        made = Running(
            SIDES["loopline" if mode == "process" else "inline"], listener.getsockname()[1], process, began, close
        )
        made.logged = lambda: opened.serving.read_predictions("late").num_rows  # type: ignore[attr-defined]
        return made

    return start


def started(name: str, kind: str, folder: Path) -> Running:
    """The server of that name with that model."""
    side = SIDES[name]
    if name in ("loopline", "inline"):
        return ours(kind, folder, "process" if name == "loopline" else "inline")()
    port = free_port()
    if name == "nginx":
        (folder / "nginx.conf").write_text((HERE / "peers" / "nginx.conf").read_text().replace("PORT", str(port)))
        command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    else:
        command = [python_of(side), str(HERE / "peers" / side.script), str(port), kind, *side.arguments]
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAY_DISABLE_IMPORT_WARNING": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE / "peers")] if name in ("bentoml",) else [str(HERE)]),
        "PYTHONSAFEPATH": "1",
    }  # fmt: skip
    environment[MODEL_FILE] = str(folder / "model.joblib")
    joblib.dump(trained(kind)[0], folder / "model.joblib")
    began = time.monotonic()
    log = open(folder / "log", "wb")  # noqa: SIM115
    with log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    return Running(side, port, process, began)


def ask(server: Running, rows: list[list[float]]) -> Any:
    """One request; its answer, or None while nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        connection.request("POST", server.side.path, json.dumps(server.side.form(rows)), headers)
        answer = connection.getresponse()
        said = answer.read()
        return json.loads(said) if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def first_answer(server: Running, rows: list[list[float]]) -> float:
    """Seconds until the first right answer."""
    while time.monotonic() - server.started < PATIENCE_S:
        if server.process.poll() is not None:
            raise SystemExit(f"{server.side.name} ended at its start")
        if ask(server, rows[:1]) is not None:
            return time.monotonic() - server.started
        time.sleep(0.01)
    raise SystemExit(f"{server.side.name} did not answer: {ask(server, rows[:1])}")


def storm(server: Running, rows: list[list[float]], connections: int, seconds: int, folder: Path) -> dict[str, Any]:
    """One round of wrk: requests/s, p50 and p99 in microseconds, CPU microseconds of the server a request."""
    script = folder / "ask.lua"
    body = json.dumps(server.side.form(rows), separators=(",", ":"))
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\nwrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "Bearer {TOKEN}"\n'
    )
    url = f"http://127.0.0.1:{server.port}{server.side.path}"
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
    before = server.busy()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = server.busy() - before
    failed = re.search(r"Non-2xx or 3xx responses: ([0-9]+)", said)
    sockets = re.search(r"Socket errors: (.*)", said)
    if server.side.name.startswith("Loopline") and (failed or sockets):
        raise SystemExit(f"{server.side.name}: {said}")
    count = int(re.search(r"([0-9]+) requests in", said)[1])  # type: ignore[index]
    units = {"us": 1, "ms": 1e3, "s": 1e6}
    times = [re.search(rf"{place}%\s+([0-9.]+)(us|ms|s)", said) for place in (50, 99)]
    p50, p99 = (float(found[1]) * units[found[2]] for found in times)  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", said)[1])  # type: ignore[index]
    return {
        "rate": rate,
        "p50_us": p50,
        "p99_us": p99,
        "cpu_us": spent / max(count, 1) * 1e6,
        "requests": count,
        "failed": int(failed[1]) if failed else 0,
        "sockets": sockets[1] if sockets else "",
    }


def measured(name: str, kind: str, seconds: int) -> dict[str, Any]:
    """All figures of one server with one model."""
    model, rows = trained(kind)
    asked = rows.tolist()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        server = started(name, kind, folder)
        try:
            told: dict[str, Any] = {"cold_s": first_answer(server, asked)}
            said = ask(server, asked)
            if not server.side.constant:
                wanted = model.predict_proba(rows)[:, 1].tolist()
                told["largest_difference"] = max(abs(a - b) for a, b in zip(predictions(said), wanted, strict=True))
                if told["largest_difference"] > 1e-9:
                    raise SystemExit(f"{server.side.name} answers something else: {told}")
            storm(server, asked[:1], 8, 1, folder)
            told["memory_mb"] = server.memory()
            for count, connections in SHAPES:
                if server.side.constant and count > 1:
                    continue
                told[f"{count}x{connections}"] = storm(server, asked[:count], connections, seconds, folder)
            if hasattr(server, "logged"):
                time.sleep(0.5)
                sent = sum(told[f"{n}x{c}"]["requests"] * n for n, c in SHAPES)
                if server.logged() < sent:
                    raise SystemExit(f"{server.logged()} records for {sent} rows")
        finally:
            server.stop()
    return told


def table(found: list[tuple[str, dict[str, Any]]]) -> str:
    """A Markdown table with ratios to FastAPI."""
    lines = ["| server | cold start s | memory MB | " + " | ".join(
        f"{rows} row{'s' if rows > 1 else ''}, {c} conn.: requests/s, p50 us, p99 us" for rows, c in SHAPES) + " |",
        "|---|---|---|" + "---|" * len(SHAPES)]  # fmt: skip
    for name, told in found:
        cells = []
        for rows, connections in SHAPES:
            one = told.get(f"{rows}x{connections}")
            cells.append(f"{one['rate']:,.0f}, {one['p50_us']:,.0f}, {one['p99_us']:,.0f}" if one else "")
        lines.append(f"| {SIDES[name].name} | {told['cold_s']:.2f} | {told['memory_mb']:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default=",".join(SIDES))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    names = asked.only.split(",")
    results: dict[str, Any] = {}
    for kind in asked.kinds.split(","):
        found: list[tuple[str, dict[str, Any]]] = []
        for name in [*names, *(["loopline"] if "loopline" in names and len(names) > 1 else [])]:
            try:
                found.append((name, measured(name, kind, asked.seconds)))
                print(name, kind, json.dumps(found[-1][1]), file=sys.stderr, flush=True)
            except SystemExit as failed:
                print(f"{name}, {kind}: {failed}", file=sys.stderr, flush=True)
        results[kind] = found
        print(f"\n{kind}\n\n{table(found)}", flush=True)
        ratios(found)
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n")


def ratios(found: list[tuple[str, dict[str, Any]]]) -> None:
    """How many times as many requests a second we answer, at one row."""
    first = next((told for name, told in found if name == "loopline"), None)
    if first is None:
        return
    print()
    for name, told in found[1:]:
        parts = [f"{rows} x {c}: {first[f'{rows}x{c}']['rate'] / told[f'{rows}x{c}']['rate']:.2f}" for rows, c in SHAPES
                 if f"{rows}x{c}" in told]  # fmt: skip
        print(f"Loopline / {SIDES[name].name}: {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
