"""Our own client at work: `own.py OPERATION SECONDS`, against LOOPLINE_URL. As `stock.py`, but no more calls than a
journal holds: a call takes microseconds, and what lies behind it must still be delivered."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import loopline

MOST = {"log_metric": 100_000, "log_batch": 200, "log_param": 20_000, "create_run": 1_000}


def main() -> None:
    operation, seconds = sys.argv[1], float(sys.argv[2])
    with loopline.run("bench", capture=False) as run:
        batch = {f"m{place}": place / 7 for place in range(1000)}
        work: Callable[[int], object] = {
            "log_metric": lambda number: run.log(loss=1 / (number + 1), step=number),
            "log_batch": lambda number: run.log(batch, step=number),
            "log_param": lambda number: run.params({f"p{number}": number}),
            "create_run": lambda number: loopline.run("made", capture=False).finish(),
        }[operation]
        work(0)
        print("ready", flush=True)
        sys.stdin.readline()
        began, cpu, number = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds and number < MOST[operation]:
            number += 1
            work(number)
        took = time.perf_counter() - began
        run.flush(120)
        found = {"per_s": number / took, "cpu_s": time.process_time() - cpu, "delivered_s": time.perf_counter() - began}
    print(json.dumps(found))


main()
