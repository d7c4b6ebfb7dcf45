"""What a call of our own client costs the training, and when it can be seen: installation, server, dead server.

    python benchmarks/tracking/client.py [--calls 20000]

Prints one JSON document. Durability of the figures: after a call returned, it survives kill -9 (written, not fsynced);
"delivered" means answered by the installation, which has fsynced.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def measure(calls: int, paced: int = 0) -> dict[str, Any]:
    """Log from this process; microseconds a call, of `paced` calls a second if that is given."""
    import loopline

    with loopline.run("bench", capture=False) as run:
        run.log(loss=1.0, step=0)
        run.flush()
        costs = []
        began = time.perf_counter()
        for step in range(1, calls + 1):
            before = time.perf_counter()
            run.log(loss=1 / step, step=step)
            costs.append(time.perf_counter() - before)
            if paced:
                time.sleep(1 / paced)
        logged = time.perf_counter() - began
        arrived = run.flush(30)
        delivered = time.perf_counter() - began
        before = time.perf_counter()
    finish = time.perf_counter() - before
    costs.sort()
    return {
        "calls": calls,
        "mean_us": round(1e6 * statistics.mean(costs), 1),
        "p50_us": round(1e6 * costs[len(costs) // 2], 1),
        "p99_us": round(1e6 * costs[int(len(costs) * 0.99)], 1),
        "max_ms": round(1e3 * costs[-1], 2),
        "calls_per_s": round(calls / logged),
        "delivered": arrived,
        "delivered_after_s": round(delivered, 2),
        "finish_ms": round(1e3 * finish, 1),
    }


def visible() -> dict[str, float]:
    """Milliseconds from a call to its being read by another client, the middle and the worst of 20."""
    import loopline

    reader = loopline.connect()
    waits = []
    with loopline.run("seen", capture=False) as run:
        run.flush()
        for step in range(20):
            began = time.perf_counter()
            run.log(loss=1.0, step=step)
            while len(reader.call("tracking.history", run_id=run.id, key="loss")) <= step:
                time.sleep(0.01)
            waits.append(1e3 * (time.perf_counter() - began))
    return {"p50_ms": round(statistics.median(waits)), "max_ms": round(max(waits))}


def apart(what: str, environment: dict[str, str], calls: int) -> Any:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--only", what, "--calls", str(calls)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def compared(calls: int) -> dict[str, Any]:
    """All measurements, side by side."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = {
            key: value for key, value in os.environ.items() if key not in ("LOOPLINE_URL", "PYTHONDONTWRITEBYTECODE")
        }
        base |= {"LOOPLINE_HOME": f"{folder}/home", "LOOPLINE_SPOOL": f"{folder}/spool", "LOOPLINE_TOKEN": "t" * 40}
        found["installation"] = apart("log", base, calls)
        server = subprocess.Popen(
            [sys.executable, "-m", "loopline", "up", "--port", "0", "--serving-port", "0", "--no-browser"],
            env=base,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running = Path(folder, "home", "run", "server.json")
        while not running.exists():
            time.sleep(0.05)
        remote = base | {"LOOPLINE_URL": json.loads(running.read_text())["url"]}
        found["server"] = apart("log", remote, calls)
        found["server, 1000 calls a second"] = apart("paced", remote, min(calls, 3_000))
        found["visible"] = apart("visible", remote, calls)
        server.terminate()
        server.wait()
        found["dead server"] = apart("log", remote, calls)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    if asked.only:
        ways = {"log": lambda: measure(asked.calls), "paced": lambda: measure(asked.calls, 1_000), "visible": visible}
        print(json.dumps(ways[asked.only]()))
    else:
        print(json.dumps(compared(asked.calls), indent=2))


if __name__ == "__main__":
    main()
