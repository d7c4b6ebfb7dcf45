"""Delivery in the background: whatever dies and whenever, each point arrives exactly once, and no call waits."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loopline
from loopline.core.errors import NotFound, Refused, Unavailable
from loopline.core.ids import new_id
from loopline.shells.sdk.client import Local
from loopline.shells.sdk.runs import _close_all, _home
from loopline.testing.factories import installation
from loopline.usecases.tracking import journal, sending, spool
from loopline.usecases.tracking.client import Run, current
from loopline.usecases.tracking.delivery import Delivery


class Kept:
    """An installation in memory that counts every point that it takes, and has moods: away, deaf (it does what it was
    asked and the answer is lost), fine."""

    target = "http://there"

    def __init__(self) -> None:
        self.points: Counter[tuple[str, str, int]] = Counter()
        self.batches: set[str] = set()
        self.runs: dict[str, str] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.moods: list[str] = []
        self.mood = "fine"
        self.calls: list[str] = []

    def call(self, name: str, /, **fields: Any) -> Any:
        mood = self.moods.pop(0) if self.moods else self.mood
        if mood == "away":
            raise Unavailable("No server answers.")
        if mood == "no":
            raise Refused("The token was revoked.")
        self.calls.append(name)
        answer = getattr(self, name.removeprefix("tracking."))(**fields)
        if mood == "deaf":
            raise Unavailable("The server hung up.")
        return answer

    def start(self, run_id: str, **_: Any) -> None:
        self.runs.setdefault(run_id, "running")

    def finish(self, run_id: str, status: str, **_: Any) -> None:
        if run_id not in self.runs:
            raise NotFound("There is no such run.")
        if self.runs[run_id] == "running":
            self.runs[run_id] = status

    def nothing(self, **_: Any) -> None:
        raise NotFound("There is no such verb.")

    def log_many(self, batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        refused = []
        for place, one in enumerate(batches):
            try:
                self.log(**one)
            except NotFound as error:
                refused.append({"place": place, "error": "not_found", "message": error.message})
        return refused

    def log(
        self,
        run_id: str,
        batch: str,
        metrics: list[dict[str, Any]] = [],  # noqa: B006
        tags: dict[str, str] = {},  # noqa: B006
        **_: Any,
    ) -> None:
        if run_id not in self.runs:
            raise NotFound("There is no such run.")
        if batch in self.batches:
            return
        self.batches.add(batch)
        self.tags.setdefault(run_id, {}).update(tags)
        self.points.update((run_id, one["key"], one["step"]) for one in metrics)


class Still(Delivery):
    """A delivery without a thread: it delivers when the test says so."""

    def _start(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setattr(journal, "second_folder", lambda: tmp_path / "second")
    monkeypatch.setattr(spool, "second_folder", lambda: tmp_path / "second")
    return tmp_path / "spool"


def point(step: int) -> dict[str, Any]:
    return {"key": "loss", "value": 0.5, "step": step, "at_ms": 1}


def log(delivery: Delivery, run_id: str, step: int) -> None:
    delivery.add("tracking.log", {"run_id": run_id, "metrics": [point(step)]})


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("log"), st.integers(1, 5)),
        st.tuples(st.just("deliver"), st.lists(st.sampled_from(["fine", "away", "deaf"]), max_size=4)),
        st.tuples(st.just("kill"), st.integers(0, 60)),
        st.tuples(st.just("sync"), st.lists(st.sampled_from(["fine", "away", "deaf"]), max_size=4)),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.unit
@settings(max_examples=120)
@given(acts=ACTS, portion=st.integers(1, 4))
def test_each_point_arrives_exactly_once(tmp_path_factory: pytest.TempPathFactory, acts: Any, portion: int) -> None:
    """Outages before and after the effect, deaths with a line half written, other processes that take over."""
    folder = tmp_path_factory.mktemp("spool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOPLINE_SPOOL", str(folder))
        patch.setattr(sending, "MOST_LINES", portion)
        kept, step, said = Kept(), 0, []
        delivery, run_id = begun(kept)
        for act, what in acts:
            if act == "log":
                for _ in range(what):
                    log(delivery, run_id, step)
                    said.append((run_id, "loss", step))
                    step += 1
            elif act == "kill":
                torn(delivery, what)
                delivery, run_id = begun(kept)
            else:
                kept.moods = list(what)
                delivery.deliver() if act == "deliver" else spool.synced(kept)
        kept.moods = []
        assert delivery.deliver()
        spool.synced(kept)
        assert kept.points == Counter(said)
        assert set(kept.runs.values()) <= {"running", "killed"}
        assert list(kept.runs.values()).count("running") == 1
        delivery._journal.forsake()


def begun(kept: Kept) -> tuple[Delivery, str]:
    """A process begins a run."""
    delivery, run_id = Still(kept), new_id()
    delivery.hold(run_id)
    delivery.add("tracking.start", {"run_id": run_id})
    return delivery, run_id


def torn(delivery: Delivery, size: int) -> None:
    """The process dies while it writes a line: the kernel gives back its locks."""
    path = delivery._journal._path
    delivery._journal.forsake()
    with open(path, "ab") as file:
        file.write(b'{"verb":"tracking.log","fields":{"run_id":"x","metrics":[{}]}}'[:size])


@pytest.mark.unit
def test_many_calls_travel_as_one(place: Path) -> None:
    kept = Kept()
    delivery, run_id = begun(kept)
    for step in range(1000):
        log(delivery, run_id, step)
    assert delivery.deliver()
    assert kept.calls == ["tracking.start", "tracking.log_many"]
    assert len(kept.points) == 1000
    delivery.let_go(run_id)
    assert left(place) == []


@pytest.mark.unit
def test_a_batch_that_is_refused_costs_only_what_is_wrong_in_it(place: Path) -> None:
    kept = Kept()
    delivery, run_id = begun(kept)
    log(delivery, run_id, 0)
    log(delivery, "f" * 32, 0)
    log(delivery, run_id, 1)
    assert delivery.deliver()
    assert len(kept.points) == 2
    delivery.let_go(run_id)
    assert left(place) == [f"{'f' * 32}.refused"]


@pytest.mark.unit
def test_what_a_revoked_token_stops_waits_for_a_good_one(place: Path) -> None:
    kept = Kept()
    delivery, run_id = begun(kept)
    log(delivery, run_id, 0)
    kept.mood = "no"
    assert not delivery.deliver()
    delivery.let_go(run_id)
    found = spool.synced(kept)
    assert (found.waiting, found.reason) == (1, "The token was revoked.")
    kept.mood = "fine"
    assert spool.synced(kept).sent == 2
    assert left(place) == []


@pytest.mark.unit
def test_what_is_for_another_installation_is_not_delivered_here() -> None:
    kept, other = Kept(), Kept()
    other.target = "http://elsewhere"
    kept.mood = "away"
    delivery, run_id = begun(kept)
    log(delivery, run_id, 0)
    delivery.let_go(run_id)
    kept.mood = "fine"
    found = spool.synced(other)
    assert (found.sent, found.elsewhere) == (0, 1)
    assert spool.synced(other, everything=True).sent == 2
    assert other.points == Counter([(run_id, "loss", 0)])


@pytest.mark.unit
def test_a_full_disk_costs_points_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    delivery, run_id = begun(kept)
    log(delivery, run_id, 0)
    write = os.write

    def full(handle: int, content: bytes) -> int:
        return write(handle, content[: len(content) // 2])

    monkeypatch.setattr(journal.os, "write", full)
    log(delivery, run_id, 1)
    monkeypatch.undo()
    log(delivery, run_id, 2)
    assert delivery.deliver()
    assert sorted(step for _, _, step in kept.points) == [0, 2]
    assert delivery.dropped(run_id) == 1
    delivery.let_go(run_id)


@pytest.mark.unit
def test_a_folder_that_cannot_be_written_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "file" / "spool"))
    kept = Kept()
    kept.mood = "away"
    delivery, run_id = begun(kept)
    log(delivery, run_id, 0)
    delivery.let_go(run_id)
    kept.mood = "fine"
    assert spool.synced(kept).sent == 2


@pytest.mark.integration
def test_a_call_costs_microseconds_and_is_seen_within_a_second() -> None:
    kept = Kept()
    with Run(kept, "quick") as run:
        run.log(loss=1.0, step=0)
        assert run.flush()
        began = time.perf_counter()
        for step in range(1, 2001):
            run.log(loss=1 / step, step=step)
        each = (time.perf_counter() - began) / 2000
        until = (
            time.monotonic() + 3.0
        )  # a third of a second; the bound leaves room for a machine that does other things
        while len(kept.points) <= 2000 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(kept.points) == 2001
    assert each < 200e-6  # about 4 us; the bound leaves room for a machine that does other things


@pytest.mark.integration
def test_a_server_that_hangs_does_not_hold_the_training() -> None:
    kept = Kept()
    hung = threading.Event()
    freed = threading.Event()

    class Hanging(Kept):
        def call(self, name: str, /, **fields: Any) -> Any:
            hung.set()
            freed.wait(10)
            raise Unavailable("It hung.")

    client = Hanging()
    run = Run(client, "hangs")
    assert hung.wait(5)
    began = time.perf_counter()
    for step in range(100):
        run.log(loss=1.0, step=step)
    assert time.perf_counter() - began < 0.5
    assert not run.flush(0.2)
    assert not run.flush(1.0)
    began = time.perf_counter()
    assert not run._delivery.close()  # it has waited once
    assert time.perf_counter() - began < 3.0
    freed.set()
    run.finish()
    found = spool.synced(kept)
    assert found.sent == 102
    assert kept.runs == {run.id: "finished"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Local]:
    with installation(tmp_path) as loopline:
        yield Local(loopline, "ann")


def history(client: Any, run_id: str, key: str = "loss") -> list[Any]:
    return client.call("tracking.history", run_id=run_id, key=key)  # type: ignore[no-any-return]


@pytest.mark.integration
def test_threads_share_a_run(client: Local) -> None:
    with Run(client, "threads") as run:
        threads = [threading.Thread(target=logged, args=(run, number)) for number in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert sorted((one["step"]) for one in history(client, run.id)) == list(range(200))


def logged(run: Run, number: int) -> None:
    for step in range(50):
        run.log(loss=1.0, step=number * 50 + step)


@pytest.mark.integration
def test_forked_workers_log_to_the_run_of_their_parent() -> None:
    kept = Kept()
    context = multiprocessing.get_context("fork")
    with Run(kept, "forks") as run:
        workers = [context.Process(target=logged, args=(run, number)) for number in range(2)]
        run.log(loss=2.0, step=1000)
        for one in workers:
            one.start()
        for one in workers:
            one.join()
        assert [one.exitcode for one in workers] == [0, 0]
    spool.synced(kept)
    assert sorted(step for _, _, step in kept.points) == [*range(100), 1000]
    assert kept.runs == {run.id: "finished"}
    assert max(kept.points.values()) == 1


@pytest.mark.integration
def test_a_run_can_be_handed_to_a_process_that_is_no_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    with loopline.run("spawns", capture=False) as run, ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(pow, 2, 2).result()
        again = pickle.loads(pickle.dumps(run))
        assert (again.id, again.name) == (run.id, "spawns")
        pool.submit(run.log, {"loss": 1.0}).result()
        again.finish()
        again.log(loss=2.0)
        assert again.flush()
    with installation(tmp_path) as opened:
        client = Local(opened, "ann")
        assert [one["value"] for one in history(client, run.id)] == [1.0, 2.0]
        assert client.call("tracking.get", run_id=run.id)["status"] == "finished"
    _close_all()
    _home.cache_clear()


@pytest.mark.unit
def test_a_server_that_knows_no_bundles_gets_the_lines() -> None:
    kept = Kept()
    kept.log_many = kept.nothing  # type: ignore[attr-defined,method-assign]
    delivery, run_id = begun(kept)
    log(delivery, run_id, 0)
    log(delivery, run_id, 1)
    assert delivery.deliver()
    assert len(kept.points) == 2
    delivery.let_go(run_id)


@pytest.mark.integration
def test_runs_nest_and_go_on(client: Local) -> None:
    assert current() is None
    with Run(client, "outer") as outer:
        with Run(client, "inner") as inner:
            assert current() is inner
        assert current() is outer
    assert current() is None
    found = client.call("tracking.get", run_id=inner.id)
    assert found["tags"] == {"parent": outer.id, "mlflow.parentRunId": outer.id}
    with pytest.raises(ValueError, match="late"):
        gone_on(client, outer.id)
    found = client.call("tracking.get", run_id=outer.id)
    assert (found["name"], found["status"], found["error"]) == ("outer", "failed", "ValueError: late")
    assert len(history(client, outer.id)) == 1


def gone_on(client: Any, run_id: str) -> None:
    with Run(client, run_id=run_id) as again:
        assert again.flush()
        assert client.call("tracking.get", run_id=run_id)["status"] == "running"
        again.log(loss=1.0)
        raise ValueError("late")


ENDS = """
import sys, loopline
run = loopline.run("ends", capture=False)
run.log(loss=1.0)
run.text("note", "well")
print(run.id, flush=True)
{end}
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        ("", "finished", ""),
        ("raise ValueError('token=abcdefgh12345')", "failed", "ValueError: token=[secret]"),
        ("raise KeyboardInterrupt", "killed", "KeyboardInterrupt: "),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed", "Its process ended before it did."),
    ],
)
def test_a_program_that_ends_ends_its_run(tmp_path: Path, place: Path, end: str, status: str, error: str) -> None:
    environment = os.environ | {"LOOPLINE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", ENDS.format(end=end)], env=environment, capture_output=True, text=True, check=False
    )
    with installation(tmp_path) as loopline:
        client = Local(loopline, "ann")
        assert bool(left(place)) == (status == "killed" and "process" in error)
        spool.synced(client)
        found = client.call("tracking.get", run_id=done.stdout.strip())
        assert (found["status"], found["error"]) == (status, error)
        assert len(history(client, found["id"])) == 1
        assert client.call("tracking.artifacts", run_id=found["id"])[0]["size"] == 4
        assert not left(place)


KILLED = """
import sys, loopline
with loopline.run("killed", capture=False) as run:
    print(run.id, flush=True)
    for step in range(1_000_000):
        run.log(loss=1.0, step=step)
        if step % 50 == 0:
            print(step, flush=True)
"""


@pytest.mark.integration
def test_what_was_logged_before_kill_9_is_there_once(tmp_path: Path) -> None:
    """The process is killed while it logs and delivers; `sync` brings the rest."""
    draw = random.Random(7)
    environment = os.environ | {"LOOPLINE_HOME": str(tmp_path / "home")}
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        run_id, first = process.stdout.readline().strip(), process.stdout.readline()
        time.sleep(draw.uniform(0.05, 0.5))
        process.send_signal(signal.SIGKILL)
        last = int((process.stdout.read().split() or [first])[-1])
        process.wait()
        process.stdout.close()
        with installation(tmp_path) as loopline:
            client = Local(loopline, "ann")
            assert spool.synced(client).waiting == 0
            steps = [one["step"] for one in history(client, run_id)]
            assert steps == list(range(len(steps)))
            assert len(steps) > last
            assert client.call("tracking.get", run_id=run_id)["status"] == "killed"
