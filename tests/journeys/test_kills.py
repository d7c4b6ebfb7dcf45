"""kill -9 of any process at any moment while everything happens at once: nothing that was acknowledged is lost, nothing
is half-done, nobody is orphaned, the ports are free, and the next start is quick."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from loopline.app.wiring import open_home

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "kills"), str(HERE.parents[1] / "examples" / "late-arrival")]

from acknowledged import Journal  # noqa: E402
from comparing import Comparison  # noqa: E402
from driving import Driving  # noqa: E402
from grounds import Grounds  # noqa: E402

pytestmark = pytest.mark.journey

TOKEN = "journey-token-0123456789"
MARK = "LOOPLINE_KILLS_TEST"
READY_S, GONE_S, HEALED_S = 2.0, 3.0, 120.0
IDLE = 0.2  # of the processors, below which other work explains a slow start
MODULES = {
    "loopline.shells.http": "control plane",
    "loopline.shells.dataplane": "data plane",
    "loopline.shells.worker": "worker",
    "loopline.shells.worker.chore": "evaluation",
    "loopline.shells.worker.fire": "firing",
    "loopline.shells.dataplane.model_process": "model process",
}
FIRST = (("supervisor", "head"), ("data plane", "segment"), ("", "rename"), ("loopline run", "time"))
OTHERS = (
    ("control plane", "head"), ("control plane", "wal"), ("control plane", "time"), ("supervisor", "time"),
    ("supervisor", "rename"), ("data plane", "time"), ("worker", "time"), ("worker", "wal"), ("model process", "time"),
    ("loopline run", "wal"), ("step", "time"), ("evaluation", "time"), ("firing", "time"), ("", "rename"),
)  # fmt: skip


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.torture)], ids=["five kills", "fifty kills"])
def test_nothing_acknowledged_is_lost(
    rounds: int,
    up: Callable[..., Any],
    until: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    torture_result: Callable[..., None],
) -> None:
    seed = int(os.environ.get("LOOPLINE_KILLS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"{rounds} kills with LOOPLINE_KILLS_SEED={seed}")
    monkeypatch.setenv(MARK, str(tmp_path))
    play = Play(Grounds(tmp_path / "demo", TOKEN), up, until, tmp_path, seed)
    try:
        for victim, trigger in plan(rounds, play.chance):
            play.round(victim, trigger)
        play.last()
    finally:
        play.close()
    figures = play.figures() | {"rounds": rounds, "seed": seed, "problems": len(play.problems)}
    print(json.dumps(figures, indent=2))
    torture_result(f"kill -9, {rounds} times", **figures)
    assert not play.problems


def plan(rounds: int, chance: random.Random) -> list[tuple[str, str]]:
    """Which process is killed at which moment; those of FIRST are always among them."""
    wanted = [*chance.sample(FIRST, len(FIRST)), *chance.sample(OTHERS, len(OTHERS))]
    while len(wanted) < rounds:
        wanted += chance.sample(FIRST + OTHERS, len(FIRST + OTHERS))
    return wanted[:rounds]


class Play:
    """One installation that is killed again and again while it is busy."""

    def __init__(self, grounds: Grounds, up: Callable[..., Any], until: Callable[..., Any], folder: Path, seed: int):
        self.grounds, self.until, self._up = grounds, until, up
        self.chance = random.Random(seed)
        self.server = up(grounds.home)
        self._build(grounds)
        self.starts: list[float] = []
        self.start_cpu: list[float] = []
        self.healed: list[float] = []
        self.gone: list[float] = []
        self.kills: Counter[str] = Counter()
        self.moments: Counter[str] = Counter()
        self.orphans = self.failed_beside = 0
        self.problems: list[str] = []
        self.journal = Journal(folder / "journal.jsonl")
        self.driving = Driving(grounds, self.journal, self.server.url, self.server.serving_url, seed)
        self.loopline = open_home(grounds.home)
        self.comparison = Comparison(self.journal, self.loopline)
        killer = [sys.executable, "-S", str(HERE / "kills" / "killing.py"), str(grounds.home)]
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        pipe = subprocess.PIPE
        self._killer = subprocess.Popen(killer, stdin=pipe, stdout=pipe, text=True, env=environment)
        until(self._serves, HEALED_S)
        self.driving.start()

    def _build(self, grounds: Grounds) -> None:
        began, client = time.monotonic(), self.server.client
        grounds.build(client, self.until)
        client.close()
        print(f"two versions trained, judged and deployed in {time.monotonic() - began:.0f} s")

    def round(self, wanted: str, trigger: str) -> None:
        """Drive, kill, wait until all is well again, compare."""
        time.sleep(self.chance.uniform(0.3, 2.0))
        parts = self._parts()
        before = {name: parts[name] for name in MODULES.values() if name in parts}
        failures = self._failed_predictions()
        victim, killed = self._kill(wanted, trigger)
        if victim == "data plane":
            self.comparison.excused.append(killed["at"])
        began = time.monotonic()
        if victim == "supervisor":
            self._start_again()
        self._wait_until_healed(victim, before, killed["pid"])
        self.healed.append(time.monotonic() - began)
        if victim not in ("supervisor", "data plane", "model process"):
            self.failed_beside += self._failed_predictions() - failures
        self._compare(victim, killed["trigger"])

    def _kill(self, wanted: str, trigger: str) -> tuple[str, dict[str, Any]]:
        """kill -9 the process wanted (or the writer of a temporary file); another one when it is not there."""
        for attempt in range(50):
            parts = self._parts()
            pid = 0 if not wanted else parts.get(wanted) or self.chance.choice(sorted(parts.values()))
            names = {pid: name for name, pid in parts.items()}
            spared = parts.get("control plane", 0) if not attempt and self.chance.random() < 0.7 else 0
            killed = self._order(pid, trigger, spared)
            if killed["pid"]:
                victim = names.get(killed["pid"]) or named(killed["command"])
                self.kills[victim] += 1
                self.moments[killed["trigger"]] += 1
                return victim, killed
        raise AssertionError(f"there was no {wanted or 'writer'} to kill")

    def _order(self, pid: int, trigger: str, spared: int) -> dict[str, Any]:
        assert self._killer.stdin is not None
        assert self._killer.stdout is not None
        order = {"pid": pid, "trigger": trigger, "patience_s": 1.5 if pid else 8, "spare": spared}
        self._killer.stdin.write(json.dumps(order) + "\n")
        self._killer.stdin.flush()
        answer: dict[str, Any] = json.loads(self._killer.stdout.readline())
        return answer

    def _parts(self) -> dict[str, int]:
        """Ids of the processes that run now, by what they are."""
        found = {"supervisor": self.server.process.pid}
        marked = self._marked()
        random.shuffle(marked)  # of several alike any one
        for process in marked:
            with contextlib.suppress(psutil.Error):
                found.setdefault(named(process.cmdline()), process.pid)
        found.pop("", None)
        return found

    def _marked(self) -> list[psutil.Process]:
        """Everything alive that the installation or a `loopline run` started."""
        mark = f"{MARK}={self.grounds.home.parents[1]}".encode()
        found = []
        for process in psutil.process_iter():
            try:
                there = mark in Path(f"/proc/{process.pid}/environ").read_bytes()
            except OSError:
                continue
            if there and process.pid != os.getpid():
                found.append(process)
        return found

    def _strays(self) -> list[psutil.Process]:
        """Processes that neither the server nor the training under way answers for."""
        allowed = {self.server.process.pid} if self.server.process.poll() is None else set()
        training = self.driving.training
        if training is not None and training.poll() is None:
            allowed.add(training.pid)
        found = []
        for process in self._marked():
            try:
                line = {process.pid, *(parent.pid for parent in process.parents())}
                if not line & allowed and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def _start_again(self) -> None:
        """After the supervisor fell: its children end, its ports are free, and the next start is quick."""
        self.server.process.wait(10)
        self._wait_until_gone()
        addresses = [urlsplit(url) for url in (self.server.url, self.server.serving_url)]
        for address in addresses:
            with socket.socket() as free:
                free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                free.bind((address.hostname, address.port))
        self._start("--port", str(addresses[0].port), "--serving-port", str(addresses[1].port))

    def _wait_until_gone(self) -> None:
        """Nobody outlives those who started it."""
        began = time.monotonic()
        self.until(lambda: not self._strays(), 15)
        self.gone.append(time.monotonic() - began)
        self.orphans += self.gone[-1] > GONE_S

    def _start(self, *ports: str) -> None:
        """Within two seconds; on a machine that is busy with other things, with two seconds of CPU time."""
        before = psutil.cpu_times()
        self.server = self._up(self.grounds.home, *ports)
        spent = sum(sum(process.cpu_times()[:4]) for process in self.server.family())
        after = psutil.cpu_times()
        idle = (after.idle + after.iowait - before.idle - before.iowait) / self.server.ready_s / psutil.cpu_count()
        self.starts.append(self.server.ready_s)
        self.start_cpu.append(spent)
        if self.server.ready_s > READY_S and (idle > IDLE or spent > READY_S):
            self.problems.append(f"a start took {self.server.ready_s:.1f} s ({spent:.1f} s of CPU, {idle:.0%} idle)")

    def _wait_until_healed(self, victim: str, before: dict[str, int], pid: int) -> None:
        """The fallen part stands again, everything answers, nobody is orphaned, no dead run is said to be running."""
        self._wait_until_gone()
        planes = ("control plane", "data plane", "worker")
        self.until(lambda: set(planes) <= self._parts().keys() and pid not in self._parts().values(), HEALED_S)
        parts = self._parts()
        if victim != "supervisor":
            moved = [name for name in planes if name != victim and parts[name] != before[name]]
            self.problems += [f"when the {victim} fell, so did the {name}" for name in moved]
        self.until(self._serves, HEALED_S)
        self.until(lambda: self.driving.client.call("access.who")["role"] == "admin", HEALED_S)

    def _failed_predictions(self) -> int:
        return sum(count for what, count in self.journal.failures.items() if what.startswith("ask: "))

    def _serves(self) -> bool:
        try:
            self.driving.ask()
        except OSError:
            return False
        return True

    def _compare(self, victim: str, trigger: str) -> None:
        self.driving.gate.close()
        time.sleep(0.3)  # the last predictions are flushed
        known = {*self.comparison.lost, *self.comparison.torn}
        self.comparison.all()
        found = [each for each in (*self.comparison.lost, *self.comparison.torn) if each not in known]
        found += [f"{each} is said to run" for each in settled(self.comparison.left_running, HEALED_S)]
        found += [f"{each} is half deployed" for each in settled(self.comparison.unsettled, HEALED_S)]
        self.problems += [f"after the {victim} was killed ({trigger}): {each}" for each in found]
        print(f"{victim} ({trigger}) healed in {self.healed[-1]:.1f} s", *found, sep="\n  ")
        self.driving.gate.open()

    def last(self) -> None:
        """End everything in order, compare all that was ever acknowledged, and start once more."""
        self.driving.end()
        if self.server.stop() != 0:
            self.problems.append(f"the server ended with {self.server.process.returncode}")
        self.until(lambda: not self._strays(), 10)
        self.comparison.again()
        self.comparison.all()
        self._start()
        self.problems += self.comparison.lost + self.comparison.torn + self.journal.problems
        self.problems += [f"{self.orphans} times processes were left for more than {GONE_S} s"] if self.orphans else []

        if self.failed_beside:
            self.problems.append(f"{self.failed_beside} predictions failed while others fell")

    def close(self) -> None:
        """Let go of everything; the server ends with the test."""
        self.driving.end()
        self.driving.client.close()
        self._killer.kill()
        self._killer.communicate()
        self.loopline.close()
        self.journal.close()

    def figures(self) -> dict[str, Any]:
        """What was done and found."""
        return {
            "kills": dict(sorted(self.kills.items())),
            "moments": dict(sorted(self.moments.items())),
            "acknowledged": dict(sorted(self.comparison.compared.items())),
            "lost": len(set(self.comparison.lost)),
            "torn": len(set(self.comparison.torn)),
            "steps_run_twice": sum("again" in each for each in self.journal.problems),
            "unflushed_predictions_gone": self.comparison.vanished,
            "predictions_failed_while_others_fell": self.failed_beside,
            "orphans": self.orphans,
            "gone_s_max": round(max(self.gone), 2),
            "starts": len(self.starts),
            "start_s_max": round(max(self.starts), 2),
            "start_s_median": round(statistics.median(self.starts), 2),
            "start_cpu_s_max": round(max(self.start_cpu), 2),
            "healed_s_max": round(max(self.healed), 2),
            "healed_s_median": round(statistics.median(self.healed), 2),
        }


def named(command: list[str]) -> str:
    """What a process is, from its command line; empty for others."""
    if any(word.endswith("/executors/guard.py") for word in command):
        return "step"
    if "-m" not in command:
        return ""
    module, rest = command[command.index("-m") + 1], command[command.index("-m") + 2 :]
    if module == "loopline":
        return {"run": "loopline run", "up": "supervisor"}.get(rest[0] if rest else "", "")
    return MODULES.get(module, "")


def settled(left: Callable[[], list[str]], seconds: float) -> list[str]:
    """What is left of what should go away by itself."""
    until = time.monotonic() + seconds
    while (found := left()) and time.monotonic() < until:
        time.sleep(0.1)
    return found
