"""What is measured of one tool. Each answers figures for the results file, or raises RuntimeError with the tool's word."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import editing
import ours_flights
import tree
import venvs
from tools.with_loopline import write_project

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT_S = 900
LARGEST = {"dagster": 100, "prefect": 100, "zenml": 100, "metaflow": 100, "luigi": 1000, "kedro": 1000}
NO_CACHE = {"dagster": "runs all again", "metaflow": "resume of a run", "kedro": "files exist", "luigi": "files exist"}
SLOW_STEPS, KILLED_IN = 12, 6
MAIN = "import sys; from loopline.shells.cli import main; main(sys.argv[1:])"
FLOW_TOOLS = ("joblib", "kedro", "hamilton", "zenml", "metaflow")


@contextmanager
def place() -> Iterator[Path]:
    """A folder for a tool's state, taken away after."""
    with tempfile.TemporaryDirectory(prefix="loopline-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def environment(folder: Path, size: int = 0) -> dict[str, str]:
    """What every tool is started with: no telemetry, its home in the folder, one thread for numpy's libraries."""
    return {
        **os.environ,
        "HOME": str(folder),
        "NOTES": str(folder / "notes"),
        "GRAPH_SIZE": str(size),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "DO_NOT_TRACK": "1",
        "KEDRO_DISABLE_TELEMETRY": "1",
        "HAMILTON_TELEMETRY_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "ZENML_ANALYTICS_OPT_IN": "false",
    }


def command_of(name: str, folder: Path, asked: dict[str, Any], python: str = "") -> list[str]:
    """The command that does something with a tool in its own environment."""
    return [python or venvs.python_of(name), str(HERE / "tool.py"), name, str(folder), json.dumps(asked)]


def told(name: str, folder: Path, asked: dict[str, Any], python: str = "", **more: str) -> dict[str, Any]:
    """What the tool's process prints."""
    env = environment(folder, asked.get("size", 0)) | more
    command = command_of(name, folder, asked, python)
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"took more than {LIMIT_S} s") from None
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["ended without a word"])[-1][:300])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def overhead(name: str, sizes: list[int], rounds: int) -> dict[str, Any]:
    """Chains of these sizes and the diamond: CPU and wall milliseconds a step, new and again."""
    found: dict[str, Any] = {}
    largest = LARGEST.get(name, max(sizes))
    graphs = [("chain", size) for size in sizes if size <= largest] + [("diamond", 10)]
    for graph, size in graphs:
        times = rounds if size < 1000 and name != "metaflow" else 1 if name in LARGEST else rounds
        label = graph if graph == "diamond" else f"chain {size}"
        with place() as folder:
            try:
                one = told(name, folder, {"what": "overhead", "graph": graph, "size": size, "rounds": times})
            except RuntimeError as error:
                found[label] = {"error": str(error)}
                continue
        steps = one["steps"]
        found[label] = {"steps": steps, "reran": one["bodies_again"]} | {
            f"{kind} {what} ms": one[kind][what] * 1000 / steps for kind in ("new", "again") for what in ("cpu", "wall")
        }
    for size in sizes:
        if size > largest:
            found[f"chain {size}"] = {"extrapolated from": largest, **found.get(f"chain {largest}", {})}
    return found


def shell(name: str, size: int, rounds: int) -> dict[str, Any]:
    """CPU and wall milliseconds of a process that runs a chain of which everything is known, all included."""
    with place() as folder:
        asked = {"what": "once", "graph": "chain", "size": size, "salt": 5, "again": True, "measure": False}
        if name == "loopline":
            command = _ours(folder, ["run", "chain", "-p", f"size={size}", "-p", "salt=5"])
            subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "src")], check=True)
        else:
            command = command_of(name, folder, asked)
            told(name, folder, asked | {"again": False})
        env = environment(folder, size)
        took = []
        for _ in range(rounds + 1):
            whole = [sys.executable, str(HERE / "whole.py"), *command]
            done = subprocess.run(
                whole, capture_output=True, text=True, env=env, cwd=folder, timeout=LIMIT_S, check=False
            )
            answer = json.loads(done.stdout.splitlines()[-1])
            if done.returncode:
                raise RuntimeError((answer["stderr"].strip().splitlines() or ["no word"])[-1][:300])
            took.append(answer)
        best = min(took[1:], key=lambda one: float(one["cpu"]))
    return {"steps": size, "cpu ms": best["cpu"] * 1000, "wall ms": best["wall"] * 1000}


def _ours(folder: Path, words: list[str]) -> list[str]:
    project = write_project(folder / "graphs")
    return [sys.executable, "-c", MAIN, *words, "--project", str(project), "--home", str(folder / "home")]


