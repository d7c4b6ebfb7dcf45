"""A revision's queue and process, with a link that the test plays."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.core.tables import Column, Signature
from loopline.core.verbs import Caller, Role
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.application import Application
from loopline.shells.dataplane.hosts import Hosts
from loopline.shells.dataplane.limits import Limits
from loopline.shells.dataplane.replies import PLAIN
from loopline.shells.dataplane.revision import COLD, READY, STARTING, STOPPED, UNFIT, Revision, fields_of
from loopline.shells.dataplane.workers import Worker
from loopline.usecases.serving.options import DEFAULTS, Options

pytestmark = pytest.mark.unit

SIGNATURE = Signature((Column("x", "float"),), Column("y", "float"))


class Link:
    """Keeps batches until the test answers them."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []
        self.stopped = self.killed = False

    pid = 0

    def send(self, number: int, packed: Any, explain: bool = False) -> None:
        self.sent.append((number, len(packed[0]) // 8))
        self.explained = explain

    def stop(self) -> None:
        self.stopped = True

    def kill(self) -> None:
        self.killed = True

    def ended(self) -> bool:
        return True


class Exchange:
    def __init__(self) -> None:
        self.said: Any = None
        self.started = time.perf_counter_ns()
        self.gone = False
        self.answers = 0
        self.label: Any = None
        self.caller = Caller("x", Role.VIEWER)

    def ok(self, body: bytes) -> None:
        self.said = 200
        self.answers += 1

    def refuse(self, fault: Fault) -> None:
        self.said = fault.status
        self.answers += 1


class Stage:
    """A revision on an application without sockets."""

    def __init__(self, folder: Path, live: bool = True, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        wished = Options(**{"queue_rows": 10, "batch_rows": 4, **options})
        self.app = Application(
            self.loop, folder, lambda secret: Caller("x", Role.ADMIN), Hosts(), Limits(), "none:none"
        )
        desired: Any = SimpleNamespace(endpoint=SimpleNamespace(key=None, event_time=None, options=wished))
        deployment: Any = SimpleNamespace(
            endpoint="late", revision=1, model="m", version=1, signature=SIGNATURE, rules=None
        )
        self.revision = Revision(self.app, desired, deployment)
        self.started = 0
        self.app.spawn = self._spawn  # type: ignore[method-assign]
        if live:
            self.app.route("late").live = self.revision
        self.revision.wake()

    def _spawn(self, work: Any) -> None:
        work.close()
        self.started += 1
        self.worker.link = Link()  # type: ignore[assignment]

    @property
    def worker(self) -> Worker:
        return self.revision.workers[-1]

    @property
    def link(self) -> Any:
        return self.worker.link

    def ready(self) -> None:
        for worker in self.revision.workers:
            if not worker.ready:
                worker.on_ready({})

    def lost(self) -> None:
        self.worker.on_lost()

    def ask(self, *values: float, explain: bool = False) -> Exchange:
        exchange = Exchange()
        self.revision.submit(exchange, [(value,) for value in values], PLAIN, explain=explain)
        return exchange

    def until(self, condition: Callable[[], Any]) -> None:
        for _ in range(1000):
            if condition():
                return
            self.turn(0.01)
        raise AssertionError("it never came to be")

    def close(self) -> None:
        self.revision.stop()
        if self.app.recorder._timer is not None:
            self.app.recorder._timer.cancel()
        for executor in (self.app.writing, self.app.intake, self.app.asking, self.app.decoding):
            executor.shutdown()
        self.loop.close()

    def turn(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def answer(self, place: int = -1) -> None:
        worker = self.revision.workers[place]
        number, rows = worker.link.sent[-1]  # type: ignore[union-attr]
        worker.on_answer(number, array("d", [0.5] * rows).tobytes(), [])


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**options: Any) -> Stage:
        made.append(Stage(tmp_path, **options))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture
def stage(stages: Callable[..., Stage]) -> Stage:
    return stages()


def test_what_one_turn_reads_goes_out_together_and_the_rest_gathers(stage: Stage) -> None:
    stage.ready()
    first = [stage.ask(1.0), stage.ask(2.0, 3.0)]
    stage.turn()
    later = [stage.ask(4.0) for _ in range(3)]
    stage.turn()
    assert stage.link.sent == [(1, 3)]
    stage.answer()
    assert [each.said for each in first] == [200, 200]
    assert stage.link.sent == [(1, 3), (2, 3)]
    stage.answer()
    assert [each.said for each in later] == [200] * 3


def test_batches_are_bounded_but_a_large_request_goes_alone(stage: Stage) -> None:
    stage.ready()
    everyone = [stage.ask(1.0, 2.0, 3.0), stage.ask(1.0, 2.0), stage.ask(*[1.0] * 5)]
    stage.turn()
    for _ in range(3):
        stage.answer()
    assert [rows for _, rows in stage.link.sent] == [3, 2, 5]
    assert [each.said for each in everyone] == [200] * 3


def test_too_much_waiting_is_refused_and_says_whose_fault_it_is(stage: Stage) -> None:
    stage.ask(*[1.0] * 10)
    with pytest.raises(Fault) as refused:
        stage.ask(1.0)
    assert refused.value.status == 503
    assert b"retry-after" in refused.value.headers
    stage.ready()
    stage.turn()
    stage.ask(*[1.0] * 10)
    with pytest.raises(Fault, match="10 rows waiting, of 10") as refused:
        stage.ask(1.0)
    assert refused.value.status == 429
    assert b"retry-after" in refused.value.headers


def test_a_dead_process_gets_its_requests_once_more(stage: Stage) -> None:
    stage.ready()
    exchange = stage.ask(1.0)
    stage.turn()
    stage.lost()
    stage.turn(0.01)
    assert (stage.revision.state, stage.started, exchange.said) == (STARTING, 2, None)
    stage.ready()
    stage.turn()
    stage.lost()
    assert exchange.said == 503
    assert stage.revision.idle()


def test_waiting_for_a_process_ends_after_a_bound(stages: Callable[..., Stage]) -> None:
    stage = stages(timeout_s=0.01)
    exchange = stage.ask(1.0)
    stage.until(lambda: exchange.said)
    assert exchange.said == 503
    assert stage.revision.queue.rows == 0


def test_a_request_is_given_up_in_time_and_a_process_that_hangs_is_ended(stages: Callable[..., Stage]) -> None:
    stage = stages(timeout_s=0.01)
    stage.ready()
    first = stage.ask(1.0)
    stage.turn()
    second = stage.ask(2.0)
    stage.until(lambda: first.said and second.said and stage.link.killed)
    assert (first.said, second.said) == (504, 504)
    assert stage.revision.queue.rows == 0
    stage.answer()
    assert (first.answers, second.answers) == (1, 1)
    assert stage.app.recorder.recorded == 0


def test_a_client_that_hung_up_is_not_asked_for(stage: Stage) -> None:
    stage.ready()
    stage.ask(1.0)
    stage.turn()
    gone, stays = stage.ask(2.0, 3.0), stage.ask(4.0)
    gone.gone = True
    stage.answer()
    assert stage.link.sent == [(1, 1), (2, 1)]
    stage.answer()
    assert (gone.said, stays.said) == (None, 200)
    assert stage.app.metrics.counters["requests_cancelled"] == {'{endpoint="late"}': 1}


def test_batches_go_to_processes_that_are_idle(stages: Callable[..., Stage]) -> None:
    stage = stages(workers=2)
    stage.ready()
    first = stage.ask(1.0)
    stage.turn()
    second = stage.ask(2.0)
    stage.turn()
    assert [worker.link.sent for worker in stage.revision.workers] == [[(1, 1)], [(1, 1)]]
    third = stage.ask(3.0)
    stage.turn()
    stage.answer(0)
    stage.answer(1)
    assert [each.said for each in (first, second, third)] == [200, 200, None]
    stage.answer(0)
    assert third.said == 200


def test_slow_rows_are_shared_out_between_idle_processes(stages: Callable[..., Stage]) -> None:
    stage = stages(workers=2, batch_rows=100)
    stage.ready()
    stage.revision._row_ns = 1e6
    for value in range(8):
        stage.ask(float(value))
    stage.turn()
    assert [worker.link.sent for worker in stage.revision.workers] == [[(1, 4)], [(1, 4)]]


def test_the_death_of_one_is_made_good_by_another(stages: Callable[..., Stage]) -> None:
    stage = stages(workers=2)
    stage.ready()
    exchange = stage.ask(1.0)
    stage.turn()
    dead = next(worker for worker in stage.revision.workers if worker.sent)
    dead.on_lost()
    stage.turn()
    assert stage.revision.state == READY
    stage.answer(0)
    assert exchange.said == 200
    stage.turn(0.01)
    assert len(stage.revision.workers) == 2


def test_one_that_has_grown_is_replaced_before_it_ends(stage: Stage) -> None:
    stage.ready()
    exchange, old = stage.ask(1.0), stage.worker
    stage.turn()
    stage.revision.replace(old)
    stage.revision.replace(old)
    assert len(stage.revision.workers) == 2
    stage.ready()
    assert old in stage.revision.workers
    old.on_answer(1, array("d", [0.5]).tobytes(), [])
    assert exchange.said == 200
    assert old not in stage.revision.workers
    assert old.link.stopped  # type: ignore[union-attr]


def test_under_load_a_batch_may_wait_for_more(stages: Callable[..., Stage]) -> None:
    stage = stages(batch_wait_s=0.02)
    stage.ready()
    stage.ask(1.0), stage.ask(2.0)
    stage.turn()
    assert stage.link.sent == [(1, 2)]
    later = stage.ask(3.0)
    stage.answer()
    stage.turn()
    assert stage.link.sent == [(1, 2)]
    stage.until(lambda: len(stage.link.sent) == 2)
    stage.answer()
    assert later.said == 200
    alone = stage.ask(4.0)
    stage.turn()
    assert stage.link.sent[-1] == (3, 1)
    stage.answer()
    assert alone.said == 200


def test_explanations_travel_in_batches_of_their_own(stage: Stage) -> None:
    stage.ready()
    plain, explained = stage.ask(1.0), stage.ask(2.0, 3.0, explain=True)
    stage.turn()
    assert (stage.link.sent, stage.link.explained) == ([(1, 1)], False)
    stage.answer()
    assert (stage.link.sent[-1], stage.link.explained) == ((2, 2), True)
    item = stage.worker.sent.items[0]  # type: ignore[union-attr]
    told = (array("d", [0.1, 0.1]).tobytes(), [array("d", [1.0, 2.0]).tobytes()])
    stage.worker.on_answer(2, array("d", [0.5] * 2).tobytes(), [], told)
    assert item.explanation == (array("d", [0.1, 0.1]), [array("d", [1.0, 2.0])])
    assert (plain.said, explained.said) == (200, 200)


def test_small_batches_stay_in_the_router_and_large_ones_travel(stage: Stage) -> None:
    stage.ready()

    def predict(packed: Any) -> Any:
        return array("d", [0.5] * (len(packed[0]) // 8)).tobytes(), []

    stage.revision.inline = SimpleNamespace(most_rows=3, predict=predict)  # type: ignore[assignment]
    small = stage.ask(1.0)
    stage.turn()
    assert (small.said, stage.link.sent) == (200, [])
    large, wish = stage.ask(*[1.0] * 4), stage.ask(1.0, explain=True)
    stage.turn()
    assert (large.said, stage.link.sent) == (None, [(1, 4)])
    stage.answer()
    stage.answer()
    assert (large.said, wish.said, stage.link.sent) == (200, 200, [(1, 4), (2, 1)])
    stage.revision.sleep()
    assert stage.revision.inline is None


def test_nobody_asks_and_it_sleeps_until_somebody_does(stage: Stage) -> None:
    stage.ready()
    stage.revision.sleep()
    assert (stage.revision.state, stage.revision.workers) == (COLD, [])
    exchange = stage.ask(1.0)
    assert (stage.revision.state, stage.started) == (STARTING, 2)
    stage.ready()
    stage.turn()
    stage.answer()
    assert exchange.said == 200


def test_a_process_that_never_comes_up_is_ended(stage: Stage) -> None:
    stage.revision.watch(stage.app.now + 119)
    assert not stage.link.killed
    stage.revision.watch(stage.app.now + 121)
    assert stage.link.killed


def test_a_live_model_that_does_not_load_is_tried_again(stage: Stage) -> None:
    exchange = stage.ask(1.0)
    stage.worker.on_failed("no memory")
    stage.lost()
    assert exchange.said == 503
    assert stage.revision.state == STARTING


def test_one_that_was_never_live_stays_down(stages: Callable[..., Stage]) -> None:
    stage = stages(live=False)
    stage.lost()
    assert (stage.revision.state, stage.revision.reason) == (UNFIT, "Its process died before it was ready.")
    stage.turn(0.01)
    assert stage.started == 1


def test_a_dead_process_whose_socket_is_held_is_let_go(stage: Stage) -> None:
    stage.link.pid = 7
    stage.ready()
    stage.revision.watch(stage.loop.time())
    assert not stage.link.killed  # what it said last may not have been read yet
    stage.revision.watch(stage.loop.time())
    assert stage.link.killed


def test_a_late_answer_of_an_ended_process_is_not_taken(stage: Stage) -> None:
    stage.ready()
    exchange = stage.ask(1.0)
    stage.turn()
    worker = stage.worker
    worker.on_answer(99, b"", [])
    assert exchange.said is None
    stage.answer()
    stage.revision.stop()
    worker.on_lost()
    assert (stage.revision.state, worker.link.stopped) == (STOPPED, True)  # type: ignore[union-attr]
    assert stage.started == 1


def test_options_that_need_no_new_process() -> None:
    endpoint: Any = SimpleNamespace(key=None, event_time=None, options=DEFAULTS)
    light: Any = SimpleNamespace(key=None, event_time=None, options=Options(timeout_s=1.0, rate=5.0))
    heavy: Any = SimpleNamespace(key=None, event_time=None, options=Options(workers=2))
    assert fields_of(light) == fields_of(endpoint) != fields_of(heavy)
