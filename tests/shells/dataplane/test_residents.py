"""Which models are in memory: by use, by budget, and as they were at the last end."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.shells.dataplane.residents import EAGER, LOADED, Residents, machine_memory, wanted_at_start

pytestmark = pytest.mark.unit


class Sleeper:
    """A revision with one process of a given size."""

    def __init__(self, name: str, used: float, pid: int, idle_s: float = 0.0, memory_mb: int = 0) -> None:
        self.endpoint, self.used = name, used
        self.options = SimpleNamespace(idle_s=idle_s, memory_mb=memory_mb)
        self.workers = [SimpleNamespace(pid=pid, ready=True, memory=0, memory_first=0)]
        self.busy = False
        self.slept = self.replaced = 0

    def up(self) -> int:
        return len(self.workers)

    def idle(self) -> bool:
        return not self.busy

    def sleep(self) -> None:
        self.workers = []
        self.slept += 1

    def replace(self, worker: Any) -> None:
        self.replaced += 1


class House:
    """As much of an application as residents need."""

    def __init__(self, home: Path, *sleepers: Sleeper) -> None:
        self.home = home
        self.ended = False
        self.awake = set(sleepers)
        self.endpoints = {each.endpoint: SimpleNamespace(starting=None, live=each) for each in sleepers}
        self.intake = SimpleNamespace(submit=lambda call, *given: call(*given))
        self.loop = SimpleNamespace(time=lambda: 100.0)
        self.metrics = SimpleNamespace(add=lambda name: None)

    def is_live(self, revision: Any) -> bool:
        return True


def measured(residents: Residents, sizes: dict[int, int]) -> None:
    done: Future[dict[int, int]] = Future()
    done.set_result(sizes)
    residents._measured(done)


@pytest.fixture
def three(tmp_path: Path) -> tuple[Residents, list[Sleeper]]:
    sleepers = [Sleeper("a", 10.0, 1), Sleeper("b", 30.0, 2), Sleeper("c", 20.0, 3)]
    house: Any = House(tmp_path, *sleepers)
    return Residents(house, 250), sleepers


def test_who_was_used_longest_ago_leaves_first(three: tuple[Residents, list[Sleeper]]) -> None:
    residents, (a, b, c) = three
    measured(residents, {1: 100, 2: 100, 3: 100})
    assert (a.slept, b.slept, c.slept, residents.used) == (1, 0, 0, 200)


def test_who_has_work_stays(three: tuple[Residents, list[Sleeper]]) -> None:
    residents, (a, b, c) = three
    a.busy = True
    measured(residents, {1: 100, 2: 100, 3: 100})
    assert (a.slept, b.slept, c.slept) == (0, 0, 1)


def test_one_that_is_being_deployed_stays(three: tuple[Residents, list[Sleeper]]) -> None:
    residents, (a, _, c) = three
    house: Any = residents._app
    house.endpoints["a"].starting = a
    measured(residents, {1: 100, 2: 100, 3: 100})
    assert (a.slept, c.slept) == (0, 1)


def test_nobody_leaves_while_all_fit(three: tuple[Residents, list[Sleeper]]) -> None:
    residents, sleepers = three
    measured(residents, {1: 80, 2: 80, 3: 80})
    assert [each.slept for each in sleepers] == [0, 0, 0]
    assert residents.used == 240


def test_idle_models_sleep(tmp_path: Path) -> None:
    idle, fresh, busy = Sleeper("a", 10.0, 1, 5.0), Sleeper("b", 18.0, 2, 5.0), Sleeper("c", 10.0, 3, 5.0)
    busy.busy = True
    house: Any = House(tmp_path, idle, fresh, busy)
    residents = Residents(house, 0)
    residents._measured_at = 20.0
    residents.tick(20.0)
    assert (idle.slept, fresh.slept, busy.slept) == (1, 0, 0)


def test_a_process_that_grows_is_replaced_but_not_one_that_always_was_so_large(tmp_path: Path) -> None:
    grows, large = Sleeper("a", 1.0, 1, memory_mb=1), Sleeper("b", 1.0, 2, memory_mb=1)
    house: Any = House(tmp_path, grows, large)
    residents = Residents(house, 0)
    measured(residents, {1: 500_000, 2: 2_000_000})
    measured(residents, {1: 1_500_000, 2: 2_000_000})
    assert (grows.replaced, large.replaced) == (1, 0)


def test_the_next_start_loads_what_was_loaded(tmp_path: Path) -> None:
    many = [f"e{number}" for number in range(EAGER + 1)]
    assert wanted_at_start(tmp_path, many) == set()
    assert wanted_at_start(tmp_path, many[:3]) == {"e0", "e1", "e2"}
    (tmp_path / "run").mkdir()
    house: Any = House(tmp_path, Sleeper("e1", 1.0, 1), Sleeper("e9", 1.0, 2))
    residents = Residents(house, 0)
    residents._measured_at = 100.0
    residents.tick(100.0)
    assert not (tmp_path / LOADED).exists()
    residents.remembering = True
    residents.tick(100.0)
    assert json.loads((tmp_path / LOADED).read_text()) == ["e1", "e9"]
    assert wanted_at_start(tmp_path, many[:3]) == {"e1"}
    (tmp_path / LOADED).write_text("{")
    assert wanted_at_start(tmp_path, many[:3]) == {"e0", "e1", "e2"}


def test_the_budget_defaults_to_half_of_the_machine(tmp_path: Path) -> None:
    house: Any = House(tmp_path)
    assert Residents(house, 0).budget == pytest.approx(machine_memory() / 2, abs=1)
