"""Swaps under full load: wrk at 32 connections while the live revision changes every half second.

    python benchmarks/serving/swaps.py [--seconds 20]

Prints requests, answers that were not 200, socket errors, swaps, and p99 beside that of a quiet run before it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench import TOKEN, Ours
from model import INPUTS, trained

from loopline.app.wiring import runtimes

EVERY_S = 0.5


def wrk(server: Ours, script: Path, seconds: int) -> tuple[int, float, str]:
    """(requests, p99 in milliseconds, what wrk says of errors)."""
    url = f"http://127.0.0.1:{server.port}{server.path}"
    command = ["wrk", "-t1", "-c32", f"-d{seconds}", "--latency", "-s", str(script), url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    count = int(re.search(r"([0-9]+) requests in", said)[1])  # type: ignore[index]
    p99, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]
    errors = "; ".join(line.strip() for line in said.splitlines() if "Non-2xx" in line or "Socket errors" in line)
    return count, float(p99) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit], errors


def swapping(server: Ours, ended: threading.Event, swaps: list[int]) -> None:
    """Route to the other revision again and again, each time waiting until it is live."""
    number = 1
    while not ended.wait(EVERY_S):
        server.opened.serving.route("late", number, "benchmark")
        server.opened.serving.wait("late", number, 20)
        swaps.append(number)
        number = 3 - number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    asked = parser.parse_args()
    model, rows = trained()
    row = rows[17]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "model").mkdir()
        runtimes()["sklearn-skops"].save(model, folder / "model")
        body: Any = json.dumps({"rows": [dict(zip(INPUTS, row.tolist(), strict=True))]})
        script = folder / "ask.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [[{body}]]\nwrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.headers["Authorization"] = "Bearer {TOKEN}"\n'
        )
        server = Ours(folder, folder / "model")
        try:
            measure(server, script, asked.seconds)
        finally:
            server.close()


def measure(server: Ours, script: Path, seconds: int) -> None:
    """A quiet run, then the same with swaps."""
    server.opened.serving.deploy("late", 1, "benchmark")
    server.opened.serving.wait("late", 2, 30)
    wrk(server, script, 2)
    quiet = wrk(server, script, max(5, seconds // 4))
    ended, swaps = threading.Event(), []
    thread = threading.Thread(target=swapping, args=(server, ended, swaps))
    thread.start()
    count, p99, errors = wrk(server, script, seconds)
    ended.set()
    thread.join()
    time.sleep(0.3)
    logged = server.opened.serving.read_predictions("late").num_rows
    print(f"{len(swaps)} swaps, {count:,} requests in {seconds} s, errors: {errors or 'none'}")
    print(
        f"p99 {p99:.1f} ms with swaps, {quiet[1]:.1f} ms quiet (ratio {p99 / quiet[1]:.2f}); {logged:,} records logged"
    )


if __name__ == "__main__":
    main()
