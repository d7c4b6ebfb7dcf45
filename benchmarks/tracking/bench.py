"""Tracking side by side with MLflow's own server, by the same unmodified client, in one run with one table.

    python benchmarks/tracking/bench.py [--seconds 3] [--runs 10000] [--many 100000] [--only writes,reads,weight,plugin]

Writes `results.json`. Durability: every write to either server is on disk (fsync) when it is answered; through the plug-in
it survives kill -9 when it is answered and is fsynced when delivered.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import filling  # noqa: E402
import posts  # noqa: E402
import showing  # noqa: E402
from servers import QUIET, TOKEN, Server, peers  # noqa: E402

OPERATIONS = ("log_metric", "log_batch", "log_param", "create_run", "register")
SEARCHES = {
    "newest 100": {},
    "filter": {"filter": "metrics.m01 > 0.5 and params.model = 'tree'"},
    "order": {"order_by": ["metrics.m02 DESC"]},
    "filter and order": {"filter": "metrics.m01 > 0.5 and params.model = 'tree'", "order_by": ["metrics.m02 DESC"]},
}


def load() -> float:
    return round(os.getloadavg()[0], 2)


def at_work(
    python: str, script: str, uri: str, operation: str, clients: int, seconds: float, **more: str
) -> dict[str, float]:
    """So many client processes at once; operations a second together, `cpu_ms` of the client each."""
    environment = {
        **os.environ,
        **QUIET,
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_TRACKING_TOKEN": TOKEN,
        "LOOPLINE_TOKEN": TOKEN,
        **more,
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [python, str(HERE / script), operation, str(seconds), uri]
    working = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(clients)
    ]
    try:
        found = told(working, f"{operation} at {uri}")
    finally:
        for one in working:
            one.kill()
            one.wait()
    return {
        "per_s": sum(one["per_s"] for one in found),
        "delivered_s": max(one["delivered_s"] for one in found),
        "cpu_ms": 1000 * sum(one["cpu_s"] for one in found) / max(1, sum(one["per_s"] * seconds for one in found)),
        "load": load(),
    }


def told(working: list[subprocess.Popen[str]], what: str) -> list[dict[str, float]]:
    """Begin all at once, and what each measured."""
    for one in working:
        assert one.stdout is not None
        if one.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{what} did not begin")
    for one in working:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return [json.loads(one.communicate(timeout=300)[0].strip().splitlines()[-1]) for one in working]


def writes(servers: dict[str, Server], seconds: float, many: tuple[int, ...]) -> dict[str, Any]:
    """Operations a second by the stock client in so many processes, and plain POSTs."""
    python = peers.python_of("mlflow-3")
    found: dict[str, Any] = {}
    for operation in OPERATIONS:
        for clients in many:
            for name, server in servers.items():
                if name == "null" and operation in ("register",):
                    continue
                print(f"{operation}, {clients} clients, {name}", file=sys.stderr)
                key = f"{operation}, {clients} client{'s' if clients > 1 else ''}"
                before = server.cpu_s()
                figures = at_work(python, "stock.py", server.url, operation, clients, seconds)
                figures["server_cpu_ms"] = 1000 * (server.cpu_s() - before) / max(1.0, figures["per_s"] * seconds)
                print(f"  {figures['per_s']:.0f} a second", file=sys.stderr)
                found.setdefault(key, {})[name] = figures
    for name, server in servers.items():
        run_id = server.ask("POST", "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        before = server.cpu_s()
        rate = posts.per_second(server.url, run_id, server.token, 8, seconds)
        cpu = 1000 * (server.cpu_s() - before) / max(1.0, rate * seconds)
        found.setdefault("plain POST, 8 connections", {})[name] = {"per_s": rate, "server_cpu_ms": cpu, "load": load()}
    return found


def native(server: Server, folder: Path, seconds: float, many: tuple[int, ...]) -> dict[str, Any]:
    """Our own client against our server."""
    found = {}
    for operation in ("log_metric", "log_batch", "log_param", "create_run"):
        for clients in many:
            spool = str(folder / f"spool-{operation}-{clients}")
            more = {"LOOPLINE_URL": server.url, "LOOPLINE_SPOOL": spool}
            found[f"{operation}, {clients}"] = at_work(
                sys.executable, "own.py", server.url, operation, clients, seconds, **more
            )
    return found


def timed(server: Server, call: Callable[[], Any], times: int, budget_s: float = 15.0) -> dict[str, float]:
    """Milliseconds: the middle and the 99th of a hundred, and the server's CPU; fewer calls (at least two) when they take long."""
    call()
    took: list[float] = []
    until, before = time.perf_counter() + budget_s, server.cpu_s()
    while len(took) < 2 or (len(took) < times and time.perf_counter() < until):
        began = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - began))
    cpu = 1000 * (server.cpu_s() - before) / len(took)
    took.sort()
    last = took[min(len(took) - 1, int(len(took) * 0.99))]
    return {"p50_ms": statistics.median(took), "p99_ms": last, "server_cpu_ms": cpu, "times": len(took), "load": load()}


