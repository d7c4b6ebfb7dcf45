"""The prediction log off the hot path, with a disk that works, refuses, and comes back."""

from __future__ import annotations

import asyncio
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.metrics import Metrics
from loopline.shells.dataplane.recorder import Recorder
from loopline.shells.dataplane.truths import Truths
from loopline.usecases.serving.records.reading import read_predictions, read_truth
from loopline.usecases.serving.records.segments import Segment
from loopline.usecases.serving.records.writing import Batch, Truth, prediction_header

pytestmark = pytest.mark.integration

SIGNATURE = Signature((Column("x", "float"),), Column("y", "float"))
HEADER = prediction_header("late", 7, 1, "flights", 1, SIGNATURE)


def batch(counter: int) -> Batch:
    one = array("d", [1.0]).tobytes()
    ms = array("q", [1_700_000_000_000 + counter]).tobytes()
    return Batch(1, ms, array("q", [counter * 2]).tobytes(), array("i", [-1]).tobytes(), array("i", [5]).tobytes(), None,
                 None, one, [one])  # fmt: skip


async def flushed(recorder: Recorder) -> None:
    done = asyncio.Event()
    recorder.flush_now(done.set)
    await done.wait()


def run(tmp_path: Path, play: Any, most_rows: int = 1000) -> Metrics:
    metrics = Metrics()

    async def main() -> None:
        executor = ThreadPoolExecutor(1)
        recorder = Recorder(tmp_path, asyncio.get_running_loop(), executor, metrics, 0.05, most_rows)
        await play(recorder)
        executor.shutdown()
        recorder.shut()

    asyncio.run(main())
    return metrics


def rows(tmp_path: Path) -> int:
    return int(read_predictions(tmp_path, "late", None, None, "at").num_rows)


def test_a_record_is_on_disk_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    async def play(recorder: Recorder) -> None:
        taken = []
        for number in range(1, 11):
            start = time.monotonic()
            recorder.record(HEADER, batch(number))
            while recorder.flushed < number:
                await asyncio.sleep(0.001)
            taken.append(time.monotonic() - start)
            assert rows(tmp_path) == number
            assert recorder.lag() == 0
        assert sorted(taken)[2] < 0.1  # the disk of a busy machine may take its time now and then

    run(tmp_path, play)


def test_a_disk_that_refuses_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    async def play(recorder: Recorder) -> None:
        recorder.record(HEADER, batch(1))
        await flushed(recorder)
        with monkeypatch.context() as patched:
            patched.setattr(Segment, "append", refuse)
            for number in range(2, 5):
                recorder.record(HEADER, batch(number))
                await flushed(recorder)
            assert recorder.flushed == 1
            assert recorder.lag() > 0
        recorder.record(HEADER, batch(5))
        await flushed(recorder)
        assert recorder.flushed == 5

    run(tmp_path, play)
    assert rows(tmp_path) == 5
    assert capsys.readouterr().err.splitlines() == [
        "prediction log: No space left on device (28)", "prediction log: writing again",
    ]  # fmt: skip


def test_what_cannot_be_kept_is_dropped_oldest_first_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(recorder: Recorder) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Segment, "append", refuse)
            for number in range(10):
                recorder.record(HEADER, batch(number))
                await flushed(recorder)
        await flushed(recorder)

    metrics = run(tmp_path, play, most_rows=4)
    assert sum(metrics.counters["predictions_not_logged"].values()) == 6
    assert read_predictions(tmp_path, "late", None, None, "at")["at"].to_pylist()[0].microsecond == 6000


def test_a_closed_revision_frees_its_segment(tmp_path: Path) -> None:
    from loopline.usecases.serving.records.segments import closed

    async def play(recorder: Recorder) -> None:
        recorder.record(HEADER, batch(1))
        await flushed(recorder)
        (path,) = (tmp_path / "predictions" / "late").iterdir()
        assert closed(path) is None
        recorder.close(HEADER)
        await flushed(recorder)
        assert closed(path) is not None

    run(tmp_path, play)


class Durable:
    """An exchange that says how it was answered, and how many records were on disk then."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.said: Any = None
        self.on_disk = 0

    def ok(self, body: bytes) -> None:
        self.said, self.on_disk = body, rows(self.tmp_path)

    def refuse(self, fault: Any) -> None:
        self.said = fault


def test_a_durable_record_is_on_disk_before_its_answer_and_shares_an_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [Durable(tmp_path) for _ in range(8)]
    appended: list[int] = []
    append = Segment.append

    def counted(self: Segment, payload: bytes, count: int) -> None:
        appended.append(count)
        append(self, payload, count)

    async def play(recorder: Recorder) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Segment, "append", counted)
            for number, exchange in enumerate(asked, start=1):
                recorder.record_durably(HEADER, batch(number), [(exchange, b"%d" % number)])
                assert exchange.said is None
                if number == 4:
                    await asyncio.sleep(0)  # the first four go together, and those that come meanwhile
            while any(exchange.said is None for exchange in asked):
                await asyncio.sleep(0.001)

    run(tmp_path, play)
    assert [exchange.said for exchange in asked] == [b"%d" % number for number in range(1, 9)]
    assert appended == [4, 4]
    assert asked[0].on_disk >= 4
    assert asked[7].on_disk == 8


def test_a_durable_request_is_refused_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Durable(tmp_path), Durable(tmp_path)

    async def play(recorder: Recorder) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Segment, "append", refuse)
            recorder.record(HEADER, batch(1))
            recorder.record_durably(HEADER, batch(2), [(first, b"")])
            while first.said is None:
                await asyncio.sleep(0.001)
        recorder.record_durably(HEADER, batch(3), [(second, b"fine")])
        await flushed(recorder)
        while second.said is None:
            await asyncio.sleep(0.001)

    metrics = run(tmp_path, play)
    assert (first.said.status, "No space left" in first.said.message) == (503, True)
    assert second.said == b"fine"
    assert rows(tmp_path) == 2  # what was refused is not logged later
    assert sum(metrics.counters["predictions_refused_by_disk"].values()) == 1


def refuse(*_: Any) -> None:
    raise OSError(28, "No space left on device")


class Asked:
    """An exchange that keeps its answer."""

    def __init__(self) -> None:
        self.said: Any = None

    def ok(self, body: bytes) -> None:
        self.said = 200

    def refuse(self, fault: Any) -> None:
        self.said = (fault.status, fault.message)


def test_truth_is_refused_while_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> list[Any]:
        executor = ThreadPoolExecutor(1)
        truths = Truths(tmp_path, asyncio.get_running_loop(), executor, 7)
        truths.begin()
        asked = [Asked() for _ in range(3)]
        for number, exchange in enumerate(asked):
            with monkeypatch.context() as patched:
                if number == 1:
                    patched.setattr(Segment, "append", refuse)
                truths.take(exchange, "late", [Truth(None, "UA1", 1, float(number), 2)])  # type: ignore[arg-type]
                while exchange.said is None:
                    await asyncio.sleep(0.002)
        executor.shutdown()
        truths.shut()
        return [exchange.said for exchange in asked]

    refused = (503, "Ground truth cannot be kept just now: No space left on device.")
    assert asyncio.run(main()) == [200, refused, 200]
    assert read_truth(tmp_path, "late")["value"].to_pylist() == [0.0, 2.0]
    assert read_truth(tmp_path, "late")["seq"].to_pylist() == [1, 2]
