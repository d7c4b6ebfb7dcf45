"""The flights example itself with Loopline: plain calls, a first run, and from the cache with every key checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SECONDS = """
import json, sys, time
from pathlib import Path
from loopline.app.wiring import open_home
home, folder, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with open_home(home) as loopline:
    given = loopline.projects.pipeline(folder, "training", actor="benchmark")
    read = lambda name: loopline.datasets.table(loopline.datasets.latest(name).digest)
    read("weather").to_pandas()  # imports
    sys.path.insert(0, str(folder))
    import pipeline, sklearn.compose, sklearn.ensemble, sklearn.metrics, sklearn.preprocessing, skops.io
    if mode == "again":
        loopline.pipelines.run(folder, actor="benchmark", executor="inline", **given)  # Loopline's own imports
    began, cpu = time.perf_counter(), time.process_time()
    if mode == "plain":
        pipeline.training(read("flights"), read("weather"))
    else:
        done = loopline.pipelines.run(folder, actor="benchmark", executor="inline", **given)
        assert done.status == "finished", done.error
        assert done.count("hit" if mode == "again" else "ran") == len(done.steps), done
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - began}))
"""


def seconds(home: Path, folder: Path, mode: str) -> dict[str, float]:
    """CPU and wall seconds of one way in a new process, imports left out; steps run in it, so that they are counted. Each
    way reads the batches, as the peers' `load` does."""
    command = [sys.executable, "-c", SECONDS, str(home), str(folder), mode]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads that wait for each other would be counted as work
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=alone)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1][:300])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
