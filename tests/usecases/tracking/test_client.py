"""The run in user code: it goes on whatever happens to Loopline, and nothing is lost or counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid, Unavailable
from loopline.shells.sdk.client import Local
from loopline.testing.factories import installation
from loopline.usecases.tracking import journal, spool
from loopline.usecases.tracking.client import Run

pytestmark = pytest.mark.integration


class Moody:
    """A client that can be told to be away, also after having done what it was asked."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.away = False
        self.deaf = False
        self.calls = 0

    def call(self, name: str, /, **fields: Any) -> Any:
        self.calls += 1
        if self.away:
            raise Unavailable("No server answers.")
        answer = self._client.call(name, **fields)
        if self.deaf:
            raise Unavailable("The server hung up.")
        return answer


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moody]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "spool"))
    with installation(tmp_path) as loopline:
        yield Moody(Local(loopline, "ann"))


def fresh(run: Run) -> Run:
    run._params = {}
    return run


def kept(moody: Moody, run: Run) -> dict[str, Any]:
    return moody._client.call("tracking.get", run_id=run.id)  # type: ignore[no-any-return]


def waiting() -> list[Path]:
    return sorted(spool.folder().glob("*")) if spool.folder().exists() else []


def test_a_run_is_kept_with_all_that_was_logged(moody: Moody, tmp_path: Path) -> None:
    (tmp_path / "plot.svg").write_text("<svg/>")
    with Run(moody, "try", experiment="flights", params={"rate": 0.1}) as run:
        for step in range(3):
            run.log(loss=1 / (step + 1), step=step)
        run.log({"auc/late": float("nan")})
        run.params(depth=3)
        run.tags(team="air")
        run.artifact(tmp_path / "plot.svg")
        run.keep("notes.txt", "well")
        run.input("flights", "d" * 64)
    found = kept(moody, run)
    assert (found["status"], found["experiment"]) == ("finished", "flights")
    assert found["params"] == {"rate": "0.1", "depth": "3"}
    assert found["metrics"] == {"loss": 1 / 3, "auc/late": "NaN"}
    assert [one["name"] for one in moody.call("tracking.artifacts", run_id=run.id)] == ["notes.txt", "plot.svg"]
    assert waiting() == []


def test_an_error_in_the_block_is_kept_and_goes_on(moody: Moody) -> None:
    with pytest.raises(ZeroDivisionError), Run(moody) as run:
        raise ZeroDivisionError("by zero")
    assert (kept(moody, run)["status"], kept(moody, run)["error"]) == ("failed", "ZeroDivisionError: by zero")
    with pytest.raises(KeyboardInterrupt), Run(moody) as stopped:
        raise KeyboardInterrupt
    assert kept(moody, stopped)["status"] == "killed"


def test_what_is_wrong_in_a_call_is_said(moody: Moody) -> None:
    with pytest.raises(Conflict), Run(moody, params={"rate": 1}) as run:
        run.params(rate=2)


def test_when_nobody_answers_the_run_goes_on_and_is_delivered_later(moody: Moody) -> None:
    moody.away = True
    began = time.perf_counter()
    with Run(moody, "away") as run:
        run.log(loss=0.5, step=1)
        run.keep("notes.bin", b"\x00\xff")
    assert time.perf_counter() - began < 0.5
    assert sorted(path.suffix for path in waiting()) == [".file", ".jsonl"]
    moody.away = False
    done = spool.synced(moody)
    assert (done.sent, done.refused, done.waiting) == (4, 0, 0)
    assert moody.call("tracking.artifact", run_id=run.id, name="notes.bin")["content"] in (b"\x00\xff", "AP8=")
    assert kept(moody, run)["metrics"] == {"loss": 0.5}
    assert kept(moody, run)["status"] == "finished"
    assert waiting() == []
    assert spool.synced(moody).sent == 0


def test_a_server_that_comes_back_gets_it_before_the_run_ends(moody: Moody) -> None:
    run = Run(moody, "back")
    run.log(loss=0.6, step=0)
    assert run.flush()
    moody.away = True
    run.log(loss=0.5, step=1)
    run.log(loss=0.4, step=2)
    assert not run.flush()
    moody.away = False
    run.log(loss=0.3, step=3)
    assert run.flush() or run.flush()  # an attempt that began before may fail yet
    assert kept(moody, run)["status"] == "running"
    assert [one["value"] for one in moody.call("tracking.history", run_id=run.id, key="loss")] == [0.6, 0.5, 0.4, 0.3]
    run.finish()
    assert waiting() == []


