"""The flights example as plain calls, as a first run, and from the cache with every key checked.

    python benchmarks/pipelines/flights.py [--until 2013-04-01] [--rounds 3]

CPU seconds of one process each, imports left out (steps run in it, not in workers, so that they can be counted); best
of the rounds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "late-arrival"
COMMON = """
import sys, time
from pathlib import Path
from loopline.app.wiring import open_home
home, folder, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with open_home(home) as loopline:
    given = loopline.projects.pipeline(folder, "training", actor="benchmark")
    tables = [loopline.datasets.table(loopline.datasets.latest(name).digest) for name in ("flights", "weather")]
    sys.path.insert(0, str(folder))
    import pipeline, sklearn.compose, sklearn.ensemble, sklearn.metrics, skops.io
    if mode == "hit":
        loopline.pipelines.run(folder, actor="benchmark", executor="inline", **given)  # Loopline's own imports
    began = time.process_time()
    if mode == "plain":
        pipeline.training(*tables)
    else:
        done = loopline.pipelines.run(folder, actor="benchmark", executor="inline", **given)
        assert done.status == "finished" and done.count(mode) == len(done.steps), done
    print(time.process_time() - began)
"""


def seconds(home: Path, folder: Path, mode: str) -> float:
    """CPU seconds of one way in a fresh process, imports left out."""
    command = [sys.executable, "-c", COMMON, str(home), str(folder), mode]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads that wait for each other would be counted as work
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=alone).stdout.splitlines()[-1])


def main() -> None:
    """Measure the three ways in turns and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--until", default="2013-04-01")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    took: dict[str, list[float]] = {"plain": [], "ran": [], "hit": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "late-arrival")
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "tests", "__pycache__", ".*"))
        command = [sys.executable, "batches.py", "data", "--until", asked.until]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        for number in range(asked.rounds):
            for mode in took:
                took[mode].append(seconds(Path(place, f"home-{number}"), folder, mode))
    best = {mode: min(values) for mode, values in took.items()}
    for mode, words in (("plain", "plain calls"), ("ran", "first run"), ("hit", "from the cache")):
        print(f"{words:15} {best[mode]:8.3f} s of CPU   {best[mode] / best['plain']:.4f} of plain")


if __name__ == "__main__":
    main()
