"""What a step costs beside doing nothing: a chain of no-op steps, run and run again, beside joblib and Hamilton.

    python benchmarks/pipelines/overhead.py [--steps 100 1000] [--rounds 3]

Makes `.peers/pipelines` (the peers' own environment) when it is missing. CPU milliseconds a step, best of the rounds,
in this process. Durability: ours fsyncs every result before it counts; joblib and Hamilton write files or SQLite rows
without fsync.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers" / "pipelines"
PACKAGES = ("joblib", "apache-hamilton", "pandas")
CODE = """
from loopline import pipeline, step


@step
def link(before: int, number: int) -> int:
    return before + number


@pipeline
def chain(steps: int = 100, salt: int = 0) -> int:
    total = salt
    for number in range(steps):
        total = link(total, number)
    return total
"""
SHELL = "import sys; from loopline.shells.cli import main; main(sys.argv[1:])"


def salted(steps: int, number: int) -> int:
    """A start from which no other chain's sums are reached."""
    return 10**9 * steps + 10**7 * (number + 1)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of this process, all threads."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def ours(steps: list[int], rounds: int) -> dict[str, dict[str, float]]:
    """Loopline in process: fresh salts, then the same again."""
    from loopline.app.wiring import open_home

    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "project")
        folder.mkdir()
        (folder / "pipeline.py").write_text(CODE)
        with open_home(Path(place, "home")) as loopline:

            def run(count: int, salt: int, status: str) -> None:
                given = {"steps": count, "salt": salt}
                done = loopline.pipelines.run(folder, "chain", given, actor="benchmark", executor="inline")
                if done.count(status) != count:  # a figure for something else would be worse than none
                    raise SystemExit(f"{count} steps were to be {status}: {done.error}")

            run(1, -1, "ran")
            for count in steps:
                cold = [cpu_ms(lambda s=salt, c=count: run(c, salted(c, s), "ran")) for salt in range(rounds)]
                warm = [cpu_ms(lambda c=count: run(c, salted(c, 0), "hit")) for _ in range(rounds)]
                found[str(count)] = {"run": min(cold) / count, "again": min(warm) / count, "again_all": min(warm)}
    return found


def shell(rounds: int) -> float:
    """CPU milliseconds of `loopline run` when everything is known, all included; byte code is there."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "project")
        folder.mkdir()
        (folder / "pipeline.py").write_text(CODE)
        command = [sys.executable, "-c", SHELL, "run", "chain", "--home", str(Path(place, "home"))]
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "src")], check=True)
        took = []
        for _ in range(rounds + 1):
            code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
            code += "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
            asked = [sys.executable, "-c", code, *command]
            took.append(float(subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True).stdout))
    return min(took[1:]) * 1000


def plain(steps: list[int]) -> dict[str, dict[str, float]]:
    """Calling the functions."""
    scope: dict[str, Callable[..., int]] = {}
    exec(CODE, scope)
    return {str(count): {"run": cpu_ms(lambda c=count: scope["chain"](c)) / count} for count in steps}


def peer(name: str, steps: list[int], rounds: int) -> dict[str, dict[str, float]]:
    """A peer in its own environment."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    command = [str(python), str(Path(__file__).with_name("peers.py")), name, str(rounds), *map(str, steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name} did not run: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure all side by side and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    asked = parser.parse_args()
    results = {"plain call": plain(asked.steps), "Loopline": ours(asked.steps, asked.rounds)}
    for name in () if asked.no_peers else ("joblib", "hamilton"):
        results[name] = peer(name, asked.steps, asked.rounds)
    mine = results["Loopline"]
    print(
        f"{'':12} {'steps':>6} {'run ms':>9} {'again ms':>9} {'run':>7} {'again':>7}   (ms of CPU a step; times ours)"
    )
    for name, found in results.items():
        for count, one in found.items():
            again = one.get("again", float("nan"))
            ratios = f"{one['run'] / mine[count]['run']:6.1f}x {again / mine[count]['again']:6.1f}x"
            print(f"{name:12} {count:>6} {one['run']:9.4f} {again:9.4f} {ratios}")
    for count, one in mine.items():
        print(f"cached re-run of {count} steps in process: {one['again_all']:.1f} ms of CPU")
    print(f"cached run from the shell, all included: {shell(asked.rounds):.0f} ms of CPU")


if __name__ == "__main__":
    main()
