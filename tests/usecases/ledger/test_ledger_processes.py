"""Several processes append at once, and are killed while they do."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopline.testing.factories import installation

pytestmark = pytest.mark.integration

APPENDER = """
import os, sys
from pathlib import Path
from threading import Thread
from loopline.app.wiring import open_home
loopline = open_home(Path(sys.argv[1]))
name, facts = sys.argv[2], int(sys.argv[3])
def append(thread):
    for n in range(facts):
        subject = f"{name}/{thread}/{n}"
        loopline.database.write(lambda tx: loopline.ledger.append(tx, "thing.done", subject, name, {}))
        os.write(1, f"{subject}\\n".encode())
threads = [Thread(target=append, args=(thread,)) for thread in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
loopline.close()
"""


def started(home: Path, name: str, facts: int, told: Path) -> subprocess.Popen[bytes]:
    """A process that appends facts in three threads and writes down each that was acknowledged."""
    with open(told, "ab") as out:
        return subprocess.Popen([sys.executable, "-c", APPENDER, home, name, str(facts)], stdout=out)


def acknowledged(told: Path) -> set[str]:
    """The whole lines in a journal."""
    return {line.strip() for line in told.read_text().splitlines(keepends=True) if line.endswith("\n")}


def test_processes_that_append_at_once_leave_one_chain(tmp_path: Path) -> None:
    installation(tmp_path).close()
    told = [tmp_path / f"told-{n}" for n in range(3)]
    processes = [started(tmp_path / "home", f"p{n}", 40, place) for n, place in enumerate(told)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    with installation(tmp_path) as opened:
        audit = opened.ledger.verify({})
        assert audit.problems == []
        assert audit.facts == 3 * 3 * 40


@pytest.mark.parametrize("round_", range(3))
def test_after_a_kill_the_chain_is_sound_and_nothing_acknowledged_is_lost(tmp_path: Path, round_: int) -> None:
    killed(tmp_path, round_, 2)


@pytest.mark.torture
@pytest.mark.parametrize("round_", range(3, 28))
def test_after_many_kills_the_chain_is_sound_and_nothing_acknowledged_is_lost(tmp_path: Path, round_: int) -> None:
    killed(tmp_path, round_, 8)


def killed(tmp_path: Path, round_: int, count: int) -> None:
    """Kill `count` processes at random moments while they and another append; look at what is left."""
    chance = random.Random(round_)
    installation(tmp_path).close()
    told = [tmp_path / f"told-{n}" for n in range(count)]
    survivor = started(tmp_path / "home", "survivor", 100, tmp_path / "told-survivor")
    victims = [started(tmp_path / "home", f"victim{n}", 10_000, place) for n, place in enumerate(told)]
    until = time.monotonic() + 60
    while not all(place.stat().st_size for place in told) and time.monotonic() < until:
        time.sleep(0.01)
    for victim in victims:
        time.sleep(chance.uniform(0, 0.1))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
    assert survivor.wait(120) == 0
    with installation(tmp_path) as opened:
        assert opened.ledger.verify({}).problems == []
        opened.database.write(lambda tx: opened.ledger.append(tx, "thing.done", "after", "me", {}))
        assert opened.ledger.verify({}).problems == []
        kept = {fact.subject for fact in opened.ledger.since(0, limit=1_000_000)}
    assert set().union(*(acknowledged(place) for place in [*told, tmp_path / "told-survivor"])) <= kept
