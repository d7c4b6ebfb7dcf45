"""The benchmark of pipelines works on our side, and its project of edits is what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

BENCH = Path(__file__).parents[2] / "benchmarks" / "pipelines"


def test_a_tiny_run_of_our_own_side_prints_the_table(tmp_path: Path) -> None:
    asked = [
        "--quick",
        "--only",
        "loopline",
        "--scenarios",
        "overhead,edits",
        "--results",
        str(tmp_path / "results.json"),
    ]
    done = subprocess.run(
        [sys.executable, str(BENCH / "bench.py"), *asked], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stdout, done.stdout
    assert "8/0/0" in done.stdout, (
        done.stdout
    )  # of eight edits all are right: none is missed, none runs a step needlessly
    assert not (tmp_path / "results.json").exists()
