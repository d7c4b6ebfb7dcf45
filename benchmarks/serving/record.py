"""What the log of predictions costs: the same model at three endpoints of one router, asked by wrk in turn.

    python benchmarks/serving/record.py [--seconds 4] [--rounds 3]

`off` logs no request (`sample` 0), `on` is the default, `durable` answers after the fsync of the record.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench import INPUTS, SIGNATURE, TOKEN, Ours, storm, trained

from loopline.app.wiring import runtimes

ENDPOINTS = {"off": {"sample": 0.0}, "on": {}, "durable": {"durable": True}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    model, rows = trained()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "model").mkdir()
        runtimes()["sklearn-skops"].save(model, folder / "model")
        body = json.dumps({"rows": [dict(zip(INPUTS, rows[0].tolist(), strict=True))]})
        script = folder / "ask.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [[{body}]]\nwrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.headers["Authorization"] = "Bearer {TOKEN}"'
        )
        ours: Any = Ours(folder, folder / "model")
        try:
            for name, options in ENDPOINTS.items():
                deployed(ours, name, options)
            for connections in (1, 32):
                compare(ours, script, connections, asked)
            sampled = ours.opened.serving.read_predictions("off", columns=["id"]).num_rows
            print(f"logged at off: {sampled}; signature of {len(SIGNATURE.inputs)} inputs")
        finally:
            ours.close()


def deployed(ours: Any, name: str, options: dict[str, Any]) -> None:
    serving = ours.opened.serving
    serving.put(name, "late", "benchmark")
    serving.configure(name, options, "benchmark")
    serving.deploy(name, 1, "benchmark", "late")
    serving.wait(name, timeout_s=60)


def compare(ours: Any, script: Path, connections: int, asked: argparse.Namespace) -> None:
    """Rounds in turn, so that the machine's moods reach all."""
    found: dict[str, list[Any]] = {name: [] for name in ENDPOINTS}
    for number in range(asked.rounds + 1):
        for name in ENDPOINTS:
            ours.path = f"/v1/endpoints/{name}/predict"
            answer = storm(ours, script, connections, asked.seconds if number else 1)
            if number:  # the first warms up
                found[name].append(answer)
    middle = {
        name: [statistics.median(column) for column in zip(*rounds, strict=True)] for name, rounds in found.items()
    }
    print(f"{connections} connections")
    for name, (rate, p50, p99, cpu, _) in middle.items():
        print(f"  {name:<8}{rate:>9,.0f} requests/s ({rate / middle['off'][0]:.2f} of off)  p50 {p50:>7,.0f} us  p99 {p99:>8,.0f} us"
              f"  CPU {cpu:>5,.0f} us/request ({middle['off'][3] / cpu:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
