"""What every tool here is asked, and how its answer is printed: no package of Loopline, as it runs in the peers' own
environments. A question is a JSON file: {"cases": [[reference, current], …] (Parquet), "texts": [names], "times": n}."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def answer(read: Callable[[str], Any], compare: Callable[[Any, Any, list[str]], bool]) -> None:
    """Read each pair of tables, compare it `times` times, print alarms, CPU and wall seconds (least) and peak memory.

    `compare(reference, current, texts)` makes a whole report from rows and answers whether any column is called changed.
    """
    with open(sys.argv[1]) as file:
        asked = json.load(file)
    alarms, cpu, wall = [], [], []
    held: tuple[str, Any] = ("", None)
    for then, now in asked["cases"]:
        if held[0] != then:
            held = (then, read(then))
        reference, current = held[1], read(now)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        spent = [once(compare, reference, current, asked["texts"]) for _ in range(asked.get("times", 1))]
        alarms.append(bool(spent[-1][2]))
        cpu.append(min(each[0] for each in spent))
        wall.append(min(each[1] for each in spent))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        "\nANSWER "
        + json.dumps({"alarms": alarms, "cpu_s": cpu, "wall_s": wall, "peak_mb": peak / 1024, "read_mb": before / 1024})
    )


def once(
    compare: Callable[[Any, Any, list[str]], bool], reference: Any, current: Any, texts: list[str]
) -> tuple[float, float, bool]:
    """(CPU seconds of all threads, wall seconds, alarm)."""
    began, start = time.process_time(), time.perf_counter()
    alarm = compare(reference, current, texts)
    return time.process_time() - began, time.perf_counter() - start, alarm


def frames(path: str) -> Any:
    """A table as pandas reads it."""
    import pandas

    return pandas.read_parquet(path)
