"""People go on writing while others remove and clear up: nothing of theirs is lost, and nobody gets an error that is none."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from loopline.adapters.blobs import files
from loopline.app.wiring import Loopline, audit
from loopline.usecases.pipelines import eviction

pytestmark = pytest.mark.integration
GRACE_S = 1.5  # an hour, in this short life
CONTENTS = [b"%d" % n * 100 for n in range(5)]


def test_writers_removers_and_the_one_who_clears_up_do_not_hurt_each_other(
    loopline: Loopline, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eviction, "GRACE_S", GRACE_S)
    monkeypatch.setattr(files, "TOUCHED_FOR_S", 0.0)
    for _ in range(20):
        loopline.blobs.put(os.urandom(100))
    make.old(loopline)
    cleared: list[int] = []
    mine: dict[str, bytes] = {}
    errors: list[BaseException] = []
    ended = threading.Event()

    def guarded(work: Any) -> Any:
        def run() -> None:
            try:
                while not ended.is_set():
                    work()
            except BaseException as error:
                errors.append(error)

        return run

    def write() -> None:
        content = CONTENTS[len(mine) % len(CONTENTS)]
        mine[make.run(loopline, "kept", notes=content)] = content

    def remove() -> None:
        run = make.run(loopline, "passing", notes=CONTENTS[len(mine) % len(CONTENTS)], own=os.urandom(100))
        loopline.retention.remove("run", run, "ann")
        loopline.retention.purge("run", run, "ann")

    def clear() -> None:
        cleared.append(loopline.retention.collect().blobs)

    threads = [threading.Thread(target=guarded(work)) for work in (write, remove, clear)]
    for thread in threads:
        thread.start()
    ended.wait(3.0)
    ended.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(mine) > 3
    assert sum(cleared) >= 20
    for run, content in mine.items():
        assert loopline.tracking.artifact(run, "notes")[1] == content
    assert audit(loopline).problems == []
