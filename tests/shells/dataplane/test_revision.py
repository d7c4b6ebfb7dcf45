"""A revision's queue and process, with a link that the test plays."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator
from dataclasses import replace
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
from loopline.shells.dataplane.revision import STARTING, STOPPED, UNFIT, Revision
from loopline.usecases.serving.options import DEFAULTS

pytestmark = pytest.mark.unit

SIGNATURE = Signature((Column("x", "float"),), Column("y", "float"))


class Link:
    """Keeps batches until the test answers them."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []
        self.stopped = self.killed = False

    def send(self, number: int, packed: Any) -> None:
        self.sent.append((number, len(packed[0]) // 8))

    def stop(self) -> None:
        self.stopped = True

    def kill(self) -> None:
        self.killed = True

    def ended(self) -> bool:
        return True


class Exchange:
    def __init__(self) -> None:
        self.said: Any = None
        self.started = 1
        self.label: Any = None
        self.caller = Caller("x", Role.VIEWER)

    def ok(self, body: bytes) -> None:
        self.said = 200

    def refuse(self, fault: Fault) -> None:
        self.said = fault.status


class Stage:
    """A revision on an application without sockets."""

    def __init__(self, folder: Path, live: bool = True) -> None:
        self.loop = asyncio.new_event_loop()
        limits = replace(Limits(), waiting_rows=10, batch_rows=4)
        self.app = Application(self.loop, folder, lambda secret: Caller("x", Role.ADMIN), Hosts(), limits, "none:none")
        desired: Any = SimpleNamespace(endpoint=SimpleNamespace(key=None, event_time=None, options=DEFAULTS))
        deployment: Any = SimpleNamespace(endpoint="late", revision=1, model="m", version=1, signature=SIGNATURE)
        self.revision = Revision(self.app, desired, deployment)
        self.link = Link()
        self.revision._link = self.link  # type: ignore[assignment]
        self.started = 0
        self.app.spawn = self._spawn  # type: ignore[method-assign]
        if live:
            self.app.route("late").live = self.revision

    def _spawn(self, work: Any) -> None:
        work.close()
        self.started += 1

    def ask(self, *values: float) -> Exchange:
        exchange = Exchange()
        self.revision.submit(exchange, [(value,) for value in values], PLAIN)
        return exchange

    def turn(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def answer(self) -> None:
        number, rows = self.link.sent[-1]
        self.revision.on_answer(number, array("d", [0.5] * rows).tobytes(), [])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.app.recorder._timer and made.app.recorder._timer.cancel()
    for executor in (made.app.writing, made.app.intake, made.app.asking):
        executor.shutdown()
    made.loop.close()


def test_what_one_turn_reads_goes_out_together_and_the_rest_gathers(stage: Stage) -> None:
    stage.revision.on_ready()
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
    stage.revision.on_ready()
    everyone = [stage.ask(1.0, 2.0, 3.0), stage.ask(1.0, 2.0), stage.ask(*[1.0] * 5)]
    stage.turn()
    for _ in range(3):
        stage.answer()
    assert [rows for _, rows in stage.link.sent] == [3, 2, 5]
    assert [each.said for each in everyone] == [200] * 3


def test_too_much_waiting_is_refused(stage: Stage) -> None:
    stage.ask(*[1.0] * 10)
    with pytest.raises(Fault) as refused:
        stage.ask(1.0)
    assert refused.value.status == 503
    assert b"retry-after" in refused.value.headers


def test_a_dead_process_gets_its_requests_once_more(stage: Stage) -> None:
    stage.revision.on_ready()
    exchange = stage.ask(1.0)
    stage.turn()
    stage.revision.on_lost()
    stage.turn(0.01)
    assert (stage.revision.state, stage.started, exchange.said) == (STARTING, 1, None)
    stage.revision.on_ready()
    stage.turn()
    stage.revision.on_lost()
    assert exchange.said == 503
    assert stage.revision.idle()


def test_waiting_for_a_process_ends_after_a_bound(stage: Stage) -> None:
    exchange = stage.ask(1.0)
    stage.revision.watch(stage.app.now + 9)
    assert exchange.said is None
    stage.revision.watch(stage.app.now + 11)
    assert exchange.said == 503


def test_a_process_that_hangs_is_ended(stage: Stage) -> None:
    stage.revision.on_ready()
    stage.ask(1.0)
    stage.turn()
    stage.revision.watch(stage.app.now + 29)
    assert not stage.link.killed
    stage.revision.watch(stage.app.now + 31)
    assert stage.link.killed


def test_a_live_model_that_does_not_load_is_tried_again(stage: Stage) -> None:
    exchange = stage.ask(1.0)
    stage.revision.on_failed("no memory")
    stage.revision.on_lost()
    assert exchange.said == 503
    assert stage.revision.state == STARTING


def test_one_that_was_never_live_stays_down(tmp_path: Path) -> None:
    stage = Stage(tmp_path, live=False)
    stage.revision.on_lost()
    assert (stage.revision.state, stage.revision.reason) == (UNFIT, "Its process died before it was ready.")
    stage.turn(0.01)
    assert stage.started == 0
    stage.loop.close()


def test_a_late_answer_of_an_ended_process_is_not_taken(stage: Stage) -> None:
    stage.revision.on_ready()
    exchange = stage.ask(1.0)
    stage.turn()
    stage.revision.on_answer(99, b"", [])
    assert exchange.said is None
    stage.answer()
    stage.revision.stop()
    stage.revision.on_lost()
    assert (stage.revision.state, stage.link.stopped) == (STOPPED, True)
    assert stage.started == 0