def test_what_arrived_though_nobody_said_so_is_not_counted_twice(moody: Moody) -> None:
    moody.deaf = True
    with Run(moody, "deaf") as run:
        for step in range(5):
            run.log(loss=0.5, step=step)
    moody.deaf = False
    spool.synced(moody)
    spool.synced(moody)
    assert len(moody.call("tracking.history", run_id=run.id, key="loss")) == 5
    assert kept(moody, run)["status"] == "finished"


def test_a_spool_has_a_bound_and_says_what_it_left_out(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LARGEST", 9_000)
    moody.away = True
    with Run(moody, "long") as run:
        for step in range(100):
            run.log(loss=0.5, step=step)
    moody.away = False
    spool.synced(moody)
    arrived = len(moody.call("tracking.history", run_id=run.id, key="loss"))
    assert 0 < arrived < 100
    assert kept(moody, run)["tags"] == {"loopline.dropped": str(100 - arrived)}
    assert kept(moody, run)["status"] == "finished"


def test_a_full_disk_is_said_once(
    moody: Moody, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*ignored: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.Journal, "_append", full)
    with Run(moody, "full") as run:
        run.log(loss=1)
        run.log(loss=2)
    assert [one.message for one in caplog.records if "no room" in one.message] == [
        "There is no room on this machine for all that is logged; what finds none is left out."
    ]


def test_what_is_refused_on_delivery_is_put_aside(moody: Moody) -> None:
    moody.away = True
    with Run(moody, "wrong", params={"rate": 1}) as run, Run(moody, "good") as good:
        good.log(loss=1)
        Run.params(fresh(run), rate=2)  # as another process may that knows nothing of the first value
        good.log(loss=2)
    moody.away = False
    done = spool.synced(moody)
    assert (done.sent, done.refused) == (6, 1)
    assert [path.name for path in waiting()] == [f"{run.id}.refused"]
    assert kept(moody, run)["status"] == "finished"
    assert len(moody.call("tracking.history", run_id=good.id, key="loss")) == 2


KILLED = """
import os, signal, sys
from loopline.core.errors import Unavailable
from loopline.usecases.tracking.client import Run

class Away:
    def call(self, name, /, **fields):
        raise Unavailable("No server answers.")

run = Run(Away(), "killed")
for step in range(20):
    run.log(loss=1.0, step=step)
print(run.id, run._delivery._journal._path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_logged_before_kill_9_is_delivered(moody: Moody) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, env=os.environ.copy(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    run_id, path = done.stdout.split()
    with open(path, "ab") as file:
        file.write(b'{"verb": "tracking.log", "fie')
    assert spool.synced(moody).waiting == 0
    assert len(moody.call("tracking.history", run_id=run_id, key="loss")) == 20
    found = moody.call("tracking.get", run_id=run_id)
    assert (found["status"], found["error"]) == ("killed", "Its process ended before it did.")
    assert found["ended_at"]
    assert waiting() == []


def test_the_spool_of_a_living_run_is_left_alone(moody: Moody) -> None:
    moody.away = True
    run = Run(moody, "alive")
    moody.away = False
    assert spool.synced(moody).waiting == 1
    run.finish()
    assert kept(moody, run)["status"] == "finished"


def test_what_cannot_be_written_is_told_or_said_at_once(moody: Moody) -> None:
    with Run(moody, 5, params={"path": "caf\udce9.csv"}) as run:  # type: ignore[arg-type]
        run.tags({"half": "\ud800"})
        for wrong in ({5: 1.0}, {None: 1.0}):
            with pytest.raises(Invalid):
                run.log(wrong)  # type: ignore[arg-type]
        with pytest.raises(Invalid):
            Run(moody, params=[1])  # type: ignore[arg-type]
    found = kept(moody, run)
    assert found["name"] == "5"
    assert found["params"] == {"path": "caf?.csv"}
    assert found["tags"]["half"] == "?"
