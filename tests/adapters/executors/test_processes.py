"""Worker processes: warm, each of its own kind, and gone with all they started when their owner is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.adapters.executors.inline import Inline
from loopline.adapters.executors.processes import Processes
from loopline.ports.executor import Call
from loopline.testing.contracts.calls import HERE, alive, eventually, outcome, submitted

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    processes = Processes(slots=2)
    yield processes
    processes.close()


def pid_of(pool: Processes, **limits: object) -> int:
    """The process that a call runs in."""
    return int(submitted(pool, "process", **limits).answer)


OWNER = f"""
from loopline.adapters.executors.processes import Processes
from loopline.ports.executor import Call
pool = Processes(slots=2)
found = [pool.submit(Call(target="{HERE}:parent", payload=b"0.2")) for _ in range(2)]
pids = [pool.submit(Call(target="{HERE}:process", payload=b"0.2")) for _ in range(2)]
print(*(one.result().answer.decode() for one in (*found, *pids)), flush=True)
pool.submit(Call(target="{HERE}:process", payload=b"60")).result()
"""


def test_nothing_outlives_an_owner_that_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    left = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(set(left)) == 4
    assert all(map(alive, left))
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert eventually(lambda: not any(map(alive, left)))


def test_what_a_crashed_call_started_dies_with_it(pool: Processes) -> None:
    left = int(outcome(pool, "parent", b"0").answer)
    worker = pid_of(pool)
    other = pid_of(pool, environment={"KIND": "other"})
    assert alive(left)
    for pid in {worker, other}:
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not any(map(alive, (left, worker, other))))
    assert outcome(pool, "echo", b"on").answer == b"on"


def test_workers_are_kept_for_each_environment_and_leave_when_room_is_needed() -> None:
    pool = Processes(slots=2)
    try:
        plain, other = pid_of(pool), pid_of(pool, environment={"KIND": "other"})
        assert pid_of(pool) == plain != other
        assert pid_of(pool, environment={"KIND": "other"}) == other
        third = pid_of(pool, environment={"KIND": "third"})
        assert third not in (plain, other)
        assert eventually(lambda: sum(map(alive, (plain, other, third))) == 2)
    finally:
        pool.close()


def test_all_workers_see_sets_in_the_same_order(pool: Processes) -> None:
    assert submitted(pool, "variable", b"PYTHONHASHSEED").answer == b"0"


def test_memory_is_counted_over_all_that_a_call_started(pool: Processes) -> None:
    held = submitted(pool, "family", b"80", memory=100 << 20)
    assert (held.reason, held.died) == ("memory", True)
    assert held.error == "The step train needed more than its 100 MB of memory."


def test_a_limit_of_memory_does_not_stay(pool: Processes) -> None:
    for _ in range(3):
        assert submitted(pool, "hoard", b"150", memory=50 << 20).reason == "memory"
        assert submitted(pool, "hoard", b"150").error == ""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of an environment with what Loopline needs, and without Loopline."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True, with_pip=False)
    there = next(folder.glob("lib/python*/site-packages"))
    for name in ("msgspec", "blake3"):
        (there / name).symlink_to(Path(sysconfig.get_path("purelib"), name))
    return folder / "bin" / "python"


def test_another_interpreter_finds_loopline_where_this_one_has_it(pool: Processes, bare_python: Path) -> None:
    told = submitted(pool, "variable", b"PATH", python=str(bare_python))
    assert told.error == ""
    assert submitted(pool, "interpreter", python=str(bare_python)).answer.decode() == str(bare_python.parent.parent)
    assert submitted(pool, "interpreter").answer.decode() == sys.prefix


def test_an_interpreter_that_is_not_there_is_an_outcome(pool: Processes, tmp_path: Path) -> None:
    missing = submitted(pool, "echo", python=str(tmp_path / "python"))
    assert missing.died
    assert str(tmp_path / "python") in missing.error
    assert outcome(pool, "echo", b"on").answer == b"on"


def test_an_interpreter_without_what_loopline_needs_says_what_is_missing(pool: Processes, tmp_path: Path) -> None:
    venv.create(tmp_path, symlinks=True, with_pip=False)
    poor = submitted(pool, "echo", python=str(tmp_path / "bin" / "python"))
    assert "No module named" in poor.error
    assert poor.died


def test_inline_refuses_another_interpreter() -> None:
    assert "executor processes" in submitted(Inline(), "echo", python="/nowhere/python").hint


def test_a_cancelled_call_does_not_run(pool: Processes) -> None:
    busy = [pool.submit(Call(target=f"{HERE}:span", payload=b"0.2")) for _ in range(2)]
    waiting = pool.submit(Call(target=f"{HERE}:span", payload=b"60"))
    assert waiting.cancel()
    assert all(future.result(timeout=30).error == "" for future in busy)
    assert outcome(pool, "echo", b"on").answer == b"on"


def test_small_calls_share_a_slot(pool: Processes) -> None:
    futures = [pool.submit(Call(target=f"{HERE}:whisper", payload=b"60", cpu=0.5)) for _ in range(4)]
    assert eventually(lambda: all(map(pool.log, futures)))
    for future in futures:
        pool.stop(future)
    assert {future.result(timeout=30).reason for future in futures} == {"stopped"}


def test_a_call_given_to_a_process_that_had_just_died_runs_on_another(pool: Processes) -> None:
    for _ in range(5):
        idle = pid_of(pool)
        os.kill(idle, signal.SIGKILL)
        while alive(idle):
            pass
        assert outcome(pool, "echo", b"on").answer == b"on"
