"""Which engine each kind of model gets here, and how much quicker it answers than its library.

    python benchmarks/serving/engines.py [KIND …]

One thread, as in a model's process. Prints a table for docs/engines.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from loopline.app.wiring import engines, runtimes
from loopline.core.errors import LooplineError
from loopline.testing import model_zoo
from loopline.usecases.registry import engines_rows
from loopline.usecases.registry.engines import rungs_of
from loopline.usecases.registry.engines_ladder import Outcome, Rung, climbed

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def outcome(kind: str) -> Outcome:
    """What the ladder finds for one kind, on its held-out rows and on made-up ones."""
    specimen = model_zoo.model(kind)
    runtime = next(each for each in runtimes().values() if each.accepts(specimen.model))
    with tempfile.TemporaryDirectory() as folder:
        runtime.save(specimen.model, Path(folder))
        loaded: Any = runtime.load(Path(folder), specimen.signature)
        rungs, fallen = rungs_of(engines(None), loaded, specimen.signature)  # type: ignore[arg-type]
        plain = getattr(loaded, "plain", None) or loaded
        if plain is not loaded:
            rungs.append(Rung("direct", loaded))
        known: dict[str, Any] = {}
        for rung in rungs:
            known |= getattr(rung.model, "known", {})
        real = dict(specimen.columns)
        return climbed(rungs, plain, [real, engines_rows.probes(specimen.signature, real, known)], fallen, True)


def row(kind: str, found: Outcome) -> str:
    """A line of the table."""
    name, plain = found.rung.name, found.timings["plain"]
    mine = found.timings[name]
    difference = "equal" if found.difference == 0 else f"{found.difference:.0e}"
    cells = [kind.replace("_", " "), name, "" if name == "plain" else difference]
    for place in (0, 1):
        cells += [f"{plain[place]:,.0f}", f"{mine[place]:,.0f}", f"{plain[place] / mine[place]:,.0f}×"]
    reasons = "; ".join(f"{rung}: {reason}" for rung, reason in found.fallen.items()) if name == "plain" else ""
    return "| " + " | ".join([*cells, reasons]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(model_zoo.KINDS))
    asked = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):  # libraries read them when they are imported
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    print("| model | rung | difference | library, 1 row µs | rung | | library, 32 rows µs | rung | | why not |")
    print("|---|---|---|--:|--:|--:|--:|--:|--:|---|")
    for kind in asked.kinds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                print(row(kind, outcome(kind)), flush=True)
            except (LooplineError, ImportError, StopIteration) as error:
                print(f"| {kind} | – | | | | | | | | {error} |", flush=True)


if __name__ == "__main__":
    main()
