"""The executors of this machine keep the port's promises."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from typing import ClassVar

import msgspec
import pytest

from loopline.adapters.executors.inline import Inline
from loopline.adapters.executors.processes import Processes
from loopline.ports.executor import Call, Executor
from loopline.testing.contracts.calls import HERE, outcome
from loopline.testing.contracts.executors import ExecutorContract

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    processes = Processes(slots=2)
    yield processes
    processes.close()


class TestInline(ExecutorContract):
    gaps: ClassVar = dict.fromkeys(
        ("timeout", "memory", "stop", "log", "crash", "cpu", "close"),
        "The call is this process itself, one at a time, over when submit answers.",
    )

    @pytest.fixture
    def executor(self) -> Executor:
        return Inline()

    @pytest.fixture
    def another(self) -> Executor:
        return Inline()

    def test_it_leaves_logging_as_it_was(self, executor: Executor) -> None:
        root = logging.getLogger()
        before, level = list(root.handlers), root.level
        assert outcome(executor, "talk", b"x").log.endswith(b"INFO step: logged\n")
        assert (root.handlers, root.level) == (before, level)


class TestProcesses(ExecutorContract):
    @pytest.fixture
    def executor(self, pool: Processes) -> Executor:
        return pool

    @pytest.fixture
    def another(self) -> Iterator[Executor]:
        processes = Processes(slots=2)
        yield processes
        processes.close()

    def test_the_pool_stays_warm(self, pool: Processes) -> None:
        seen = {outcome(pool, "process").answer for _ in range(20)}
        assert len(seen) <= 2
        assert msgspec.json.encode(os.getpid()) not in seen

    def test_two_calls_run_side_by_side(self, pool: Processes) -> None:
        began = time.perf_counter()
        futures = [pool.submit(Call(target=f"{HERE}:process", payload=b"0.5")) for _ in range(2)]
        assert len({future.result(timeout=60).answer for future in futures}) == 2
        assert time.perf_counter() - began < 0.95