def kill(name: str) -> dict[str, Any]:
    """Kill -9 everything in the middle of the seventh of twelve steps, start again: finished steps that ran again, and
    seconds until the unfinished one began."""
    with place() as folder:
        asked = {"what": "once", "graph": "slow", "size": SLOW_STEPS, "salt": 1, "again": False, "measure": False}
        if name == "loopline":
            first = again = _ours(folder, ["run", "slow", "-p", f"size={SLOW_STEPS}", "-p", "salt=1"])
        else:
            first, again = command_of(name, folder, asked), command_of(name, folder, asked | {"again": True})
        env = environment(folder, SLOW_STEPS)
        _killed(first, env, folder)
        finished = {number for what, number, _ in _noted(folder) if what == "end"}
        before, began = len(_noted(folder)), time.time()
        done = subprocess.run(again, env=env, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        took = time.time() - began
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1][:300])
        after = _noted(folder)[before:]
    rerun = [number for what, number, _ in after if what == "begin" and number in finished]
    started = min((when for what, _, when in after if what == "begin"), default=began + took)
    if len({number for what, number, _ in after if what == "end"} | finished) != SLOW_STEPS:
        raise RuntimeError("not all steps ran")
    return {"finished": len(finished), "ran again": len(rerun), "notices s": started - began, "wall s": took}


def _killed(command: list[str], env: dict[str, str], folder: Path) -> None:
    with open(folder / "first.log", "w") as log:
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + LIMIT_S
    while not any(what == "begin" and number == KILLED_IN for what, number, _ in _noted(folder)):
        if process.poll() is not None or time.monotonic() > until:
            last = (folder / "first.log").read_text().strip().splitlines() or ["no word"]
            raise RuntimeError(f"ended before it was killed: {last[-1][:300]}")
        time.sleep(0.02)
    time.sleep(0.1)
    for pid in [process.pid, *tree.descendants(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def _noted(folder: Path) -> list[tuple[str, int, float]]:
    file = folder / "notes"
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [(what, int(number), float(when)) for what, number, when in lines]


def edits(name: str) -> dict[str, Any]:
    """Eight edits of a project of seven steps, each from the same state: right when exactly what stands on it ran."""
    asked = {"what": "once", "graph": "edits", "size": 0, "salt": 0, "again": True, "measure": True}
    answer: dict[str, Any] = {"right": 0, "missed": 0, "needless": 0, "edits": {}}
    cpu = []
    with place() as kept, place() as folder:
        editing.write_project(folder / "project", name)
        paths = [str(folder / "site-packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
        more = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        told(name, folder, asked | {"again": False}, **more)
        if name == "loopline":
            told(name, folder, asked, **more)
        state = kept / "state"
        shutil.copytree(folder, state, symlinks=True)
        for edit in editing.EDITS:
            _restored(state, folder)
            editing.apply(edit, folder / "project")
            notes = folder / "notes"
            notes.unlink(missing_ok=True)
            one = told(name, folder, asked, **more)
            ran = set(notes.read_text().split()) if notes.exists() else set()
            cpu.append(one["cpu"] * 1000 / one["steps"])
            missed, needless = set(edit.runs) - ran, ran - set(edit.runs)
            answer["right"] += not missed and not needless
            answer["missed"] += len(missed)
            answer["needless"] += len(needless)
            answer["edits"][edit.kind] = {"missed": sorted(missed), "needless": sorted(needless)}
    return answer | {"cpu ms a step": sorted(cpu)[len(cpu) // 2]}


def _restored(state: Path, folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(state, folder, symlinks=True, dirs_exist_ok=True)


def batches(folder: Path, until: str) -> dict[str, str]:
    """The flights as files, made with our interpreter; the variables that tell the peers where."""
    code = folder / "late-arrival"
    ignored = shutil.ignore_patterns("data", "tests", "__pycache__", ".*")
    shutil.copytree(ROOT / "examples" / "late-arrival", code, ignore=ignored)
    command = [sys.executable, "batches.py", "data", "--until", until]
    subprocess.run(command, cwd=code, check=True, capture_output=True)
    return {"FLIGHTS_CODE": str(code), "FLIGHTS_DATA": str(code / "data")}


def flights(name: str, given: dict[str, str], rounds: int) -> dict[str, Any]:
    """CPU seconds of the flights flow as plain calls in the peer's environment, new, and again in a new process."""
    asked = {"what": "once", "graph": "flights", "size": 0, "salt": 1, "measure": True}
    took: dict[str, list[dict[str, float]]] = {"plain": [], "new": [], "again": []}
    if name == "loopline":
        for _ in range(rounds):
            with place() as folder:
                for kind in took:
                    took[kind].append(ours_flights.seconds(folder / "home", Path(given["FLIGHTS_CODE"]), kind))
        return _ratios(took)
    python = venvs.python_of(name)
    for _ in range(rounds):
        with place() as folder:
            for kind in took:
                tool, again = ("plain" if kind == "plain" else name), kind == "again"
                took[kind].append(told(tool, folder, asked | {"again": again}, python, **given))
    return _ratios(took)


def _ratios(took: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    best = {kind: min(values, key=lambda one: one["cpu"]) for kind, values in took.items()}
    figures = {f"{kind} {what} s": best[kind][what] for kind in best for what in ("cpu", "wall")}
    plain = best["plain"]["cpu"]
    return figures | {"new ratio": best["new"]["cpu"] / plain, "again ratio": best["again"]["cpu"] / plain}
