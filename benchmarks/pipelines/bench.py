"""Pipelines side by side with their peers, each in its own environment, in one run with one table.

    python benchmarks/pipelines/bench.py [--peers kedro,joblib] [--only loopline] [--scenarios overhead,kill] [--quick]

Makes `.peers/NAME` where it is missing. Figures are CPU of the whole process tree (README.md says what is counted), best of
the rounds. What was measured is written to results.json; tools that were left out keep the figures of their last run there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import scenarios
import table
import venvs

RESULTS = Path(__file__).with_name("results.json")
SCENARIOS = ("overhead", "shell", "kill", "edits", "flights")


def asked() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="only these, separated by commas, beside ours")
    parser.add_argument("--only", help="only these, separated by commas; `loopline` is ours")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--until", default="2013-04-01", help="the last day of the flights flow")
    parser.add_argument(
        "--quick", action="store_true", help="small chains, one round, a month of flights, nothing kept"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def measured(name: str, wanted: list[str], options: argparse.Namespace, data: dict[str, str]) -> dict[str, Any]:
    """All figures of one tool; what went wrong stands in their place."""
    rounds = 1 if options.quick else options.rounds
    sizes = [20] if options.quick else [100, 1000, 10_000]
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "overhead": lambda: scenarios.overhead(name, sizes, rounds),
        "shell": lambda: scenarios.shell(name, min(sizes), rounds),
        "kill": lambda: scenarios.kill(name),
        "edits": lambda: scenarios.edits(name),
        "flights": lambda: scenarios.flights(name, data, rounds),
    }
    found: dict[str, Any] = {}
    for scenario in wanted:
        if scenario == "flights" and name not in ("loopline", *scenarios.FLOW_TOOLS):
            continue
        if scenario == "shell" and name == "dagster":
            continue
        began = time.perf_counter()
        try:
            found[scenario] = ways[scenario]()
        except (RuntimeError, OSError) as error:
            found[scenario] = {"error": str(error)}
        found[scenario]["load"] = machine.load()
        said = found[scenario].get("error", "measured")
        print(f"{name:10} {scenario:9} {time.perf_counter() - began:6.0f} s  {said}", file=sys.stderr, flush=True)
    return found


def chosen(options: argparse.Namespace) -> list[str]:
    """The tools to measure, ours first."""
    if options.only:
        return str(options.only).split(",")
    return ["loopline", *(options.peers.split(",") if options.peers else venvs.PEERS)]


def main() -> None:
    """Measure, keep, print."""
    options = asked()
    wanted = options.scenarios.split(",")
    names = chosen(options)
    known = {} if options.quick or not options.results.exists() else json.loads(options.results.read_text())
    results: dict[str, Any] = known.get("tools", {})
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as folder:
        until = "2013-02-01" if options.quick else options.until
        data = scenarios.batches(Path(folder), until) if "flights" in wanted else {}
        for name in names:
            try:
                venvs.python_of(name)
            except RuntimeError as error:
                results[name] = {"error": f"cannot be installed here: {error}"}
                continue
            found = measured(name, wanted, options, data)
            results[name] = results.get(name, {}) | found | {"measured": machine.facts([name])}
            kept = {"machine": machine.facts(list(results)), "tools": results}
            if not options.quick:  # after each tool: an hour's work is not lost to the last one
                options.results.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    print(table.text(kept))


if __name__ == "__main__":
    main()
