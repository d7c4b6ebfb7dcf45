"""Models' processes are forked, belong to the router, and outlive what they were forked from."""

from __future__ import annotations

import os

import psutil
import pytest
from dataplane_router import Router

pytestmark = pytest.mark.integration


def family(router: Router) -> tuple[psutil.Process, list[psutil.Process]]:
    """The nursery, which is the first of them, and the models' processes."""
    assert router.process is not None
    children = [child for child in psutil.Process(router.process.pid).children() if lives(child)]
    nursery, *models = sorted(children, key=lambda child: child.create_time())
    return nursery, models


def lives(child: psutil.Process) -> bool:
    try:
        return bool(child.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_processes_are_the_routers_own_and_outlive_the_nursery(live: Router) -> None:
    nursery, models = family(live)
    assert [model.ppid() for model in models] == [live.process.pid]  # type: ignore[union-attr]
    before = models[0].pid
    nursery.kill()
    assert live.predict()[0] == 200
    live.deploy(2)
    assert live.predict()[1]["predictions"] == [207.5]
    assert psutil.pid_exists(before)
    live.until(lambda: all(lives(child) for child in psutil.Process(live.process.pid).children()))  # type: ignore[union-attr]


def test_a_model_that_wants_threads_gets_a_process_of_its_own(live: Router) -> None:
    live.serving.configure("late", {"threads": 2}, "tester")

    def environment() -> bool:
        children = psutil.Process(live.process.pid).children()  # type: ignore[union-attr]
        return any(child.environ().get("OMP_NUM_THREADS") == "2" for child in children if lives(child))

    live.until(environment)
    live.until(lambda: live.predict()[0] == 200)


def test_several_processes_share_the_work_and_each_dies_alone(live: Router) -> None:
    live.serving.configure("late", {"workers": 2}, "tester")
    live.until(lambda: len(family(live)[1]) >= 3)  # two, and the one before in case of a rollback
    assert live.predict()[0] == 200
    for model in family(live)[1]:
        os.kill(model.pid, 9)
        assert live.predict()[0] == 200
    _, metrics = live.ask("GET", "/metrics")
    assert 'loopline_model_processes_restarted_total{endpoint="late"}' in metrics


def test_nobody_asks_and_the_model_is_unloaded_until_somebody_does(live: Router) -> None:
    live.serving.configure("late", {"idle_s": 0.5}, "tester")
    live.until(lambda: len(family(live)[1]) == 0)
    assert live.ask("GET", "/v2/health/ready")[0] == 200
    assert live.predict()[0] == 200
    _, metrics = live.ask("GET", "/metrics")
    assert 'loopline_models_unloaded_total{endpoint="late"} 1' in metrics
