"""Run a command as one measured whole: `python whole.py COMMAND…` prints JSON with CPU and wall seconds of it and all that
it started, daemons included, which are ended."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import tree


def main() -> None:
    """Measure the command; exit as it did."""
    tree.adopt()
    began = time.perf_counter()
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    tree.end_all(os.getpid())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = {"cpu": used.ru_utime + used.ru_stime, "wall": wall, "stdout": done.stdout, "stderr": done.stderr[-2000:]}
    print(json.dumps(answer))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
