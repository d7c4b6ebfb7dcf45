"""The executors of this machine keep the port's promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import psutil
import pytest

from loopline.adapters.executors.inline import Inline
from loopline.adapters.executors.processes import Processes
from loopline.core.errors import Unavailable
from loopline.ports.executor import Call, Executor
from loopline.testing.contracts.executors import HERE, ExecutorContract, outcome

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    processes = Processes(slots=2)
    yield processes
    processes.close()


class TestInline(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Executor:
        return Inline()


class TestProcesses(ExecutorContract):
    @pytest.fixture
    def executor(self, pool: Processes) -> Executor:
        return pool

    def test_the_pool_stays_warm(self, pool: Processes) -> None:
        seen = {outcome(pool, "process").answer for _ in range(20)}
        assert len(seen) <= 2
        assert msgspec.json.encode(os.getpid()) not in seen

    def test_two_calls_run_side_by_side(self, pool: Processes) -> None:
        began = time.perf_counter()
        futures = [pool.submit(Call(target=f"{HERE}:process", payload=b"0.5")) for _ in range(2)]
        assert len({future.result(timeout=60).answer for future in futures}) == 2
        assert time.perf_counter() - began < 0.95

    @pytest.mark.parametrize(("number", "words"), [(9, "memory ran out"), (11, "by signal 11")])
    def test_a_crash_fails_only_its_call_and_keeps_its_last_words(
        self, pool: Processes, number: int, words: str
    ) -> None:
        other = pool.submit(Call(target=f"{HERE}:process", payload=b"0.3"))
        crashed = outcome(pool, "vanish", str(number).encode())
        assert crashed.died
        assert words in crashed.error
        assert "train" in crashed.error
        assert crashed.log == b"last words\n"
        assert other.result(timeout=60).error == ""
        assert outcome(pool, "echo", b"on").answer == b"on"

    def test_closing_stops_what_runs_and_leaves_no_process(self) -> None:
        pool = Processes(slots=2)
        pid = msgspec.json.decode(outcome(pool, "process").answer)
        futures = [pool.submit(Call(target=f"{HERE}:process", payload=b"60", label="slow")) for _ in range(4)]
        time.sleep(0.1)
        pool.close()
        assert all(future.result(timeout=5).error == "slow was stopped." for future in futures)
        assert not psutil.pid_exists(pid)
        with pytest.raises(Unavailable):
            pool.submit(Call(target=f"{HERE}:echo", payload=b""))


OWNER = f"""
from loopline.adapters.executors.processes import Processes
from loopline.ports.executor import Call
pool = Processes(slots=2)
pids = [pool.submit(Call(target="{HERE}:process", payload=b"0.2")) for _ in range(2)]
print(*(pid.result().answer.decode() for pid in pids), flush=True)
pool.submit(Call(target="{HERE}:process", payload=b"60")).result()
"""


def test_workers_die_with_their_owner() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    workers = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(set(workers)) == 2
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    ended = time.monotonic() + 5
    while any(map(alive, workers)) and time.monotonic() < ended:
        time.sleep(0.01)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