def searched(server: Server, times: int) -> dict[str, Any]:
    """Each search, 100 runs a page."""
    experiment = server.ask("GET", "experiments/get-by-name?experiment_name=study%201")["experiment"]["experiment_id"]
    found = {}
    for name, fields in SEARCHES.items():
        asked = {"experiment_ids": [experiment], "max_results": 100, **fields}
        print(f"search, {name}, {server.name}", file=sys.stderr)
        found[name] = timed(server, lambda asked=asked: server.ask("POST", "runs/search", asked), times)
    return found


def reads(folder: Path, runs: int, many: int) -> dict[str, Any]:
    """Searches and long histories in both."""
    found: dict[str, Any] = {}
    for count in (runs, many) if many else (runs,):
        place = folder / f"reads-{count}"
        filling.ours(place / "ours" / "home", count, 10)
        servers = {"loopline": Server("loopline", place / "ours")}
        try:
            servers["mlflow"] = Server("mlflow", place / "theirs")
            filling.mlflow(place / "theirs" / "mlflow.db", place / "ours" / "home")
            for name, server in servers.items():
                for search, figures in searched(server, 100).items():
                    found.setdefault(f"search {count:,} runs, {search}", {})[name] = figures
                if count == runs:
                    found.setdefault("history of 100,000 points", {})[name] = long_history(
                        server, place / "theirs" / "mlflow.db"
                    )
        finally:
            for server in servers.values():
                server.stop()
        shutil.rmtree(place, ignore_errors=True)
    return found


def long_history(server: Server, database: Path, points: int = 100_000) -> dict[str, float]:
    """All pages of a long history, without the client's own cost."""
    run_id = server.ask("POST", "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    if server.name == "mlflow":
        filling.history(database, run_id, points)
    else:
        for first in range(0, points, 1000):
            metrics = [
                {"key": "long", "value": n / 7, "timestamp": 1_600_000_000_000 + n, "step": n}
                for n in range(first, first + 1000)
            ]
            server.ask("POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics})

    def whole() -> None:
        token, seen = "", 0
        while True:
            page = server.ask(
                "GET", f"metrics/get-history?run_id={run_id}&metric_key=long&max_results=25000&page_token={token}"
            )
            seen += len(page["metrics"])
            token = page.get("next_page_token", "")
            if not token:
                break
        assert seen == points, seen

    return timed(server, whole, 5)


def weight(folder: Path) -> dict[str, Any]:
    """Cold start, idle memory, import time."""
    found: dict[str, Any] = {}
    for name in ("loopline", "mlflow"):
        Server(name, folder / f"weight-{name}").stop()  # the second start is measured: databases are there
        server = Server(name, folder / f"weight-{name}")
        try:
            time.sleep(10)
            memory, processes = server.memory_mb()
        finally:
            server.stop()
        found.setdefault("cold start, s", {})[name] = {"value": server.cold_s, "load": load()}
        found.setdefault("idle memory, MB", {})[name] = {"value": memory, "processes": processes}
    for name, python in (("loopline", sys.executable), ("mlflow", peers.python_of("mlflow-3"))):
        found.setdefault("import, CPU s", {})[name] = {
            "value": min(import_s(python, name) for _ in range(5)),
            "load": load(),
        }
    return found


def import_s(python: str, name: str) -> float:
    """CPU seconds of a process that imports it."""
    code = f"import {name}, time; print(time.process_time())"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return float(
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    )


def plugin(folder: Path, seconds: float) -> dict[str, Any]:
    """The stock client through the plug-in: an installation in its own process."""
    python = peers.python_of("mlflow-3")
    found = {}
    for operation in ("log_metric", "log_batch", "log_param", "create_run"):
        uri, spool = f"loopline://{folder / f'plugin-{operation}'}", str(folder / f"spool-{operation}")
        found[operation] = at_work(python, "stock.py", uri, operation, 1, seconds, LOOPLINE_SPOOL=spool)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000, help="0 leaves them out")
    parser.add_argument("--clients", default="1,8", help="how many client processes at once")
    parser.add_argument("--only", default="writes,native,reads,weight,plugin")
    given = parser.parse_args()
    many = tuple(int(one) for one in given.clients.split(","))
    parts, file = given.only.split(","), HERE / "results.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    results["machine"] = showing.machine()
    with tempfile.TemporaryDirectory(prefix="bench-tracking-") as name:
        folder = Path(name)
        if {"writes", "native"} & set(parts):
            servers = {one: Server(one, folder / one) for one in ("loopline", "mlflow", "null")}
            for server in servers.values():
                server.settle()
            try:
                if "writes" in parts:
                    results.setdefault("writes", {}).update(writes(servers, given.seconds, many))
                if "native" in parts:
                    results.setdefault("native", {}).update(native(servers["loopline"], folder, given.seconds, many))
            finally:
                for server in servers.values():
                    server.stop()
        if "weight" in parts:
            results["weight"] = weight(folder)
        if "plugin" in parts:
            results["plugin"] = plugin(folder, given.seconds)
        if "reads" in parts:
            results["reads"] = reads(folder, given.runs, given.many)
    file.write_text(json.dumps(showing.rounded(results), indent=1) + "\n")
    print(showing.text(results))


if __name__ == "__main__":
    main()
