"""Following the database: what goes wrong at one place is said once, tried again, and holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopline.core.errors import NotFound, Unavailable
from loopline.shells.dataplane import plane as module
from loopline.shells.dataplane.plane import Plane

pytestmark = pytest.mark.unit


class Agreeing(Plane):
    """Agrees with everything but the names in `bad`."""

    def __init__(self, app: Any, serving: Any) -> None:
        super().__init__(app, serving)
        self.agreed: list[str] = []
        self.bad: set[str] = set()

    def _agree(self, served: Any, desired: Any) -> None:
        if desired.endpoint.name in self.bad:
            raise KeyError(desired.endpoint.name)
        self.agreed.append(desired.endpoint.name)


class Serving:
    """A database of two endpoints. `known` is brought up to date as the real one does it."""

    def __init__(self) -> None:
        self.number = 1
        self.fails: list[Exception] = []
        self.failed: list[tuple[str, int, str]] = []

    def changed(self) -> int:
        if self.fails:
            raise self.fails.pop(0)
        return self.number

    def follow(self) -> int:
        return 0

    def changes(self, known: dict[str, Any]) -> tuple[list[Any], set[str]]:
        names = [name for name in ("one", "two") if name not in known]
        known.update(dict.fromkeys(("one", "two"), self.number))
        wanted = SimpleNamespace(revision=3)
        return [SimpleNamespace(endpoint=SimpleNamespace(name=name), wanted=wanted, live=None) for name in names], {
            "one",
            "two",
        }

    def went_wrong(self, name: str, number: int, reason: str, actor: str) -> None:
        self.failed.append((name, number, reason))


def followed(
    tmp_path: Path, serving: Serving, until: Callable[[Agreeing], bool], **given: Any
) -> tuple[Any, list[str]]:
    """The plane after it has run until a condition holds, and what it complained of."""
    complaints: list[str] = []

    async def run() -> Agreeing:
        loop = asyncio.get_running_loop()
        app = SimpleNamespace(
            loop=loop, home=tmp_path, endpoints={}, tokens=SimpleNamespace(forget=lambda: None),
            complain=lambda error: complaints.append(repr(error)), route=lambda name: name,
            spawn=lambda work: work.close(),
        )  # fmt: skip
        plane = Agreeing(app, serving)
        for name, value in given.items():
            setattr(plane, name, value)
        running = loop.create_task(plane.run())
        async with asyncio.timeout(30):
            while not until(plane):
                assert not running.done()
                await asyncio.sleep(0)
        running.cancel()
        plane._thread.shutdown(wait=True)
        return plane

    return asyncio.run(run()), complaints


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AFTER_ERROR_S", 0.0)
    monkeypatch.setattr(module, "POLL_S", 0.0)


def test_an_error_that_nobody_thought_of_ends_nothing_and_is_said_once(tmp_path: Path) -> None:
    serving = Serving()
    serving.fails = [RuntimeError("odd"), RuntimeError("odd"), RuntimeError("odd")]
    plane, complaints = followed(tmp_path, serving, lambda plane: len(plane.agreed) == 2)
    assert (plane.agreed, complaints) == (["one", "two"], ["RuntimeError('odd')"])


def test_one_endpoint_holds_up_no_other_and_is_tried_again(tmp_path: Path) -> None:
    tried: list[int] = []

    def until(plane: Agreeing) -> bool:
        tried.append(len(plane.agreed))
        if len(tried) == 1000:
            plane.bad.clear()
        return "one" in plane.agreed

    serving = Serving()
    plane, complaints = followed(tmp_path, serving, until, bad={"one"})
    assert plane.agreed == ["two", "one"]
    assert serving.failed[0] == ("one", 3, "It cannot be made ready (KeyError('one')).")
    assert complaints == ["KeyError('one')"]


def test_what_is_refused_for_good_keeps_back_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    first = [Unavailable("The disk is full.")]

    def later() -> None:
        if first:
            raise first.pop()
        told.append("later")

    def gone() -> None:
        raise NotFound("There is no endpoint 'gone'.")

    plane, complaints = followed(
        tmp_path, Serving(), lambda plane: len(plane.agreed) == 2, _untold=[gone, later, lambda: told.append("last")]
    )
    assert (plane.agreed, told, plane._untold, complaints) == (["one", "two"], ["later", "last"], [], [])
    assert capsys.readouterr().err.splitlines() == [
        "data plane: There is no endpoint 'gone'.", "data plane: The disk is full.",
    ]  # fmt: skip
