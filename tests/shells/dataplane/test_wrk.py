"""Nobody notices a deployment, a renewal or a crash: under wrk, which never tries again, at full load, with connections
that are kept and with a new one for each request at the same time."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed"),
]
CONNECTIONS = 16
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Seen:
    """What wrk saw: whole answers, p99 in milliseconds, and its lines about anything that went wrong."""

    answers: int
    p99_ms: float
    wrong: list[str]


class Wrk:
    """Two of them on one endpoint."""

    def __init__(self, router: Router, seconds: float) -> None:
        self._running = [self._started(router, seconds, header) for header in ("keep-alive", "close")]

    def _started(self, router: Router, seconds: float, connection: str) -> subprocess.Popen[str]:
        script = router.home / f"{connection}.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [[{json.dumps({"rows": [ROW]})}]]\n'
            f'wrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer {TOKEN}"\n'
            f'wrk.headers["Connection"] = "{connection}"\n'
        )
        url = f"http://127.0.0.1:{router.port}/v1/endpoints/late/predict"
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds:.0f}",
            "--timeout",
            "10s",
            "--latency",
            "-s",
            str(script),
        ]
        return subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True)

    def over(self) -> bool:
        return all(each.poll() is not None for each in self._running)

    def seen(self) -> list[Seen]:
        return [self._seen(each.communicate(timeout=120)[0]) for each in self._running]

    def _seen(self, said: str) -> Seen:
        answers, p99 = re.search(r"([0-9]+) requests in", said), re.search(r" 99%\s+([0-9.]+)(us|ms|s)", said)
        assert answers is not None, said
        assert p99 is not None, said
        wrong = [line.strip() for line in said.splitlines() if "Non-2xx" in line or "Socket errors" in line]
        return Seen(int(answers[1]), float(p99[1]) * UNITS[p99[2]], wrong)


def counted(router: Router) -> int:
    """Answers 200 that the routers of this installation counted."""
    _, metrics = router.ask("GET", "/metrics")
    found = re.findall(r'loopline_requests_total\{endpoint="late",revision="\d+",status="200"\} (\d+)', metrics)
    return sum(int(each) for each in found)


def check(router: Router, seen: list[Seen], answered: int | None = None) -> int:
    """Nothing went wrong, and every answer is in the log once; what wrk cut off at its end may be there too."""
    assert [each.wrong for each in seen] == [[], []]
    answers = sum(each.answers for each in seen)
    assert answers > 1000
    logged = router.logged(at_least=answers if answered is None else answered)
    ids = logged["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    assert 0 <= len(ids) - answers <= 2 * CONNECTIONS
    if answered is not None:
        assert len(ids) == answered
    return answers


def swap_until_over(router: Router, load: Wrk, every_s: float) -> int:
    swaps, due = 0, time.monotonic()
    while not load.over():
        time.sleep(max(0.0, due - time.monotonic()))
        due += every_s
        router.serving.route("late", 1 + swaps % 2, "tester")
        router.serving.wait("late", 1 + swaps % 2, 20)
        swaps += 1
    return swaps


@pytest.fixture
def two(live: Router) -> Router:
    """Two versions that were live, the second is."""
    live.deploy(2)
    return live


def test_swaps_under_wrk_lose_nothing(two: Router) -> None:
    load = Wrk(two, 4)
    swaps = swap_until_over(two, load, 0.5)
    check(two, load.seen(), counted(two))
    assert swaps >= 3


def test_a_successor_under_wrk_loses_nothing(two: Router) -> None:
    two.until(lambda: (two.home / "run" / "loaded.json").exists())
    load = Wrk(two, 5)
    time.sleep(0.5)
    before = two.process
    two.start("--replace")
    assert before is not None
    assert before.wait(30) == 0
    check(two, load.seen())


@pytest.mark.torture
def test_two_swaps_a_second_for_a_minute(two: Router, torture_result: Callable[..., None]) -> None:
    quiet = Wrk(two, 15).seen()
    before = counted(two)
    load = Wrk(two, 60)
    swaps = swap_until_over(two, load, 0.5)
    seen = load.seen()
    assert [each.wrong for each in seen] == [[], []]
    answers, answered = sum(each.answers for each in seen), counted(two)
    assert 0 <= answered - before - answers <= 2 * CONNECTIONS
    assert two.logged(at_least=answered, patience=30).num_rows == answered
    assert swaps >= 100
    torture_result(
        "swaps under load", swaps=swaps, seconds=60, connections=2 * CONNECTIONS, answers=answers, logged=answered - before,
        failed=0, kept_per_second=seen[0].answers // 60, new_per_second=seen[1].answers // 60, kept_p99_ms=seen[0].p99_ms,
        new_p99_ms=seen[1].p99_ms, quiet_kept_p99_ms=quiet[0].p99_ms, quiet_new_p99_ms=quiet[1].p99_ms,
    )  # fmt: skip


@pytest.mark.torture
def test_ten_successors_under_load(two: Router, torture_result: Callable[..., None]) -> None:
    two.until(lambda: (two.home / "run" / "loaded.json").exists())
    load, renewals = Wrk(two, 60), 0
    while not load.over() and renewals < 10:
        time.sleep(1.5)
        before = two.process
        two.start("--replace")
        assert before is not None
        assert before.wait(30) == 0
        renewals += 1
    answers = check(two, load.seen())
    torture_result("renewals under load", renewals=renewals, connections=2 * CONNECTIONS, answers=answers, failed=0)


@pytest.mark.torture
def test_killed_processes_under_load(two: Router, torture_result: Callable[..., None]) -> None:
    two.serving.configure("late", {"workers": 2}, "tester")
    two.until(lambda: len(_children(two)) >= 3)
    load, kills = Wrk(two, 30), 0
    while not load.over():
        time.sleep(1.0)
        children: list[Any] = sorted(_children(two), key=lambda child: child.create_time())[1:]
        for child in children[kills % len(children) :][:1]:
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
    answers = check(two, load.seen())
    torture_result("processes killed under load", kills=kills, connections=2 * CONNECTIONS, answers=answers, failed=0)


def _children(router: Router) -> list[psutil.Process]:
    assert router.process is not None
    return [each for each in psutil.Process(router.process.pid).children() if each.status() != psutil.STATUS_ZOMBIE]
