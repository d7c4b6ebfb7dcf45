"""kill -9 anywhere, and two runs at once: what finished is never computed again, and nothing is torn."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopline.usecases.tracking.processes import is_dead, myself

pytestmark = pytest.mark.integration

CHAIN = """
import os
import time

from loopline import pipeline, step


@step
def link(before: int, number: int) -> int:
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"begin {number}\\n")
    time.sleep(0.02)
    return before + number


@step
def large(number: int) -> bytes:
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"begin large-{number}\\n")
    return bytes([number % 256]) * 300_000


@pipeline
def chain(links: int = 30) -> int:
    total = 0
    for number in range(links):
        total = link(total, number)
        if number % 5 == 0:
            large(number)
    return total
"""
RUNNER = """
import sys
from pathlib import Path
from loopline.app.wiring import open_home

def tell(progress):
    if progress.status == "ran":
        print(progress.label, flush=True)

if __name__ == "__main__":
    home, folder, executor = sys.argv[1:4]
    with open_home(Path(home)) as loopline:
        run = loopline.pipelines.run(folder, "chain", {}, actor="ann", executor=executor, progress=tell)
    print("DONE", run.status, run.count("hit"), flush=True)
"""


class Chain:
    """The project, and a process that runs it."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "chain"
        self.folder.mkdir()
        (self.folder / "pipeline.py").write_text(CHAIN)
        (tmp_path / "runner.py").write_text(RUNNER)
        self.runner = tmp_path / "runner.py"
        self.home = tmp_path / "home"
        self.notes = tmp_path / "notes"

    def start(self, executor: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.runner), str(self.home), str(self.folder), executor]
        environment = {**os.environ, "NOTES": str(self.notes)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def begun(self) -> Counter[str]:
        """How often each body began."""
        return Counter(self.notes.read_text().splitlines()) if self.notes.exists() else Counter()


def acknowledged(output: str) -> set[str]:
    """Labels that were told as done."""
    return {line for line in output.splitlines() if not line.startswith("DONE")}


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_after_kill_9_finished_steps_are_hits(executor: str, tmp_path: Path) -> None:
    killed_and_resumed(Chain(tmp_path), executor, kills=4)


@pytest.mark.torture
def test_after_many_kills_finished_steps_are_hits(tmp_path: Path, torture_result: Callable[..., None]) -> None:
    for number in range(50):
        place = tmp_path / str(number)
        place.mkdir()
        killed_and_resumed(Chain(place), ["inline", "processes"][number % 2], kills=20, seed=number)
    torture_result("pipeline kills", kills=1000, finished_steps_that_ran_twice=0)


def killed_and_resumed(chain: Chain, executor: str, kills: int, seed: int = 7) -> None:
    """Kill a run at random moments, then let it finish: nothing that was told as done ran again."""
    chance, done = random.Random(seed), set()
    for _ in range(kills):
        process = chain.start(executor)
        wait_for_a_step(process, chain, chance.uniform(0, 1 / kills))
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
        told = acknowledged(output)
        assert not told & done, "a finished step ran twice"
        done |= told
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive
    output, _ = chain.start(executor).communicate()
    assert "DONE finished" in output
    assert not acknowledged(output) & done
    assert f"DONE finished {36 - len(acknowledged(output))}" in output
    last, _ = chain.start(executor).communicate()
    assert "DONE finished 36" in last
    for name, times in chain.begun().items():  # at most one body was under way at each kill, per process
        assert times <= kills + 1, name
    assert sum(chain.begun().values()) <= 36 + kills * 3


def wait_for_a_step(process: subprocess.Popen[str], chain: Chain, more: float) -> None:
    before = sum(chain.begun().values())
    until = time.monotonic() + 20
    while sum(chain.begun().values()) == before and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(more)


def test_a_killed_run_shows_as_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loopline.app.wiring import open_home

    chain = Chain(tmp_path)
    process = chain.start("inline")
    wait_for_a_step(process, chain, 0.05)
    with open_home(chain.home) as loopline:
        assert loopline.tracking.search().runs[0].status == "running"
        process.kill()
        process.communicate()
        killed = loopline.tracking.search().runs[0]
        assert (killed.status, killed.error) == ("killed", "Its process ended before it did.")
        assert loopline.pipelines.get(killed.id).status == "killed"
        monkeypatch.setenv("NOTES", str(chain.notes))
        assert loopline.tracking.sweep() == [killed.id]  # as the worker does
        for left in (killed.id, "nobody's"):
            (chain.home / "work" / "runs" / left).mkdir(parents=True, exist_ok=True)
        done = loopline.pipelines.run(chain.folder, "chain", actor="ann", executor="inline")
        assert (done.error, done.status, loopline.tracking.get(killed.id).status) == ("", "finished", "killed")
        assert [fact.body["status"] for fact in loopline.ledger.about(killed.id, ("run.finished",))] == ["killed"]
        assert not list((chain.home / "work" / "runs").glob("*"))


def test_two_runs_at_once_both_finish_and_agree(tmp_path: Path) -> None:
    from loopline.app.wiring import open_home

    chain = Chain(tmp_path)
    open_home(chain.home).close()
    both = [chain.start("processes") for _ in range(2)]
    outputs = [process.communicate()[0] for process in both]
    assert all("DONE finished" in output for output in outputs)
    with open_home(chain.home) as loopline:
        one, two = loopline.pipelines.runs()
        assert one.outputs == two.outputs
        assert loopline.pipelines.cache_stats().results == 36
        run: Any = loopline.pipelines.run(chain.folder, "chain", actor="ann", executor="inline")
        assert run.count("hit") == 36
        assert loopline.ledger.verify({}).sound


def test_a_process_is_known_by_more_than_its_number() -> None:
    mine = myself()
    assert not is_dead(mine)
    place, pid, start = mine.rsplit(" ", 2)
    assert is_dead(f"{place} {pid} {int(start) - 1}")
    assert is_dead(f"{place} 4194304 1")
    machine, boot, space = place.split("/")
    assert not is_dead(f"other/{boot}/other {pid} {start}")
    assert not is_dead("")
    if machine:
        assert is_dead(f"{machine}/00000000-0000-0000-0000-000000000000/{space} {pid} {start}")
